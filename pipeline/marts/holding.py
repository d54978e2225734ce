"""The key figures as one place holds them: the published version itself, the sheet, an export for Power BI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self

from pipeline.marts.headline import SHOWN
from pipeline.marts.question import Question
from pipeline.marts.reader import Reader

CUSTOMERS, TRANSACTIONS, AMOUNT = "customers", "transactions", "transaction_amount"
FIGURES = (CUSTOMERS, *SHOWN, TRANSACTIONS, AMOUNT)
"""Customers in all, the headline figures, and transactions and amount in USD of the last whole month."""


@dataclass(frozen=True)
class Holding:
    """What is held: figures by name (a missing one is not held there), and of which version and last day they say to be."""

    version: str
    as_of: date | None
    figures: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The holding in plain JSON values."""
        return {"version": self.version, "as_of": self.as_of and self.as_of.isoformat(), "figures": dict(self.figures)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The holding out of its JSON values; raises KeyError, ValueError or TypeError elsewhere."""
        as_of = content["as_of"]
        return cls(str(content["version"]), as_of and date.fromisoformat(as_of), dict(content["figures"]))


def published(reader: Reader) -> Holding:
    """What the version itself answers, as the app and the command line read it."""
    version = reader.version
    figures: dict[str, float | None] = {CUSTOMERS: float(sum(reader.population(Question("active_customers")).values()))}
    figures |= {figure.metric.name: figure.value for figure in reader.headline()}
    month = last_whole_month(version.as_of)
    for name in (TRANSACTIONS, AMOUNT):
        rows = reader.answer(Question(name, start=month, end=month)).rows()
        figures[name] = round(float(rows[0]["value"]), 2) if rows else 0.0
    return Holding(version.name, version.as_of, figures)


def last_whole_month(as_of: date) -> date:
    """The first day of the last calendar month whose last day is loaded."""
    after = as_of + timedelta(days=1)
    return (after.replace(day=1) - timedelta(days=1)).replace(day=1)
