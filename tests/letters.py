"""What a run tells, made by hand: a version, its headline, and the letters about them; a chain that has only its last step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline import steps as chain
from pipeline.clock import Clock, FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import DataError
from pipeline.marts import Headline
from pipeline.marts.thin_tail import ThinTail
from pipeline.metrics import Metric
from pipeline.notify.event import Event, Rows, failure, success
from pipeline.notify.letter import Letter
from pipeline.runner import Order, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import Run
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import TestSummary, Version

PUBLISHED_AT = datetime(2019, 5, 17, 4, 12, 30, tzinfo=UTC)
AS_OF = date(2019, 5, 15)
SECRET = "a-secret-of-the-tests-0123456789"
ERROR = DataError(
    "2 of 120 tests failed", where="mart_churn", safe="Readers still see v0007", next="neopulse run --from transform"
)
MONDAY = datetime(2019, 5, 17, 4, 13, tzinfo=UTC)


def version(number: int = 7) -> Version:
    return Version(
        name=f"v{number:04}",
        number=number,
        folder=Path(f"versions/v{number:04}"),
        published_at=PUBLISHED_AT,
        run_id=11,
        as_of=AS_OF,
        source="files",
        inactivity_days=90,
        activity_rule="COMPLETED transactions, not FEE",
        bank_timezone="Europe/Paris",
        tests=TestSummary(passed=118, failed=0, warned=2, total=120),
        rows={},
    )


def headline() -> tuple[Headline, ...]:
    words = {"en": "Active customers", "fr": "Clients actifs"}
    metric = Metric("active_customers", words, words, "customers", "mart", "column")
    fields: dict[str, Any] = {"period": "day", "until": AS_OF, "n": None, "low": None, "high": None, "final_on": AS_OF}
    return (Headline(metric=metric, value=12_345.0, before=12_000.0, provisional=False, **fields),)


def told(run_id: int = 12, number: int = 7) -> Event:
    rows = Rows(read=2_740_075, rejected=31, written=512)
    address = "https://docs.google.com/spreadsheets/d/abc"
    return success(version(number), headline(), run_id=run_id, sheet=address, rows=rows, seconds=83.4)


def failed(run_id: int = 12) -> Event:
    return failure("transform", ERROR, run_id=run_id, at=PUBLISHED_AT, source="files", version=version(), seconds=9.5)


def letter(event: Event | None = None, language: str = "en") -> Letter:
    return Letter(event or told(), "neopulse@bank.example", ("ann@bank.example", "Bob <bob@bank.example>"), language)


class LastStep:
    """Runs of the chain whose work was done by hand: the last step is the real one, on the real run store."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock | None = None, **settings: Any) -> None:
        self.clock = clock or FixedClock(MONDAY)
        self.settings = Settings(home=home, raw=home, mail_to=("ann@bank.example",), _env_file=None, **settings)  # type: ignore[call-arg]
        self.store = RunStore.open(self.settings.run_store_url, clock=self.clock)
        self.number = 7
        self.tail: ThinTail | None = None
        self.breaks_at: str | None = None
        problems = [{"disposition": "rejected", "rows_affected": 31}, {"disposition": "kept", "rows_affected": 5}]
        quality = pa.Table.from_pylist(problems)
        reading = SimpleNamespace(headline=headline, data_quality=lambda: quality, thin_tail=lambda: self.tail)
        monkeypatch.setattr("pipeline.marts.reader", lambda _version: reading)

    def run(self, **order: Any) -> Run:
        """One run, to its end."""
        told = {name: lambda: version(self.number) for name in ("current", "readable_current")}
        publications = SimpleNamespace(**told, in_words=lambda: "Readers still see a version")
        runner = Runner(
            settings=self.settings,
            store=self.store,
            publications=publications,  # type: ignore[arg-type]
            clock=self.clock,
            holders=Holders(self.settings.home / "holders"),
            run_step=self._step,
        )
        return runner.execute(Order("cli", "the tests", **order), cancelled=lambda: False)

    def _step(self, name: str, context: StepContext) -> StepResult:
        if name == self.breaks_at:
            raise ERROR
        details: Mapping[str, Mapping[str, Any]] = {"extract": {"tables": {}}, "sheet": {"location": "sheet.xlsx"}}
        rows = {"extract": (2_740_075, 2_740_075), "sheet": (512, 512)}.get(name, (None, None))
        return chain.run_step(name, context) if name == "notify" else StepResult("by hand", *rows, details.get(name, {}))
