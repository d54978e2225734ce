"""The bank's raw tables from a folder of CSV or Parquet files.

A table is one file or many: `transactions.csv`, `transactions*.parquet`, `transactions/*.csv.gz`. Parquet is read where
it lies; a CSV is turned into Parquet of strings once, and again only when it has changed. Columns are found by their
exact name (spaces around it do not count) in any order; columns that nobody asks for are left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, DataError, TransientError
from pipeline.sources import csv_text
from pipeline.sources.landing import UNTOUCHED, Fingerprint, LandedTable, Landing
from pipeline.sources.schema import RAW_TABLES, RawTable

PARQUET, CSV, ZIPPED_CSV = ".parquet", ".csv", ".csv.gz"
ARCHIVES = (".zip", ".bz2", ".xz", ".zst")
FORMS = (PARQUET, CSV, ZIPPED_CSV)
NEVER_EMPTY = ("transactions",)  # without a transaction there is no bank day to report on
CONVERSION = 1  # another number makes every conversion anew
AGAIN = "then neopulse run"
_LIKE_DATA = re.compile(r"[.](csv|tsv|parquet|parq|pq)([.](gz|zip|bz2|xz|zst))?$", re.IGNORECASE)

Progress = Callable[[float | None, str], None]


@dataclass(frozen=True)
class Source:
    """The files of one raw table, all of one form."""

    table: RawTable
    form: str
    paths: tuple[Path, ...]


def land(folder: Path, landing_folder: Path, *, source: str = "files", clock: Clock, progress: Progress) -> Landing:
    """Land every raw table of a folder; what was landed before stays in force until the new manifest is written.

    Raises ConfigurationError where the folder or a file cannot be read, and DataError that names file, line or column
    where its content cannot be used.
    """
    found = find(folder)
    converter = _Converter(files.make_folder(landing_folder), found, progress)
    tables = [_land_table(each, converter) for each in found]
    landing = Landing(source, clock.now(), {table.name: table for table in tables})
    landing.write(landing_folder)
    _remove_stale(landing_folder, landing)
    return landing


def find(folder: Path) -> list[Source]:
    """The files of every raw table in a folder, each with all its columns.

    Raises ConfigurationError where the folder cannot be read, DataError where a table or a column is lacking or a file of a
    table would be passed over.
    """
    readable = _readable(folder)
    found = [source for table in RAW_TABLES.values() if (source := _find_table(readable, table))]
    with _faults_of(readable):
        _refuse_passed_over(readable, {path for source in found for path in source.paths})
    for source in found:
        for path in source.paths:
            _check_columns(source, path)
    return found


def _readable(folder: Path) -> Path:
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of the bank's files cannot be read: {error.strerror}",
            where=f"NEOPULSE_RAW={folder}",
            safe=UNTOUCHED,
            next=f"set NEOPULSE_RAW to the folder that holds {', '.join(RAW_TABLES)}, {AGAIN}",
        ) from error
    return folder.resolve()


def _find_table(folder: Path, table: RawTable) -> Source | None:
    found = [*_sources(folder, table, f"{table.name}*"), *_sources(folder / table.name, table, "*")]
    if len(found) > 1:
        raise DataError(
            f"The table {table.name} is there in more than one form: reading all would count its rows more than once",
            where=", ".join(str(source.paths[0]) for source in found),
            safe=UNTOUCHED,
            next=f"leave one form of {table.name} in the folder, {AGAIN}",
        )
    if not found and not table.optional:
        raise _table_missing(folder, table)
    return found[0] if found else None


def _sources(folder: Path, table: RawTable, pattern: str) -> list[Source]:
    by_form = {form: tuple(sorted(path for path in folder.glob(pattern + form) if _is_data(path))) for form in FORMS}
    return [Source(table, form, paths) for form, paths in by_form.items() if paths]


def _is_data(path: Path) -> bool:
    """Hidden files and the marks that other tools leave (`_SUCCESS`) are not the bank's."""
    return not path.name.startswith((".", "_")) and not path.is_dir()


def _refuse_passed_over(folder: Path, read: set[Path]) -> None:
    """Raise DataError where a file that is named like one of a table is none of those that are read.

    By inode too: where letters are alike to the file system, the folder `Transactions` is `transactions`. The archive beside
    the file that was unpacked from it is that file.
    """
    inodes = {path.stat().st_ino for path in read if path.exists()}

    def is_read(path: Path) -> bool:
        return path in read or (path.exists() and path.stat().st_ino in inodes)

    begin = [path for path in folder.iterdir() if path.name.lower().startswith(tuple(RAW_TABLES))]
    there = sorted(path for first in begin for path in (first, *first.rglob("*")))
    passed_over = [path for path in there if _is_like_data(path.relative_to(folder)) and path.is_file()]
    unpacked = {path for path in passed_over if path.suffix in ARCHIVES and is_read(path.with_suffix(""))}
    if left_out := [path for path in passed_over if path not in unpacked and not is_read(path)]:
        count = "1 file that is" if len(left_out) == 1 else f"{len(left_out)} files that are"
        raise DataError(
            f"{count} named like those of a table would not be read: {left_out[0].relative_to(folder)}",
            where=str(folder),
            safe=UNTOUCHED,
            next=f"unpack it, let its name end with {', '.join(FORMS)}, in small letters, and put it beside the others, not in a "
            f"folder of its own; or begin its name with _, so that it stays out, {AGAIN}",
        )


def _is_like_data(path: Path) -> bool:
    return bool(_LIKE_DATA.search(path.name)) and not any(part.startswith((".", "_")) for part in path.parts)


