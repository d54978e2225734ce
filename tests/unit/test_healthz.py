"""GET /healthz: 200 while the worker beats and its store answers, 503 else, and nothing in it that is nobody's business."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, TransientError
from pipeline.runs.records import Doing, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from worker.__main__ import health_server
from worker.health import Pulse, worker_name
from worker.healthz import HealthServer

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)


@pytest.fixture
def pulse() -> Pulse:
    pulse = Pulse()
    pulse.next_run_at = MONDAY + timedelta(days=1)
    return pulse


@pytest.fixture
def server(store: RunStore, pulse: Pulse, clock: FixedClock) -> Iterator[HealthServer]:
    with HealthServer(store, pulse, clock=clock, name="machine", address="127.0.0.1", port=0) as running:
        yield running


def ask(server: HealthServer, path: str = "/healthz", method: str = "GET") -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return (
        answer.status,
        json.loads(body) if body and answer.headers["Content-Type"] == "application/json" else body,
        dict(answer.headers),
    )


def test_a_worker_that_beats_is_well_and_tells_what_it_does(server: HealthServer, store: RunStore, clock: FixedClock) -> None:
    store.beat("machine", started_at=MONDAY, doing="waiting")
    clock.sleep(59)
    status, told, headers = ask(server)
    assert status == 200
    assert told == {
        "alive": True,
        "run_store": "answers",
        "doing": "waiting",
        "next_run_at": "2026-03-03T06:00:00+00:00",
        "last_beat_at": "2026-03-02T06:00:00+00:00",
        "seconds_since_beat": 59.0,
        "run": None,
        "lease_until": None,
    }
    assert headers["Cache-Control"] == "no-store"


def test_a_run_and_its_lease_are_told_without_the_name_of_anybody(server: HealthServer, store: RunStore, pulse: Pulse) -> None:
    store.beat("machine", started_at=MONDAY, doing="running")
    pulse.doing = Doing.RUNNING
    lease = store.take_lease("ada's laptop process 12", seconds=40)
    run = store.start_run(
        lease, trigger="cli", requested_by="ada@bank.example", plan=[("sheet", StepState.PENDING)], first_step="sheet"
    )
    status, told, _ = ask(server)
    assert (status, told["doing"], told["run"], told["lease_until"]) == (200, "running", run.id, "2026-03-02T06:00:40+00:00")
    assert "ada" not in json.dumps(told)


def test_a_worker_that_has_not_beaten_for_a_minute_is_not_well(server: HealthServer, store: RunStore, clock: FixedClock) -> None:
    assert ask(server)[0] == 503  # it never beat
    store.beat("another machine", started_at=MONDAY, doing="waiting")
    clock.sleep(2)
    assert ask(server)[0] == 503
    store.beat("machine", started_at=MONDAY, doing="waiting")
    clock.sleep(61)
    status, told, _ = ask(server)
    assert (status, told["alive"]) == (503, False)


def test_a_store_that_does_not_answer_is_told_as_such(
    server: HealthServer, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.beat("machine", started_at=MONDAY, doing="waiting")

    def silent() -> None:
        raise TransientError("The run store did not answer", where="postgresql://ada@db.bank.example/runs")

    monkeypatch.setattr(store, "workers", silent)
    status, told, _ = ask(server)
    assert (status, told["run_store"], told["alive"]) == (503, "does not answer", False)
    assert "bank.example" not in json.dumps(told)


def test_however_many_ask_the_store_is_asked_once_a_second(
    server: HealthServer, store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = list[None](), store.workers
    monkeypatch.setattr(store, "workers", lambda: (looks.append(None), real())[1])
    for _ in range(5):
        ask(server)
    clock.sleep(1)
    ask(server)
    assert len(looks) == 2


def test_after_the_clock_was_set_back_the_store_is_asked_as_ever(
    server: HealthServer, store: RunStore, clock: FixedClock
) -> None:
    store.beat("machine", started_at=MONDAY, doing="waiting")
    assert ask(server)[0] == 200
    clock.set(MONDAY - timedelta(hours=1))
    store.beat("machine", started_at=MONDAY, doing=Doing.ENDED)
    clock.sleep(2)
    assert ask(server)[0] == 503


def test_there_is_nothing_else_and_nothing_can_be_done(server: HealthServer) -> None:
    assert ask(server, "/")[0] == 404
    assert ask(server, "/healthz/../run_store.db")[0] == 404
    assert ask(server, method="POST")[0] == 501
    status, body, headers = ask(server, method="HEAD")
    assert (status, body) == (503, b"")
    assert "Python" not in headers["Server"]


def test_who_asks_and_says_nothing_holds_up_nobody(server: HealthServer, store: RunStore) -> None:
    store.beat("machine", started_at=MONDAY, doing="waiting")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    assert ask(server)[0] == 200
    for connection in silent:
        connection.close()


def test_without_a_port_nobody_listens_and_a_taken_one_is_named(store: RunStore, pulse: Pulse) -> None:
    from pipeline.clock import SystemClock

    with health_server(Settings(_env_file=None), store, pulse, SystemClock()) as none:  # type: ignore[call-arg]
        assert none.port == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(_env_file=None, health_port=taken.getsockname()[1])  # type: ignore[call-arg]
        with pytest.raises(ConfigurationError, match="cannot answer /healthz") as refused:
            health_server(settings, store, pulse, SystemClock())
    assert refused.value.where == "NEOPULSE_HEALTH_PORT"


def test_the_worker_s_own_name_is_what_it_beats_by(store: RunStore, pulse: Pulse) -> None:
    from pipeline.clock import SystemClock

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(_env_file=None, health_port=port)  # type: ignore[call-arg]
    now = SystemClock()
    alive = RunStore(store._engine, now)
    alive.beat(worker_name(), started_at=now.now(), doing="waiting")
    with health_server(settings, alive, pulse, now) as running:
        assert ask(running)[0] == 200
