"""How much memory the transforming engine takes where the settings leave it open."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 5_000_000_000  # bytes: with Python and dbt around the engine a run stays under 6 GB
LEAST = 500_000_000  # below that not even a small bank is built
SHARE = 0.5  # of the machine: the app, the worker and the file system's cache live on the rest
_OF_CONTAINERS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # of cgroups 2 and 1


def granted_memory(*, machine: int | None = None, containers: tuple[Path, ...] = _OF_CONTAINERS) -> str:
    """Half of the machine's memory, or of the container's where that is less, and at most 5 GB; as DuckDB writes it: `3500MB`.

    An engine that may take more than there is does not spill to disk: the kernel ends the run.
    """
    in_all = machine if machine is not None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for path in containers if (limit := _limit(path)) is not None]
    granted = min(SHARE * min(in_all, *limits) if limits else SHARE * in_all, MOST)
    return f"{round(max(granted, LEAST) / 1_000_000)}MB"


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None  # `max`: the container has no limit of its own
