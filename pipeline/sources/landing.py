"""What an extract landed: the bank's raw tables as Parquet files, listed in one manifest that is written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError

MANIFEST = "manifest.json"
UNTOUCHED = "The published version is untouched; readers still see it"


@dataclass(frozen=True)
class Fingerprint:
    """What a file looked like when it was landed; a file that looks otherwise has changed.

    Whoever writes a file may set `modified_ns`, and some set it to the day that the rows are of; `changed_ns` (ctime) is the
    file system's own and moves with every write.
    """

    path: Path
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Look at a file; raises OSError where it is gone or may not be read."""
        stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@dataclass(frozen=True)
class LandedTable:
    """One raw table: its Parquet files, and the columns of the source contract that each of them has."""

    name: str
    fingerprints: tuple[Fingerprint, ...]
    rows: int
    columns: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The Parquet files, in order; their columns may be typed and may differ from part to part in type."""
        return tuple(fingerprint.path for fingerprint in self.fingerprints)


@dataclass(frozen=True)
class Landing:
    """All tables that one extract landed, and what served them (`demo bank` or `files`)."""

    source: str
    landed_at: datetime
    tables: Mapping[str, LandedTable]

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(table.rows for table in self.tables.values())

    def verify(self) -> None:
        """Raise DataError where a landed file has changed or gone since."""
        for table in self.tables.values():
            for fingerprint in table.fingerprints:
                _verify(table.name, fingerprint)

    def write(self, landing_folder: Path) -> None:
        """Write the manifest, whole; a landing without one never happened."""
        files.write_json(landing_folder / MANIFEST, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The manifest's content."""
        return {
            "source": self.source,
            "landed_at": self.landed_at.isoformat(),
            "tables": {table.name: _table_to_json(table) for table in self.tables.values()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Landing:
        """The landing that a manifest describes."""
        tables = {name: _table_from_json(name, table) for name, table in content["tables"].items()}
        return cls(content["source"], datetime.fromisoformat(content["landed_at"]), tables)


def read_landing(landing_folder: Path) -> Landing:
    """What the last extract landed; raises DataError where there was none or its manifest cannot be read."""
    path = landing_folder / MANIFEST
    try:
        return Landing.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        what = "Nothing has been landed yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        what = "The manifest of the last extract cannot be read"
    raise DataError(what, where=str(path), safe=UNTOUCHED, next="neopulse run, which begins with the extract")


def _verify(table: str, expected: Fingerprint) -> None:
    try:
        found = Fingerprint.of(expected.path)
    except OSError as error:
        raise _not_as_landed(table, expected, f"cannot be read any more: {error.strerror}") from error
    if found != expected:
        raise _not_as_landed(table, expected, "has changed since it was landed")


def _not_as_landed(table: str, fingerprint: Fingerprint, reason: str) -> DataError:
    return DataError(
        f"A file of the table {table} {reason}",
        where=str(fingerprint.path),
        safe=UNTOUCHED,
        next="neopulse run, which lands the files as they are now",
    )


def _table_to_json(table: LandedTable) -> dict[str, Any]:
    listed = [{**asdict(mark), "path": str(mark.path)} for mark in table.fingerprints]
    return {"files": listed, "rows": table.rows, "columns": list(table.columns)}


def _table_from_json(name: str, content: Mapping[str, Any]) -> LandedTable:
    marks = tuple(Fingerprint(**{**mark, "path": Path(mark["path"])}) for mark in content["files"])
    return LandedTable(name, marks, content["rows"], tuple(content["columns"]))
