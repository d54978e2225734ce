"""A module run so that being told to end is no failure: `python -m pipeline.orderly MODULE ARGUMENT...`.

Streamlit's server lets go of everything on SIGTERM and then sends itself the signal once more, so that the process would end by
it: a supervisor reads that (exit 143) as a crash and starts it again.
"""

from __future__ import annotations

import runpy
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the module named by the first argument with the others."""
    signal.signal(signal.SIGTERM, _end_well)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_well(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
