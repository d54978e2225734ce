"""What each sync has at its destination: a Parquet file of keys and row hashes, and a journal of what was taken since.

    syncs/customer_status.parquet    key, hash; replaced whole by one rename; its metadata say which generation it is
    syncs/customer_status.journal    one line a batch that the destination took, each flushed before the next is sent

The run store keeps the number of the newest generation, so that a file that is gone, damaged or of an old backup is noticed:
then nothing is known of what was sent, every row counts as new and nothing is deleted. A kill at any moment leaves the file
of before with its journal, or the new file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import duckdb
import pyarrow as pa

from pipeline import files

POINTERS = "snapshots of the embedded reverse ETL"  # beside the syncs in the run store: sync to generation
UNKNOWN = 0  # the hash of a row of which only the key is known


class SentRows(Protocol):
    """Where small facts about what was sent are kept; the run store does."""

    def sent_rows(self, sync: str) -> dict[str, str]:
        """The facts kept under a name: key to text."""

    def replace_sent_rows(self, sync: str, changes: Mapping[str, str | None]) -> None:
        """Keep some more (key to text) or drop some (key to None)."""


@dataclass(frozen=True)
class Known:
    """What is known of what a sync sent; `note` says why it is less than there should be, `bank` whose customers it sent."""

    generation: int
    rows: int
    note: str = ""
    bank: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether there is a snapshot, and nothing of it is missing."""
        return self.generation > 0 and not self.note

    @property
    def is_lost(self) -> bool:
        """Whether there was a snapshot that is not there any more."""
        return self.note == _LOST


class Snapshots:
    """The snapshots in one folder."""

    def __init__(self, folder: Path, store: SentRows) -> None:
        self._folder = folder
        self._store = store

    def load(self, connection: duckdb.DuckDBPyConnection, sync: str, place: str) -> Known:
        """Make the table `sent` (key, hash) of what the sync has at that place. Writes no file."""
        connection.execute("create or replace temp table sent (key varchar, hash ubigint)")
        pointed = int(self._store.sent_rows(POINTERS).get(sync, 0))
        found = self._metadata(connection, sync)
        if found is None:
            return self._without_file(connection, sync, pointed)
        generation = int(found.get("generation", 0))
        if generation < pointed:
            return Known(pointed, 0, _LOST)
        if found.get("place") != place:
            return Known(generation, 0, _ELSEWHERE)
        connection.execute(
            "insert into sent select key, hash from read_parquet($1, hive_partitioning = false)",
            [files.literally(self._file(sync))],
        )
        self._replay(connection, sync, generation)
        return Known(generation, _count(connection, "sent"), bank=found.get("bank", ""))

    def journal(self, sync: str, known: Known) -> Journal:
        """Where what is taken from now on is noted down, batch by batch; `advance` has to come first once."""
        return Journal(self._journal(sync), known.generation)

    def sends(self, sync: str) -> int:
        """How often the sync came to its end; the same until the one that is going on does, however often it is begun."""
        return int(self._store.sent_rows(POINTERS).get(f"{sync} sends", 0))

    def sent(self, sync: str) -> None:
        """Note down that the sync came to its end."""
        self._store.replace_sent_rows(POINTERS, {f"{sync} sends": str(self.sends(sync) + 1)})

    def advance(
        self, connection: duckdb.DuckDBPyConnection, sync: str, place: str, known: Known, *, rows: str = "sent", bank: str = ""
    ) -> Known:
        """Make the rows of a table (key, hash) the snapshot, in one act; `bank` says whose customers they are."""
        path, generation = self._file(sync), known.generation + 1
        facts = f"generation: '{generation}', place: '{_escaped(place)}', bank: '{_escaped(bank)}'"
        files.make_folder(path.parent)
        with files.beside(path) as beside:
            connection.execute(
                f"copy (select key, hash from {rows} order by key) to '{_quoted(beside)}' "
                f"(format parquet, compression zstd, kv_metadata {{{facts}}})"
            )
        self._store.replace_sent_rows(POINTERS, {sync: str(generation)})
        self._journal(sync).unlink(missing_ok=True)
        return Known(generation, _count(connection, rows), bank=bank)

    def _without_file(self, connection: duckdb.DuckDBPyConnection, sync: str, pointed: int) -> Known:
        """A first run, one after a loss, or one after a neopulse that kept its keys in the run store."""
        if pointed:
            return Known(pointed, 0, _LOST)
        keys = list(self._store.sent_rows(sync))
        if keys:
            noted = pa.table({"key": keys})
            connection.register("noted", noted)
            connection.execute(f"insert into sent select key, {UNKNOWN} from noted")
            connection.unregister("noted")
        return Known(0, len(keys))

    def _replay(self, connection: duckdb.DuckDBPyConnection, sync: str, generation: int) -> None:
        changes = dict(_lines(self._journal(sync), generation))
        if changes:
            journal = pa.table({"key": list(changes), "hash": pa.array(changes.values(), pa.uint64())})
            connection.register("journal", journal)
            connection.execute("delete from sent where key in (select key from journal)")
            connection.execute("insert into sent select key, hash from journal where hash is not null")
            connection.unregister("journal")

    def _metadata(self, connection: duckdb.DuckDBPyConnection, sync: str) -> dict[str, str] | None:
        if not self._file(sync).exists():
            return None
        try:
            rows = connection.execute(
                "select decode(key), decode(value) from parquet_kv_metadata($1)", [files.literally(self._file(sync))]
            ).fetchall()
            connection.execute(
                "select count(*), max(hash) from read_parquet($1, hive_partitioning = false)", [files.literally(self._file(sync))]
            ).fetchall()
        except duckdb.Error:
            return None
        return dict(rows)

    def _file(self, sync: str) -> Path:
        return self._folder / f"{sync}.parquet"

    def _journal(self, sync: str) -> Path:
        return self._folder / f"{sync}.journal"


class Journal:
    """One run's notes about one sync."""

    def __init__(self, path: Path, generation: int) -> None:
        self._path = path
        self._generation = generation
        self._stream: IO[str] | None = None

    def took(self, taken: Mapping[str, int], deleted: Iterable[str] = ()) -> None:
        """Note down rows (key to hash) that the destination took and keys that it dropped; on the disk when this returns."""
        self._write({"taken": dict(taken), "deleted": list(deleted)})

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._stream is None:
            files.make_folder(self._path.parent)
            self._stream = self._path.open("w", encoding="utf-8")
            self._stream.write(json.dumps({"generation": self._generation}) + "\n")
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        files.flush(self._path)


def _lines(path: Path, generation: int) -> Iterable[tuple[str, int | None]]:
    """What a journal tells, in its order; one of another generation tells nothing, nor does a line that is not whole."""
    if not path.exists():
        return
    first, *lines = path.read_text(encoding="utf-8").split("\n")
    with suppress(ValueError):
        if json.loads(first).get("generation") != generation:
            return
        for line in lines:
            told = json.loads(line)
            yield from told["taken"].items()
            yield from ((key, None) for key in told["deleted"])


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    [(rows,)] = connection.execute(f"select count(*) from {table}").fetchall()
    return int(rows)


def _quoted(path: Path) -> str:
    return _escaped(str(path))


def _escaped(text: str) -> str:
    return text.replace("'", "''")


_LOST = "what was sent before is not known any more: every row counts as new, and nothing is deleted in this run"
_ELSEWHERE = "the destination is another one than before: every row counts as new; what was sent to the old one stays there"
