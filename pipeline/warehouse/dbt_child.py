"""dbt as a child that ends with its parent: `python -m pipeline.warehouse.dbt_child build ...`.

The parent holds the other end of standard input open for as long as it lives, so a parent that was killed leaves no
orphan behind that goes on building for nobody.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from pipeline.warehouse import dbt_parsed


def main() -> None:
    """Run dbt with the arguments of this process, on the project as the target folder has it parsed, where it has."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from dbt.cli.main import cli, dbtRunner  # two seconds of imports, during which the parent may already have gone

    arguments = sys.argv[1:]
    parsed = dbt_parsed.read(Path(arguments[arguments.index("--target-path") + 1]))
    if parsed is None:
        cli()
    else:
        sys.exit(not dbtRunner(manifest=parsed).invoke(arguments).success)


def _end_with_parent() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
