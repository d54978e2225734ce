"""A small disk that can be filled: a file system in memory, which only root may mount. Elsewhere its tests are skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

BLOCK = 4096


@dataclass
class Disk:
    """A small disk with a state folder on it."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "var"

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, *, but: int = 0) -> None:
        """Leave that many bytes, in whole blocks."""
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"\0" * BLOCK)
        if but:
            os.truncate(self._ballast, max(self._ballast.stat().st_size - but, 0))

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def mounted(place: Path, *, megabytes: int) -> Iterator[Disk]:
    """A disk of that size in a folder, for the length of a `with` block."""
    folder = place / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m"]
    done = subprocess.run(["mount", *options, "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        disk = Disk(folder)
        disk.home.mkdir()
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
