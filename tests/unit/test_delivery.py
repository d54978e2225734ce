"""Messages that wait: delivered later, once, by one process at a time, after pauses that grow."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import letters
import pytest
from letters import SECRET, LastStep, letter
from n8n_kit import carrier
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, TransientError
from pipeline.http import LostAnswerError
from pipeline.notify.delivery import deliver, deliver_waiting
from pipeline.runs.holders import Holders
from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from worker.postman import Postman, postman


def test_a_message_that_waits_is_told_as_it_was_noted_down(
    n8n: N8nStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    n8n.stop()
    house.run()
    house.number = 8  # readers see another version by the time n8n is back
    n8n.start()
    postman(house.settings, house.store, house.clock).deliver_next()
    assert n8n.calls[0]["version"] == "v0007"


def test_a_wrong_secret_leaves_the_run_completed_and_is_not_tried_every_minute(
    n8n: N8nStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret="another-secret-0123456789")
    run = house.run()
    assert run.standing == "completed, notification pending"
    assert "secret" in run.steps[4].detail["waits_because"]
    tries: list[str] = []

    def refused(key: str) -> None:
        tries.append(key)
        raise ConfigurationError("no")

    worker = Postman(house.store, house.clock, service="n8n", deliver=refused)
    for _ in range(30):
        worker.deliver_next()
        house.clock.sleep(60)
    assert len(tries) == 1
    house.clock.sleep(3600)
    worker.deliver_next()
    assert len(tries) == 2


def test_the_worker_waits_longer_after_each_try_and_up_to_five_minutes(tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    store.reserve("n8n-k", "n8n", letter().to_json())
    tries: list[datetime] = []

    def busy(_key: str) -> None:
        tries.append(clock.now())
        raise TransientError("busy")

    worker = Postman(store, clock, service="n8n", deliver=busy)
    while clock.now() < letters.MONDAY + timedelta(minutes=20):
        worker.deliver_next()
        clock.sleep(5)
    pauses = [(after - before).total_seconds() for before, after in pairwise(tries)]
    assert pauses == [5, 15, 45, 120, 300, 300, 300]


def test_a_message_that_failed_while_the_clock_was_ahead_does_not_wait_until_then(tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    store.reserve("n8n-k", "n8n", letter().to_json())
    tries: list[str] = []

    def busy(key: str) -> None:
        tries.append(key)
        raise TransientError("busy")

    worker = Postman(store, clock, service="n8n", deliver=busy)
    clock.set(letters.MONDAY + timedelta(days=365))
    worker.deliver_next()
    clock.set(letters.MONDAY)
    worker.deliver_next()
    assert len(tries) == 2


def test_a_service_that_lets_the_worker_wait_for_nothing_is_left_alone_for_a_while(tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    for number in range(20):
        store.reserve(f"n8n-k{number:02}", "n8n", letter().to_json())
    waited: list[float] = []

    def hangs(_key: str) -> None:
        clock.sleep(60)
        waited.append(60)
        raise TransientError("no answer")

    worker = Postman(store, clock, service="n8n", deliver=hangs)
    while clock.passed() < 7200:
        worker.deliver_next()
        clock.sleep(5)
    assert sum(waited) <= 7200 / 5


def test_what_the_readers_may_have_already_is_tried_again_after_an_hour_and_then_once_a_day(
    tmp_path: Path, clock: FixedClock
) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    store.reserve("SMTP-k", "SMTP", letter().to_json())
    tries: list[datetime] = []
    errors = [TransientError("busy")] * 3 + [LostAnswerError("no answer")] * 3

    def fails(_key: str) -> None:
        tries.append(clock.now())
        raise errors[len(tries) - 1]

    worker = Postman(store, clock, service="SMTP", deliver=fails)
    while len(tries) < len(errors):
        worker.deliver_next()
        clock.sleep(5 if len(tries) < 4 else 600)
    assert [(after - before).total_seconds() for before, after in pairwise(tries)] == [5, 15, 45, 3600, 86_400]


def test_the_worker_leaves_alone_what_is_for_another_service_and_what_a_run_is_at(tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    store.reserve("SMTP-k", "SMTP", {})
    tries: list[str] = []
    worker = Postman(store, clock, service="n8n", deliver=tries.append)
    worker.deliver_next()
    store.reserve("n8n-k", "n8n", {})
    lease = store.take_lease("a run", seconds=40)
    worker.deliver_next()
    assert tries == []
    store.release(lease)
    worker.deliver_next()
    assert tries == ["n8n-k"]


def test_one_refused_message_does_not_hold_up_the_next(tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    for key in ("n8n-broken", "n8n-fine"):
        store.reserve(key, "n8n", {"event": {}} if key == "n8n-broken" else letter().to_json())
        clock.sleep(1)
    carried: list[str] = []

    class Carries:
        service = "n8n"

        def carry(self, _letter: object, key: str) -> str:
            carried.append(key)
            return "there"

    def deliver_one(key: str) -> None:
        deliver_waiting(key, carrier=Carries(), store=store, holders=Holders(tmp_path / "holders"))

    worker = Postman(store, clock, service="n8n", deliver=deliver_one)
    worker.deliver_next()
    worker.deliver_next()
    assert carried == ["n8n-fine"]
    assert [message.key for message in store.waiting()] == ["n8n-broken"]


def test_two_processes_do_not_deliver_at_once_and_a_dead_one_is_not_waited_for(
    n8n: N8nStandIn, tmp_path: Path, clock: FixedClock
) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    holders = Holders(tmp_path / "holders")
    with holders.alive("another process"):
        assert store.take_turn("another process", seconds=300, is_dead=holders.is_dead)
        result = deliver(letter(), carrier=carrier(n8n, clock), store=store, holders=holders)
        assert result.waits is not None
        assert "Another process" in result.waits.what
        assert n8n.calls == []
    clock.sleep(301)
    deliver_waiting(result.key, carrier=carrier(n8n, clock), store=store, holders=holders)
    assert len(n8n.calls) == 1


def test_what_another_process_delivered_in_the_meantime_is_not_delivered_again(
    n8n: N8nStandIn, tmp_path: Path, clock: FixedClock
) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    store.reserve("n8n-k", "n8n", letter().to_json())
    store.delivered("n8n-k", location="there")
    deliver_waiting("n8n-k", carrier=carrier(n8n, clock), store=store, holders=Holders(tmp_path / "holders"))
    assert n8n.calls == []
    delivery = store.delivery("n8n-k")
    assert delivery is not None
    assert delivery.location == "there"


def test_a_run_that_lost_its_lease_hands_nothing_over(n8n: N8nStandIn, tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)

    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        deliver(letter(), carrier=carrier(n8n, clock), store=store, holders=Holders(tmp_path / "holders"), guard=lost)
    assert (n8n.calls, store.waiting()) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("runs", [30, pytest.param(100, marks=pytest.mark.proof)])
def test_so_many_runs_through_faults_at_random_calls_end_with_one_mail_each(
    runs: int, n8n: N8nStandIn, mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(20)
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    worker = postman(house.settings, house.store, house.clock)
    pending = 0
    for number in range(1, runs + 1):
        house.number = number
        n8n.faults = chance.choices([500, 502, 503, 429, 404, 403, "cut", "lost", "html"], k=chance.randrange(8))
        mail_server.answers = {verb: ["451 try later"] for verb in ("MAIL FROM", "DATA", "RCPT TO") if chance.random() < 0.2}
        is_down = chance.random() < 0.1
        if is_down:
            n8n.stop()
        run = house.run()
        if is_down:
            n8n.start()
        assert run.state is RunState.SUCCEEDED
        pending += run.notification_pending
        worker.deliver_next()
        house.clock.sleep(chance.randrange(400))
    n8n.faults, mail_server.answers = [], {}
    while house.store.waiting():
        house.clock.sleep(600)
        worker.deliver_next()
    told = [event["version"] for event in n8n.calls]
    assert set(told) == {f"v{number:04}" for number in range(1, runs + 1)}
    assert len(mail_server.taken) == runs
    assert pending > runs // 5  # the faults were not for nothing
    assert len(told) > runs


def test_a_process_that_died_while_it_delivered_holds_up_nobody(n8n: N8nStandIn, tmp_path: Path, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    holders = Holders(tmp_path / "holders")
    with holders.alive("of a run before"):
        pass
    holders._path("died while it delivered").touch()  # what the system leaves: a lock file that nobody holds
    assert store.take_turn("died while it delivered", seconds=300)
    with holders.alive("of the next run"):  # which tidies up
        deliver(letter(), carrier=carrier(n8n, clock), store=store, holders=holders)
    assert len(n8n.calls) == 1
