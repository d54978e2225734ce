"""A run whose lease was lost while it worked: each arm of the chain asks before it acts, and then does not act."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hand_made import publish_customers

from pipeline import marts, steps
from pipeline.clock import FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.marts.holding import Holding
from pipeline.runner import Order, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sheets import held, layout
from pipeline.sheets.base import Tab
from pipeline.warehouse.publication import Publications

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
WRITES = {"sheet": "sheet", "activate": "destinations", "notify": "outbox"}
TAB = Tab("Figures", "as of a day", ("day", "customers"), ("date", "count"), (12, 12), (), keys=1)


class Bank:
    """What the arms read of a version, as far as these three steps ask for it."""

    def headline(self) -> tuple[()]:
        return ()

    def thin_tail(self) -> None:
        return None

    def data_quality(self) -> pa.Table:
        return pa.table({"rows_affected": pa.array([], pa.int64()), "disposition": pa.array([], pa.string())})


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A chain with a published version, whose arms are the real ones with their defaults."""
    clock = FixedClock(NOW)
    settings = Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]
    publish_customers(tmp_path, 10, clock=clock)
    real = marts.reader
    monkeypatch.setattr(marts, "reader", lambda version: SimpleNamespace(relation=real(version).relation, **vars_of(Bank())))
    monkeypatch.setattr(layout, "tabs", lambda _reader, **_language: (TAB,))
    monkeypatch.setattr(held, "of_tabs", lambda _tabs, _registry: Holding("v0001", None))
    return Runner(
        settings=settings,
        store=RunStore.open(settings.run_store_url, clock=clock),
        publications=Publications(tmp_path, keep=5),
        clock=clock,
        holders=Holders(tmp_path / "holders"),
    )


def vars_of(bank: Bank) -> dict[str, object]:
    return {"headline": bank.headline, "thin_tail": bank.thin_tail, "data_quality": bank.data_quality, "registry": {}}


def written(home: Path, step: str) -> list[str]:
    folder = home / WRITES[step]
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


@pytest.mark.parametrize("step", WRITES)
def test_an_arm_acts_while_the_lease_is_held(runner: Runner, step: str) -> None:
    run = runner.execute(Order("cli", "ada", first_step=step, only_step=True), cancelled=lambda: False)
    assert run.state is RunState.SUCCEEDED, run.error
    assert written(runner.settings.home, step) != []


@pytest.mark.parametrize("step", WRITES)
def test_an_arm_does_nothing_once_somebody_else_holds_the_lease(runner: Runner, step: str) -> None:
    real = steps.run_step

    def late(name: str, context: StepContext) -> StepResult:
        """The machine slept for so long that the run was closed and another one began; nobody has told it yet."""
        assert context.store.reap(lambda _holder: True)
        context.store.take_lease("another machine", seconds=40)
        return real(name, context)

    run = replace(runner, run_step=late).execute(Order("cli", "ada", first_step=step, only_step=True), cancelled=lambda: False)
    assert run.state is RunState.INTERRUPTED
    assert written(runner.settings.home, step) == []
    assert runner.store.waiting() == []
    lease = runner.store.lease()
    assert lease is not None
    assert lease.holder == "another machine"
