"""How much memory the transforming engine takes where the settings leave it open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOST = 5_000_000_000  # bytes: with Python and dbt around the engine a run stays under 6 GB
LEAST = 500_000_000  # below that not even a small bank is built
SHARE = 0.5  # of the machine: the app, the worker and the file system's cache live on the rest
GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def granted_memory(*, machine: int | None = None, groups: Path = GROUPS, own: Path = OWN) -> str:
    """Half of the machine's memory, or of the container's where that is less, and at most 5 GB; as DuckDB writes it: `3500MB`.

    A service with a limit of its own (`MemoryMax` of systemd) counts like a container.

    An engine that may take more than there is does not spill to disk: the kernel ends the run.
    """
    in_all = machine if machine is not None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for path in _limiting(groups, own) if (limit := _limit(path)) is not None]
    granted = min(SHARE * min(in_all, *limits) if limits else SHARE * in_all, MOST)
    return f"{round(max(granted, LEAST) / 1_000_000)}MB"


def _limiting(groups: Path, own: Path) -> Iterator[Path]:
    """The files with the limits of the groups that this process is in, up to the outermost one that is seen from here."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    # A container may be told its place on the host, which it does not see: its own group is then the outermost one.
    for line in ("0::/", "0:memory:/", *lines):
        _, controllers, place = [*line.split(":", 2), "", ""][:3]
        for group in (Path(place), *Path(place).parents):
            inside = group.as_posix().lstrip("/")
            if not controllers:
                yield groups / inside / "memory.max"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / inside / "memory.limit_in_bytes"


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None  # `max`: the container has no limit of its own
