"""A module run as a child that ends with its parent: `python -m pipeline.tied MODULE ARGUMENT...`.

The parent holds the other end of standard input open for as long as it lives; when it dies, however it dies, the child
gets the SIGTERM that a living parent would have sent.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the module named by the first argument with the others."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
