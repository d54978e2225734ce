"""Freshness: no run succeeded by the agreed hour. One mail when it begins, one when it is over, whoever looks how often."""

from __future__ import annotations

import email
from datetime import UTC, datetime, time, timedelta
from email import policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hand_made import House

from pipeline import incidents, telling
from pipeline.notify.event import Notice
from pipeline.runs.records import Lease, RunState, StepState
from pipeline.steps import STEPS
from worker.watch import Watch

# 08:00 in Paris is 07:00 UTC in winter.
TUESDAY_SIX = datetime(2026, 3, 3, 5, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path, fresh_by=time(8, 0))


class Day:
    """A house whose clock is set by hand, and the mails that lie in its outbox."""

    def __init__(self, house: House) -> None:
        self.house = house

    def at(self, moment: datetime) -> None:
        self.house.clock.sleep((moment - self.house.clock.now()).total_seconds())

    def run(
        self,
        state: RunState = RunState.SUCCEEDED,
        *,
        first_step: str = "extract",
        only_step: bool = False,
        resumes: int | None = None,
    ) -> int:
        lease = self.house.lease()
        plan = [(step, StepState.PENDING) for step in STEPS]
        run = self.house.store.start_run(
            lease,
            trigger="schedule",
            requested_by="daily",
            plan=plan,
            first_step=first_step,
            only_step=only_step,
            resumes=resumes,
        )
        if state is RunState.SUCCEEDED:
            for step in (first_step,) if only_step else STEPS[STEPS.index(first_step) :]:
                self.finish(lease, run.id, step)
        self.house.store.finish_run(lease, run.id, state=state)
        self.house.store.release(lease)
        return run.id

    def finish(self, lease: Lease, run_id: int, step: str, state: StepState = StepState.SUCCEEDED) -> None:
        self.house.store.start_step(lease, run_id, step, attempt=1)
        self.house.store.finish_step(lease, run_id, step, state=state)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.house.clock.sleep(60)
            telling.look_at_freshness(None, self.house.settings, self.house.store, self.house.clock)

    def subjects(self) -> list[str]:
        mails = sorted((self.house.home / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [str(email.message_from_bytes(mail.read_bytes(), policy=policy.default)["Subject"]) for mail in mails]


@pytest.fixture
def day(house: House) -> Day:
    return Day(house)


def test_an_hour_without_a_success_is_one_incident_and_one_mail_and_its_end_another(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX)
    day.run(RunState.FAILED)
    day.at(TUESDAY_SIX + timedelta(hours=1, minutes=50))
    day.look()
    assert day.subjects() == []  # it is 07:52 in Paris
    day.at(TUESDAY_SIX + timedelta(hours=2))
    day.look(times=5)
    assert day.subjects() == ["[demo data] neopulse: No run has succeeded by 3 March 2026 08:00"]
    day.run()
    day.look(times=5)
    assert day.subjects()[1:] == ["[demo data] neopulse: A run has succeeded again"]
    [incident] = day.house.store.incidents()
    assert (incident.kind, incident.mailed, incident.closed_at is not None) == ("freshness", "closed", True)


def test_the_mails_say_since_when_and_which_run_ended_it_in_the_language_of_the_settings(day: Day) -> None:
    day.house.given["language"] = "fr"
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()  # ends at 06:01 in Paris
    day.at(TUESDAY_SIX + timedelta(hours=2))
    day.look()
    day.run()
    day.look()
    opened, closed = sorted((day.house.home / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    texts = [email.message_from_bytes(mail.read_bytes(), policy=policy.default) for mail in (opened, closed)]
    plain = [text.get_body(("plain",)).get_content() for text in texts]  # type: ignore[union-attr]
    assert "La dernière exécution réussie s'est terminée le 2 mars 2026 06:01 (Europe/Paris)." in plain[0]
    assert "L'exécution 2 s'est terminée le 3 mars 2026 08:02 (Europe/Paris)." in plain[1]


def test_an_incident_that_lasts_for_days_stays_one(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    for days in range(3):
        day.at(TUESDAY_SIX + timedelta(days=days, hours=3))
        day.look(times=3)
    assert len(day.subjects()) == 1
    assert len(day.house.store.incidents()) == 1


def test_two_workers_that_look_at_once_send_one_mail(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    told: list[Notice] = []
    for _ in range(2):  # the second comes before the first has written down that it told
        incidents.watch_freshness(day.house.settings, day.house.store, day.house.clock, lambda notice, _at: told.append(notice))
        day.house.store.mailed(1, "")
    assert {notice.key for notice in told} == {"incident-1-opened"}  # one key: the outbox takes it once
    day.look(times=2)
    assert len(day.subjects()) == 1


def test_what_a_crash_left_untold_is_told_by_the_next_look(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.house.store.open_incident(
        "freshness", "runs", {"at": "2026-03-03T08:00", "since": "2026-03-02T06:01", "zone": "Europe/Paris"}
    )
    day.look()
    assert len(day.subjects()) == 1


def test_a_run_of_the_afternoon_before_does_not_count_for_the_morning(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(hours=14))  # 16:00 in Paris, 16 hours before the agreed hour
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    assert len(day.subjects()) == 1


def test_a_run_of_the_night_before_counts(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(hours=7))  # 23:00 in Paris
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    assert day.subjects() == []


@pytest.mark.parametrize(("first_step", "only_step"), [("sheet", False), ("extract", True), ("transform", True)])
def test_a_run_that_brings_no_new_figures_to_everybody_does_not_count(day: Day, first_step: str, only_step: bool) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX)
    day.run(first_step=first_step, only_step=only_step)
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    assert len(day.subjects()) == 1


def test_steps_that_were_runs_of_their_own_count_together_from_when_the_figures_were_built(day: Day) -> None:
    steps = ["extract", "transform", "sheet", "activate", "notify"]
    extract, transform, sheet, activate, notify = (day.run(first_step=step, only_step=True) for step in steps)
    last = incidents.last_success(day.house.store)
    assert last is not None
    assert last.id == transform
    assert (extract, sheet, activate, notify) == (transform - 1, transform + 1, transform + 2, transform + 3)


@pytest.mark.parametrize("failing", ["transform", "sheet", "activate", "notify"])
def test_steps_that_were_runs_of_their_own_count_only_once_each_later_one_succeeded(day: Day, failing: str) -> None:
    for step in ["extract", "transform", "sheet", "activate", "notify"]:
        day.run(RunState.FAILED if step == failing else RunState.SUCCEEDED, first_step=step, only_step=True)
        if step == failing:
            break
    assert incidents.last_success(day.house.store) is None
    for step in steps_from(failing):
        day.run(first_step=step, only_step=True)
    assert incidents.last_success(day.house.store) is not None


def test_a_day_of_which_a_step_is_missing_leaves_the_day_before_as_the_last_one(day: Day) -> None:
    _, transform, *_ = [day.run(first_step=step, only_step=True) for step in STEPS]
    for step in ("extract", "transform", "notify"):  # neither sheet nor activate
        day.run(first_step=step, only_step=True)
    last = incidents.last_success(day.house.store)
    assert last is not None
    assert last.id == transform


@pytest.mark.parametrize("failing", ["sheet", "activate", "notify"])
def test_a_failed_run_that_was_finished_by_hand_counts_from_when_its_figures_were_built(day: Day, failing: str) -> None:
    store = day.house.store
    lease = day.house.lease()
    plan = [(step, StepState.PENDING) for step in STEPS]
    run = store.start_run(lease, trigger="schedule", requested_by="daily", plan=plan, first_step="extract", only_step=False)
    for step in STEPS[: STEPS.index(failing)]:
        day.finish(lease, run.id, step)
    day.finish(lease, run.id, failing, StepState.FAILED)
    store.finish_run(lease, run.id, state=RunState.FAILED)
    store.release(lease)
    assert incidents.last_success(store) is None
    for later in STEPS[STEPS.index(failing) + 1 :]:
        day.run(first_step=later)
        assert incidents.last_success(store) is None  # the step that failed is still missing
    day.run(first_step=failing)
    last = incidents.last_success(store)
    assert last is not None
    assert last.id == run.id


def test_the_same_step_again_and_again_is_no_day(day: Day) -> None:
    for step in ("transform", "transform", "transform", "transform", "notify"):
        day.run(first_step=step, only_step=True)
    assert incidents.last_success(day.house.store) is None


def test_a_message_sent_again_by_hand_makes_yesterdays_steps_no_younger(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    for step in ["extract", "transform", "sheet", "activate", "notify"]:
        day.run(first_step=step, only_step=True)
    day.at(TUESDAY_SIX)
    day.run(first_step="notify", only_step=True)
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    assert len(day.subjects()) == 1


def steps_from(step: str) -> list[str]:
    return list(STEPS[STEPS.index(step) :])


def test_a_run_that_was_taken_up_counts_as_what_it_began_as(day: Day) -> None:
    sheet_alone = day.run(RunState.FAILED, first_step="sheet")
    day.run(first_step="activate", resumes=sheet_alone)
    assert incidents.last_success(day.house.store) is None
    whole = day.run(RunState.INTERRUPTED)
    taken_up = day.run(first_step="sheet", resumes=whole)
    last = incidents.last_success(day.house.store)
    assert last is not None
    assert last.id == taken_up


def test_a_run_of_a_clock_that_was_ahead_does_not_count_until_then(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX + timedelta(days=30))
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look(times=3)
    assert day.subjects() == ["[demo data] neopulse: No run has succeeded by 3 March 2026 08:00"]
    day.run()
    day.look(times=3)
    assert day.subjects()[1:] == ["[demo data] neopulse: A run has succeeded again"]


def test_what_was_due_before_the_first_run_ever_was_not_missed(day: Day) -> None:
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    day.run(RunState.FAILED)
    day.look()
    assert day.subjects() == []
    day.at(TUESDAY_SIX + timedelta(days=1, hours=3))
    day.look()
    assert day.subjects() == ["[demo data] neopulse: No run has succeeded by 4 March 2026 08:00"]


def test_where_nobody_agreed_on_an_hour_nothing_is_watched_and_what_is_open_ends_untold(day: Day) -> None:
    day.at(TUESDAY_SIX - timedelta(days=1))
    day.run()
    day.at(TUESDAY_SIX + timedelta(hours=3))
    day.look()
    day.house.given["fresh_by"] = None
    day.look(times=2)
    assert len(day.subjects()) == 1
    [incident] = day.house.store.incidents()
    assert incident.closed_at is not None


def test_the_hour_is_that_of_the_banks_clocks_in_summer_too() -> None:
    zone = ZoneInfo("Europe/Paris")
    july = datetime(2026, 7, 1, 5, 59, tzinfo=UTC)
    assert incidents.last_moment(july, time(8, 0), zone) == datetime(2026, 6, 30, 6, 0, tzinfo=UTC)
    assert incidents.last_moment(july + timedelta(minutes=1), time(8, 0), zone) == datetime(2026, 7, 1, 6, 0, tzinfo=UTC)


def test_the_worker_looks_and_one_thing_that_fails_does_not_keep_it_from_the_others(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    looked: list[str] = []
    monkeypatch.setattr(telling, "look_at_freshness", broken)
    monkeypatch.setattr(telling, "look_at_rules", lambda *_a, **_k: looked.append("rules"))
    day.house.transform(10)
    Watch(day.house.settings, day.house.store, day.house.publications, day.house.clock).look()
    assert looked == ["rules"]
