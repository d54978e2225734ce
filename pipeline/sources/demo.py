"""The demo bank: a synthetic bank's raw files, any size, the same for the same size and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from pipeline import files
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_customers import Customers, device_rows, draw_customers, user_rows
from pipeline.sources.demo_notifications import notification_rows
from pipeline.sources.demo_transactions import Transactions
from pipeline.sources.schema import RAW_TABLES

FORMAT = 1
"""Number of the generator's edition: another one may make another bank of the same size and seed."""
MANIFEST = "demo.json"
SMALLEST = 1000

Progress = Callable[[int, int], None]

# Columns in which hardly a value comes twice.
_DISTINCT = frozenset({"transaction_id", "created_date", "string_field_1"})


def generate(folder: Path, *, transactions: int, seed: int, progress: Progress | None = None) -> None:
    """Write a bank of that many different transactions, and customers in proportion, as `<table>.parquet` of strings.

    The files appear when all are whole, `demo.json` (size, seed, format number, rows) last of all. `progress` is called
    with the transactions written so far and their total. Raises ConfigurationError for a size, a seed or a folder that
    cannot be used, and PermanentError where the disk refuses.
    """
    _check(transactions, seed)
    files.make_folder(folder)
    try:
        files.remove_remains(folder, {f"{name}.parquet" for name in RAW_TABLES}.__contains__)
        rows = _write_tables(folder, transactions=transactions, seed=seed, progress=progress)
        files.write_json(folder / MANIFEST, {"format": FORMAT, "transactions": transactions, "seed": seed, "rows": rows})
    except OSError as error:
        raise PermanentError(
            f"The demo bank could not be written: {error.strerror or error}",
            where=str(folder),
            safe="no half-written bank is left behind",
            next="make room or choose another folder, then do it again",
        ) from error


def _check(transactions: int, seed: int) -> None:
    if transactions < SMALLEST:
        raise ConfigurationError(
            f"A demo bank has at least {SMALLEST} transactions, not {transactions}", where="the number of transactions"
        )
    if seed < 0:
        raise ConfigurationError(f"The seed of a demo bank is 0 or more, not {seed}", where="the seed")


def _write_tables(folder: Path, *, transactions: int, seed: int, progress: Progress | None) -> dict[str, int]:
    """Write all tables beside, then rename them together; the manifest of an earlier bank goes first."""
    random = np.random.default_rng(seed)
    customers = draw_customers(random, max(5, round(transactions * facts.CUSTOMERS / facts.TRANSACTIONS)))
    tables = _tables(random, customers, transactions, progress)
    rows = {}
    with ExitStack() as parts:
        for name, pieces in tables:
            part = parts.enter_context(files.beside(folder / f"{name}.parquet"))
            rows[name] = _write(part, name, pieces)
        (folder / MANIFEST).unlink(missing_ok=True)
    return rows


def _tables(
    random: np.random.Generator, customers: Customers, transactions: int, progress: Progress | None
) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    yield "users", user_rows(random, customers)
    yield "devices", iter([device_rows(customers)])
    yield "notifications", notification_rows(random, customers)
    yield "transactions", _reported(Transactions(random, customers, transactions).slices(), transactions, progress)


def _reported(slices: Iterator[pa.Table], total: int, progress: Progress | None) -> Iterator[pa.Table]:
    written = 0
    for rows in slices:
        yield rows
        written += rows.num_rows
        if progress is not None:
            progress(min(written, total), total)


def _write(path: Path, name: str, pieces: Iterator[pa.Table]) -> int:
    """Write the pieces, one row group each, while the next one is formed; the number of rows."""
    piece = next(pieces)
    rows: int = piece.num_rows
    with _writer(path, name, piece.schema) as writer, ThreadPoolExecutor(max_workers=1) as background:
        writing = background.submit(writer.write_table, piece, row_group_size=rows)
        for piece in pieces:
            rows += piece.num_rows
            writing.result()
            writing = background.submit(writer.write_table, piece, row_group_size=piece.num_rows)
        writing.result()
    return rows


def _writer(path: Path, name: str, schema: pa.Schema) -> parquet.ParquetWriter:
    repeated = [column for column in RAW_TABLES[name].columns if column not in _DISTINCT]
    # Without the Arrow schema in it, each column of the file is plain text to every reader.
    return parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        dictionary_pagesize_limit=4 << 20,
        write_statistics=[column for column in RAW_TABLES[name].columns if column == "created_date"],
        store_schema=False,
    )
