"""A CSV file (RFC 4180, UTF-8, commas) turned into Parquet of strings, or refused with the line and the reason.

Arrow reads: it takes every mixture of line ends and streams in little memory. It is lenient with quotation marks, so
that a forgotten one would swallow lines unseen; `QuotationMarks` watches for that on the way, and a file in doubt is
read once more by Python's strict reader, which also finds the line of any other fault.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

BLOCK_BYTES = 4 * 2**20  # no record may be longer
ROW_GROUP = 122_880  # rows; what DuckDB works in
HEADER_BYTES = 2**16
LINE_ENDS = b"\r\n"
QUOTE = ord('"')
AROUND_VALUES = np.frombuffer(b',\r\n"', np.uint8)
UTF8_MARK = b"\xef\xbb\xbf"


class FaultyCsvError(Exception):
    """The file is not a CSV that can be trusted; the text says why, with the line where there is one."""


@dataclass(frozen=True)
class CsvHeader:
    """The names in a file's first line, and the bytes that were read behind it."""

    names: tuple[str, ...]
    rest: bytes


def read_header(path: Path) -> tuple[str, ...]:
    """The names of a CSV's columns, without spaces around them; raises FaultyCsvError where there is no text."""
    with _open(path) as stream:
        return _take_header(stream).names


def to_parquet(source: Path, target: Path, columns: Sequence[str], *, progress: Callable[[int], None]) -> int:
    """Write the named columns of a CSV as strings (empty text is null) and return the number of rows.

    `progress` is told the bytes of the source taken so far. Raises FaultyCsvError.
    """
    try:
        with _open(source) as stream:
            header = _take_header(stream)
            watched = _Watched(header.rest, stream)
            rows = _write(_told(_batches(watched, header, columns), watched, progress), target, columns)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise FaultyCsvError(find_fault(source) or str(error)) from error
    if watched.marks.doubtful and (fault := find_fault(source)):
        raise FaultyCsvError(fault)
    return rows


def find_fault(path: Path) -> str | None:
    """The first fault of a file as a strict reader sees it, with its line; None where there is none."""
    return _not_utf8(path) or _not_csv(path)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as raw:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error) as error:
        raise FaultyCsvError("the file is cut off: its compressed content ends too early") from error
    except gzip.BadGzipFile as error:
        raise FaultyCsvError("the file is named .gz but is not compressed by gzip, or is damaged") from error


def _take_header(stream: BinaryIO) -> CsvHeader:
    start = stream.read(HEADER_BYTES).removeprefix(UTF8_MARK).lstrip(LINE_ENDS)
    if not start:
        raise FaultyCsvError("the file is empty: it has not even a header line")
    end = min((place for place in (start.find(b"\r"), start.find(b"\n")) if place >= 0), default=len(start))
    try:
        names = next(csv.reader([start[:end].decode("utf-8")]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FaultyCsvError("line 1 is not text in UTF-8") from error
    if b"\0" in start[:end]:
        raise FaultyCsvError("line 1 is not text in UTF-8")
    return CsvHeader(tuple(name.strip() for name in names), start[end:])


def _write(batches: Iterator[pa.RecordBatch], target: Path, columns: Sequence[str]) -> int:
    schema = pa.schema([(column, pa.string()) for column in columns])
    rows = 0
    with pa.parquet.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for table in _row_groups(batches, columns):
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _row_groups(batches: Iterator[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    for batch in batches:
        gathered.append(batch)
        if sum(each.num_rows for each in gathered) >= ROW_GROUP:
            yield pa.Table.from_batches(gathered).rename_columns(list(columns))
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered).rename_columns(list(columns))


def _batches(watched: _Watched, header: CsvHeader, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if watched.is_empty():
        return
    # columns go by their place, so that any name may stand in a header, also twice where nobody asks for it
    places = [str(place) for place in range(len(header.names))]
    wanted = [str(header.names.index(column)) for column in columns]
    yield from pa.csv.open_csv(
        pa.PythonFile(watched, mode="r"),
        read_options=pa.csv.ReadOptions(column_names=places, block_size=BLOCK_BYTES),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={place: pa.string() for place in places},
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _told(batches: Iterator[pa.RecordBatch], watched: _Watched, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    """The same batches, telling how much of the source they are: Arrow reads many blocks ahead of what it hands out."""
    for number, batch in enumerate(batches, start=1):
        progress(int(watched.position * min(number * BLOCK_BYTES / watched.taken, 1.0)))
        yield batch


class _Watched(io.RawIOBase):
    """The bytes behind a header, whose quotation marks are looked at as they pass."""

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start = start
        self._stream = stream
        self.taken = 0
        self.marks = QuotationMarks()

    def is_empty(self) -> bool:
        """Whether nothing but line ends is left; takes leading line ends away."""
        while not (start := self._start.lstrip(LINE_ENDS)) and (more := self._stream.read(HEADER_BYTES)):
            self._start = more
        self._start = start
        return not start

    @property
    def position(self) -> int:
        """Bytes of the file taken so far; fewer than `taken` where it is compressed."""
        return self._stream.fileobj.tell() if isinstance(self._stream, gzip.GzipFile) else self._stream.tell()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken, self._start = (self._start, b"") if size < 0 else (self._start[:size], self._start[size:])
        taken += self._stream.read(size - len(taken) if size >= 0 else -1)
        self.taken += len(taken)
        self.marks.see(taken)
        return taken


class QuotationMarks:
    """Whether every quotation mark so far opens, closes or doubles where RFC 4180 lets it."""

    def __init__(self) -> None:
        self._inside = False
        self._last = LINE_ENDS[-1]
        self._out_of_place = False

    @property
    def doubtful(self) -> bool:
        """True where a mark stands inside a bare value, behind a closed one, or was never closed."""
        return self._out_of_place or self._inside

    def see(self, block: bytes) -> None:
        """Look at the next block of the file."""
        if not block or self._out_of_place:
            return
        # one byte from the block before, so that each mark has a neighbour; the mark in it was counted there
        content = np.frombuffer(bytes([self._last]) + block, np.uint8)
        marks = np.flatnonzero(content[1:] == QUOTE) + 1
        opens = (np.arange(len(marks)) + self._inside) % 2 == 0
        closed = marks[~opens]
        if not self._inside and self._last == QUOTE:
            closed = np.append(closed, 0)
        self._out_of_place = not (_all_around(content[marks[opens] - 1]) and _all_around(_following(content, closed)))
        self._inside ^= bool(len(marks) % 2)
        self._last = block[-1]


def _following(content: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
    return content[places[places + 1 < len(content)] + 1]


def _all_around(neighbours: npt.NDArray[np.uint8]) -> bool:
    return bool(np.isin(neighbours, AROUND_VALUES).all())


def _not_utf8(path: Path) -> str | None:
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"line {number} is not text in UTF-8 (byte 0x{line[error.start]:02x} at place {error.start + 1}); "
                    "the file may be in Latin-1: save or convert it as UTF-8"
                )
    return None


def _not_csv(path: Path) -> str | None:
    with _open(path) as stream:
        reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True)
        fields, line = 0, 1
        try:
            for record in reader:
                fields = fields or len(record)
                if record and len(record) != fields:
                    return f"line {line} has {len(record)} values where the header has {fields}"
                line = reader.line_num + 1
        except csv.Error as error:
            return f"line {line} cannot be read: {error}"
    return None
