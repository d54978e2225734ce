"""What a disk does to a DuckDB file: it is cut short, a page of it is overwritten, or its head is garbage."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

PAGE = 4096
HEAD = 3 * PAGE
BLOCK = 262_144

Damage = Callable[[Path], None]


def cut(*, to: float) -> Damage:
    """Cut a file to a share of its length."""
    return lambda path: os.truncate(path, int(path.stat().st_size * to))


def overwritten(*, at: int, length: int = PAGE) -> Damage:
    """Garbage over some bytes of a file; a negative place counts from its end."""

    def overwrite(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
            file.write(os.urandom(length))

    return overwrite


def page_of(path: Path, table: str) -> Damage:
    """Garbage over a page of one table's rows: the file opens, and everything else in it can be read."""
    with duckdb.connect(path, read_only=True) as connection:
        places = f"select max(block_id) from pragma_storage_info('{table}') where persistent and block_id >= 0"
        found = connection.execute(places).fetchone()
    assert found is not None
    assert found[0] is not None, f"{table} has no block of its own"
    return overwritten(at=HEAD + found[0] * BLOCK + BLOCK // 2)


WHOLE_FILE: Mapping[str, Damage] = {
    "nothing is left": cut(to=0.0),
    "cut short": cut(to=0.3),
    "a garbage head": overwritten(at=0),
    "garbage over the second head": overwritten(at=PAGE, length=2 * PAGE),
    "garbage from the head on": lambda path: path.write_bytes(b"\x17" * path.stat().st_size) and None,
}
