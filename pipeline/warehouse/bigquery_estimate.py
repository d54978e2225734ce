"""What a full refresh would scan and cost, before it is begun."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.bigquery import TIB, BigQuery
from pipeline.sources.bigquery import BankTable

SCHEMAS = ("warehouse", "marts")
_REFERENCE = re.compile(r"ref\('(\w+)'\)")


@dataclass(frozen=True)
class Estimate:
    """Bytes that a full refresh scans: of the bank's tables, and of what is built at most; None before the first build."""

    reading: int
    building: int | None

    def in_words(self, usd_per_tib: float) -> str:
        """The estimate as one sentence, with money where there is a price."""
        parts = [f"{_amount(self.reading, usd_per_tib)} of the bank's tables"]
        if self.building is None:
            parts.append("what its models read of each other is not known before the first run")
        else:
            parts.append(f"at most {_amount(self.building, usd_per_tib)} of what it builds itself")
        return "A full refresh scans " + ", and ".join(parts)


def full_refresh(connection: BigQuery, bank: Iterable[BankTable], *, prefix: str, project: Path) -> Estimate:
    """Ask BigQuery what reading the bank would scan, and count each table of the state as often as a model or test names it.

    A query reads only the columns that it needs, so what is built scans less than that.
    """
    reading = sum(connection.bytes_of(table.as_text()) for table in bank)
    readers = _readers(project)
    building, known = 0, False
    for schema in SCHEMAS:
        for name in connection.tables(f"{prefix}_{schema}"):
            table = connection.table(f"{prefix}_{schema}.{name}")
            known = True
            building += int(table.num_bytes or 0) * max(readers[name], 1) if table is not None else 0
    return Estimate(reading, building if known else None)


def in_units(size: float) -> str:
    """A number of bytes as people say it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def _readers(project: Path) -> Counter[str]:
    """How many models and tests name each model."""
    texts = (path.read_text(encoding="utf-8") for folder in ("models", "tests") for path in (project / folder).rglob("*.sql"))
    return Counter(name for text in texts for name in set(_REFERENCE.findall(text)))


def _amount(size: int, usd_per_tib: float) -> str:
    return in_units(size) + (f" (about {size / TIB * usd_per_tib:,.2f} USD)" if usd_per_tib else "")