def _table_missing(folder: Path, table: RawTable) -> DataError:
    alike = [path for path in folder.iterdir() if path.name.lower().startswith(table.name[:4])]
    near = sorted(str(_first_within(path).relative_to(folder)) for path in alike)
    return DataError(
        f"The table {table.name} is missing" + (f"; the nearest is {', '.join(near[:5])}" if near else ""),
        where=str(folder),
        safe=UNTOUCHED,
        next=f"put {table.name}.csv, {table.name}*.parquet or {table.name}/*.csv.gz there{_or_its_first_line(table)}, {AGAIN}",
    )


def _first_within(path: Path) -> Path:
    """The first file below a folder that is like data, as `transactions/year=2019/part.parquet`; else the path itself."""
    return min((inner for inner in path.rglob("*") if _is_like_data(inner.relative_to(path))), default=path)


def _or_its_first_line(table: RawTable) -> str:
    if table.name in NEVER_EMPTY:
        return ""
    return f" (where the bank has none: {table.name}.csv with the line {','.join(table.columns)} alone)"


def _check_columns(source: Source, path: Path) -> None:
    names = _column_names(source, path)
    wanted = source.table.columns
    missing = [column for column in wanted if column not in names]
    if len(missing) == len(wanted):
        raise _faulty(path, f"has none of the columns of {source.table.name} in its first line: {_first_line(names)}")
    if missing:
        raise _faulty(path, f"has no column {', '.join(missing)}; it has {', '.join(names)}"[:400])
    # to DuckDB, which finds the columns of Parquet by their names, USER_ID is user_id
    alike = [name.lower() for name in names] if source.form == PARQUET else names
    if repeated := [column for column in wanted if alike.count(column) > 1]:
        raise _faulty(path, f"has the column {repeated[0]} more than once")


def _first_line(names: Sequence[str]) -> str:
    line = ", ".join(names)[:120]
    return line + ("; values are separated by commas, not semicolons" if len(names) == 1 and ";" in line else "")


def _column_names(source: Source, path: Path) -> list[str]:
    with _faults_of(path):
        if source.form == PARQUET:
            return list(pa.parquet.read_schema(path).names)
        return list(csv_text.read_header(path))


def _land_table(source: Source, converter: _Converter) -> LandedTable:
    landed = source.paths if source.form == PARQUET else tuple(converter.convert(source.table, path) for path in source.paths)
    rows = sum(_rows(path) for path in landed)
    if not rows and source.table.name in NEVER_EMPTY:
        raise _faulty(source.paths[0], f"holds no row, and no other file of {source.table.name} does")
    return LandedTable(source.table.name, tuple(Fingerprint.of(path) for path in landed), rows, source.table.columns)


def _rows(path: Path) -> int:
    with _faults_of(path):
        return int(pa.parquet.read_metadata(path).num_rows)


class _Converter:
    """Turns the CSV files of an extract into Parquet, and tells how far it is by the bytes taken of all of them."""

    def __init__(self, landing_folder: Path, sources: Sequence[Source], progress: Progress) -> None:
        self._folder = landing_folder
        self._progress = progress
        self._bytes = sum(path.stat().st_size for source in sources if source.form != PARQUET for path in source.paths)
        self._done = 0

    def convert(self, table: RawTable, path: Path) -> Path:
        """The Parquet of a CSV: the one made before where the file has not changed since."""
        with _faults_of(path):
            before = Fingerprint.of(path)
            target = files.make_folder(self._folder / table.name) / f"{_digest(table, path)}{PARQUET}"
            if not target.exists():
                with files.beside(target) as unfinished:
                    csv_text.to_parquet(path, unfinished, table.columns, progress=lambda done: self._tell(path, done))
                    _refuse_change(before)
        self._done += before.size
        return target

    def _tell(self, path: Path, done: int) -> None:
        self._progress(min((self._done + done) / max(self._bytes, 1), 1.0), f"reading {path.name}")


def _digest(table: RawTable, path: Path) -> str:
    mark = Fingerprint.of(path)
    told = (CONVERSION, table.columns, str(path), mark.size, mark.modified_ns, mark.changed_ns)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:20]


def _refuse_change(before: Fingerprint) -> None:
    path = before.path
    if Fingerprint.of(path) != before:
        raise TransientError(
            f"{path.name} changed while it was read: something is still writing it",
            where=str(path),
            safe=UNTOUCHED,
            next="wait until the file is complete, " + AGAIN,
        )


def _remove_stale(landing_folder: Path, landing: Landing) -> None:
    """Drop conversions that the manifest no longer lists; whatever a crash left behind goes with them."""
    listed = {path for table in landing.tables.values() for path in table.files}
    for name in RAW_TABLES:
        for path in (landing_folder / name).glob("*"):
            if path not in listed:
                path.unlink(missing_ok=True)


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except csv_text.FaultyCsvError as error:
        raise _faulty(path, f"cannot be used: {error}") from error
    except PermissionError as error:
        raise ConfigurationError(
            f"{path.name} may not be read by this user",
            where=error.filename or str(path),
            safe=UNTOUCHED,
            next=f"chmod +r {path}, {AGAIN}",
        ) from error
    except pa.ArrowException as error:
        raise _faulty(path, f"is not a whole Parquet file: it is cut off or damaged ({error})") from error
    except OSError as error:
        raise _faulty(path, f"could not be landed: {error.strerror or error}") from error


def _faulty(path: Path, fault: str) -> DataError:
    remedy = f"mend {path.name} or export it again, {AGAIN}"
    return DataError(f"{path.name} {fault}", where=str(path), safe=UNTOUCHED, next=remedy)
