"""Columns of text for the demo bank, formed many rows at a time: words, numbered ids and the three timestamp spellings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from pipeline.sources.demo_draws import Integers
from pipeline.sources.demo_facts import FIRST_DAY

MINUTE = 60_000_000
DAY = 1440 * MINUTE
"""Microseconds of a day: every moment of the demo bank is microseconds since its first midnight, UTC."""

SPELLINGS = (" UTC", "+00:00", "")
SPELLING_WEIGHTS = (95, 3, 2)

_DAYS = 1000
_MOMENT = np.dtype([("day", "S11"), ("minute", "S6"), ("second", "S3"), ("milli", "S3"), ("micro", "S3"), ("zone", "S6")])


def since_start(moment: datetime) -> int:
    """Microseconds from the bank's first midnight to a moment."""
    return (moment - datetime.combine(FIRST_DAY, time())) // timedelta(microseconds=1)


def words(codes: NDArray[Any], vocabulary: Sequence[str] | pa.Array) -> pa.Array:
    """Text of codes into a vocabulary; code -1 is no value."""
    texts = vocabulary if isinstance(vocabulary, pa.Array) else pa.array(vocabulary, pa.string())
    absent = codes < 0
    indices = pa.array(codes, pa.int32(), mask=absent if absent.any() else None, safe=False)
    return pa.DictionaryArray.from_arrays(indices, texts)


def numbered(prefix: str, numbers: Integers) -> pa.Array:
    """`prefix` and a number, such as `user_12`."""
    return compute.binary_join_element_wise(prefix, compute.cast(pa.array(numbers), pa.string()), "")


def moments(at: Integers, spellings: NDArray[np.uint8]) -> pa.Array:
    """Timestamps in the spelling that each code names, a position in SPELLINGS."""
    cells = np.empty(len(at), dtype=_MOMENT)
    day, rest = np.divmod(at, DAY)
    minute, rest = np.divmod(rest.astype(np.uint64), np.uint64(MINUTE))
    rest = rest.astype(np.uint32)
    second, rest = np.divmod(rest, np.uint32(1_000_000))
    milli, micro = np.divmod(rest, np.uint32(1_000))
    for name, codes in zip(_PARTS, (day, minute, second, milli, micro, spellings), strict=True):
        cells[name] = _PARTS[name][codes]
    return _packed(cells, spellings)


def _packed(cells: NDArray[Any], spellings: NDArray[np.uint8]) -> pa.Array:
    """Text of varying length out of cells of fixed width: the bytes past each row's own length fall away."""
    fixed = _MOMENT.itemsize - _MOMENT["zone"].itemsize
    lengths = np.array([fixed + len(spelling) for spelling in SPELLINGS], dtype=np.int32)[spellings]
    offsets = np.zeros(len(cells) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    data = cells.view(np.uint8).reshape(len(cells), _MOMENT.itemsize)
    kept = np.arange(_MOMENT.itemsize, dtype=np.int32) < lengths[:, None]
    return pa.StringArray.from_buffers(len(cells), pa.py_buffer(offsets), pa.py_buffer(data[kept]))


_PARTS: dict[str, NDArray[np.bytes_]] = {
    "day": np.array([f"{FIRST_DAY + timedelta(days=day)} " for day in range(_DAYS)], dtype="S11"),
    "minute": np.array([f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)], dtype="S6"),
    "second": np.array([f"{second:02d}." for second in range(60)], dtype="S3"),
    "milli": np.array([f"{number:03d}" for number in range(1000)], dtype="S3"),
    "micro": np.array([f"{number:03d}" for number in range(1000)], dtype="S3"),
    "zone": np.array(SPELLINGS, dtype="S6"),
}
