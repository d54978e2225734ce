"""Small helpers that give every answer the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.statistics import wilson

_COMMON = {
    "value": pa.float64(),
    "n": pa.int64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "final_on": pa.date32(),
    "provisional": pa.bool_(),
}


def finished(table: pa.Table, keys: Sequence[str], *, as_of: date, extra: Sequence[str] = ()) -> pa.Table:
    """The table with its keys first, the common columns in their order and types, then the extra ones.

    A common column that is missing is null; `provisional` follows from `final_on` and as_of, here and nowhere else.
    """
    columns = {name: table[name] for name in keys}
    for name, kind in _COMMON.items():
        given = table[name] if name in table.column_names else pa.nulls(table.num_rows, kind)
        columns[name] = given.cast(kind)
    columns["provisional"] = pc.greater(columns["final_on"], pa.scalar(as_of, pa.date32()))
    columns |= {name: table[name] for name in extra}
    return pa.table(columns)


def with_wilson(table: pa.Table, successes: str, n: str = "n", *, prefix: str = "") -> pa.Table:
    """The table with `low` and `high` of the share successes / n, their names after a prefix."""
    low, high = wilson(_numbers(table[successes]), _numbers(table[n]))
    return table.append_column(f"{prefix}low", nullable(low)).append_column(f"{prefix}high", nullable(high))


def nullable(values: Any) -> pa.Array:
    """Numbers as an Arrow column, NaN as null."""
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.float64()).to_numpy()
