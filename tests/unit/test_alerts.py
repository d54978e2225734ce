"""Rules on figures: only final points count, a rule fires once a point, keeps silent for a while, and says when it is over."""

from __future__ import annotations

import email
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hand_made import SIX_O_CLOCK, House, version

from pipeline import alerts, telling
from pipeline.errors import ConfigurationError
from pipeline.marts import Answer, Question
from pipeline.marts.thin_tail import ThinTail
from pipeline.metrics import Metric
from pipeline.notify import app_words
from pipeline.notify.event import Notice
from pipeline.runs.alerts import AlertRule
from pipeline.warehouse.publication import Version

CHURN = {"en": "Monthly churn rate", "fr": "Taux d'attrition mensuel"}
# The last month is not over: its 90 % is what a month that has just begun looks like.
MONTHS = [("2026-01-01", 0.040, False), ("2026-02-01", 0.050, False), ("2026-03-01", 0.900, True)]
VERSION = version()
FRENCH_METAL = (("country", "ES"), ("country", "FR"), ("plan", "METAL"))
RULE = AlertRule("Churn is high", "monthly_churn_rate", "above", 0.045, cooldown_hours=24)


@dataclass
class Figures:
    """A reader whose figures are given: the time key, the value, and whether it is provisional."""

    version: Version
    points: Sequence[tuple[str, float | None, bool]]
    key: str = "month"
    grain: str | None = "month"
    unit: str = "share"
    asked: list[Question] = field(default_factory=list)

    tail: ThinTail | None = None

    def thin_tail(self) -> ThinTail | None:
        return self.tail

    def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        if question.where == (("country", "XX"),):
            raise ConfigurationError("XX is not a value of country")
        table = pa.table(
            {
                self.key: [date.fromisoformat(day) for day, _, _ in self.points],
                "value": [value for _, value, _ in self.points],
                "provisional": [provisional for _, _, provisional in self.points],
            }
        )
        metric = Metric(question.metric, CHURN, CHURN, self.unit, "m", "c")
        asked = replace(question, grain=question.grain or self.grain)
        return Answer(asked, metric, date(2026, 3, 10), self.version.name, "files", 90, "rule", table)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


class Desk:
    """The rules of a house, and what was told about them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.told: list[Notice] = []
        self.published = 0

    def publish(self, points: Sequence[tuple[str, float | None, bool]], *, hours: float = 24, **more: Any) -> None:
        """A publication with these figures, so many hours after the one before."""
        self.house.clock.sleep(hours * 3600)
        self.published += 1
        version = replace(VERSION, name=f"v{self.published:04d}", published_at=self.house.clock.now())
        self.look(Figures(version, points, **more))

    def look(self, figures: Figures) -> None:
        alerts.evaluate(self.house.store, figures, lambda notice, _at: self.told.append(notice))  # type: ignore[arg-type]

    def history(self) -> list[tuple[str, float | None, str]]:
        return [(row.state, row.figure, row.mail) for row in reversed(self.house.store.alert_history())]

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.told]


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


def month(value: float, day: str = "2026-02-01") -> list[tuple[str, float | None, bool]]:
    return [("2026-01-01", 0.040, False), (day, value, False), ("2026-03-01", 0.9, True)]


def test_a_provisional_point_is_neither_looked_at_nor_compared_with(desk: Desk) -> None:
    desk.house.store.save_alert_rule(RULE)
    desk.publish([("2026-01-01", 0.040, False), ("2026-02-01", 0.044, False), ("2026-03-01", 0.900, True)])
    assert desk.told == []
    desk.publish(MONTHS)
    [notice] = desk.told
    assert (notice.kind, notice.values["figure"], notice.values["point"]) == ("fired", 0.05, "2026-02-01")
    assert desk.history() == [("fired", 0.05, "sent")]


def test_a_month_that_is_told_is_not_told_again_by_the_next_thirty_publications(desk: Desk) -> None:
    desk.house.store.save_alert_rule(RULE)
    for _ in range(30):
        desk.publish(MONTHS)
    assert desk.kinds() == ["fired"]


def test_within_the_cooldown_a_rule_that_fires_again_is_written_down_and_not_told(desk: Desk) -> None:
    desk.house.store.save_alert_rule(replace(RULE, cooldown_hours=48))
    desk.publish(month(0.05, "2026-02-01"), hours=1)
    desk.publish(month(0.06, "2026-02-02"), hours=24)
    desk.publish(month(0.07, "2026-02-03"), hours=24.5)
    assert desk.history() == [("fired", 0.05, "sent"), ("fired", 0.06, "cooldown"), ("fired", 0.07, "sent")]
    assert desk.kinds() == ["fired", "fired"]


def test_when_the_figure_is_right_again_that_is_told_once(desk: Desk) -> None:
    desk.house.store.save_alert_rule(RULE)
    desk.publish(month(0.05, "2026-02-01"))
    desk.publish(month(0.03, "2026-02-02"))
    desk.publish(month(0.03, "2026-02-03"))
    assert desk.kinds() == ["fired", "recovered"]
    assert desk.history() == [("fired", 0.05, "sent"), ("recovered", 0.03, "sent")]


def test_the_end_of_what_was_kept_silent_is_kept_silent_too(desk: Desk) -> None:
    desk.house.store.save_alert_rule(replace(RULE, cooldown_hours=72))
    desk.publish(month(0.05, "2026-02-01"), hours=1)
    desk.publish(month(0.03, "2026-02-02"), hours=1)
    desk.publish(month(0.06, "2026-02-03"), hours=1)
    desk.publish(month(0.03, "2026-02-04"), hours=1)
    assert [mail for _, _, mail in desk.history()] == ["sent", "sent", "cooldown", "untold"]


def test_a_publication_is_looked_at_once_however_many_look_and_an_older_one_not_at_all(desk: Desk) -> None:
    desk.house.store.save_alert_rule(RULE)
    desk.publish(MONTHS)
    older = replace(VERSION, published_at=SIX_O_CLOCK)
    figures = Figures(older, month(0.01))  # what a rollback shows
    desk.look(figures)
    assert figures.asked == []
    assert desk.kinds() == ["fired"]


@pytest.mark.parametrize(
    ("comparison", "threshold", "fires"),
    [
        ("below", 0.051, True),
        ("below", 0.050, False),
        ("above", 0.049, True),
        ("above", 0.050, False),
        ("change_above", 0.24, True),  # from 0.04 to 0.05 is a quarter more
        ("change_above", 0.26, False),
        ("change_below", 0.26, True),
        ("change_below", -0.10, False),
    ],
)
def test_each_comparison_is_strict(desk: Desk, comparison: str, threshold: float, fires: bool) -> None:
    desk.house.store.save_alert_rule(replace(RULE, comparison=comparison, threshold=threshold))
    desk.publish(MONTHS)
    assert bool(desk.told) is fires


@pytest.mark.parametrize(
    ("points", "fires"),
    [
        ([("2026-01-01", 0.040, False), ("2026-02-01", 0.050, False)], True),
        # of the month before nothing is known: the one before that is no period before
        ([("2025-12-01", 0.040, False), ("2026-01-01", None, False), ("2026-02-01", 0.050, False)], False),
        ([("2025-12-01", 0.040, False), ("2026-02-01", 0.050, False)], False),
        ([("2025-12-01", 0.010, False), ("2026-01-01", 0.049, False), ("2026-02-01", 0.050, False)], False),
    ],
)
def test_a_month_is_compared_with_the_month_before_it_and_no_other(
    desk: Desk, points: list[tuple[str, float | None, bool]], fires: bool
) -> None:
    desk.house.store.save_alert_rule(replace(RULE, comparison="change_above", threshold=0.2))
    desk.publish(points)
    assert bool(desk.told) is fires


def test_a_week_is_compared_with_the_week_before_it(desk: Desk) -> None:
    desk.house.store.save_alert_rule(AlertRule("More", "quick_ratio", "change_above", 0.5, grain="week"))
    desk.publish([("2026-01-05", 1.0, False), ("2026-01-19", 2.0, False)], key="week", grain="week")
    assert desk.told == []
    desk.publish([("2026-01-12", 1.0, False), ("2026-01-19", 2.0, False)], key="week", grain="week")
    assert desk.kinds() == ["fired"]


def test_one_period_before_a_day_is_the_same_weekday_four_weeks_earlier(desk: Desk) -> None:
    days = [("2026-02-01", 100.0, False), ("2026-02-28", 70.0, False), ("2026-03-01", 80.0, False)]
    desk.house.store.save_alert_rule(AlertRule("Fewer", "active_customers", "change_below", -0.19))
    desk.publish(days, key="date", grain="day", unit="customers")
    assert desk.history() == [("fired", 80.0, "sent")]
    assert desk.house.store.alert_history()[0].before == 100.0


def test_what_has_no_period_before_or_a_zero_there_cannot_change(desk: Desk) -> None:
    desk.house.store.save_alert_rule(replace(RULE, comparison="change_above", threshold=-1))
    desk.publish([("2026-02-01", 0.05, False)])
    desk.publish([("2026-01-01", 0.0, False), ("2026-02-01", 0.05, False)])
    desk.publish([("2026-02-01", 0.05, True)])
    assert desk.told == []


def test_a_rule_is_asked_for_its_segment_its_window_and_its_grain(desk: Desk) -> None:
    desk.house.store.save_alert_rule(replace(RULE, where=FRENCH_METAL, window=30, grain="month"))
    figures = Figures(VERSION, MONTHS)
    desk.look(figures)
    assert figures.asked == [Question("monthly_churn_rate", window=30, where=FRENCH_METAL, grain="month")]


def test_a_rule_that_cannot_be_asked_is_written_down_and_keeps_no_other_from_being_looked_at(desk: Desk) -> None:
    desk.house.store.save_alert_rule(replace(RULE, name="Nowhere", where=(("country", "XX"),)))
    desk.house.store.save_alert_rule(RULE)
    desk.publish(MONTHS)
    failed, fired = reversed(desk.house.store.alert_history())
    assert (failed.state, failed.rule["error"], failed.mail) == ("failed", "XX is not a value of country", "untold")
    assert (fired.state, fired.rule["name"]) == ("fired", "Churn is high")
    assert desk.kinds() == ["fired"]


def test_what_is_off_or_deleted_is_not_looked_at_and_a_change_is_looked_at_anew(desk: Desk) -> None:
    rule_id = desk.house.store.save_alert_rule(replace(RULE, enabled=False))
    desk.publish(MONTHS)
    assert desk.told == []
    changed = replace(RULE, id=rule_id, threshold=0.01)
    desk.house.store.save_alert_rule(changed)
    desk.publish(MONTHS, hours=1)
    assert desk.kinds() == ["fired"]
    desk.house.store.delete_alert_rule(rule_id)
    assert desk.house.store.alert_rules() == []
    assert len(desk.house.store.alert_history()) == 1


def test_what_a_crash_left_untold_is_told_by_the_next_look_and_by_one_key(desk: Desk) -> None:
    class PowerCutError(Exception):
        pass

    def cut(_notice: Notice, _at: datetime) -> None:
        raise PowerCutError

    desk.house.store.save_alert_rule(RULE)
    with pytest.raises(PowerCutError):
        alerts.evaluate(desk.house.store, Figures(VERSION, MONTHS), cut)  # type: ignore[arg-type]
    desk.look(Figures(VERSION, MONTHS))
    assert [notice.key for notice in desk.told] == ["alert-1"]


def mails(house: House) -> list[Any]:
    found = sorted((house.home / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [email.message_from_bytes(mail.read_bytes(), policy=policy.default) for mail in found]


def test_the_mail_says_what_is_watched_the_figure_and_the_rule_in_both_languages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.marts.reader", lambda version: Figures(version, MONTHS))
    for language in ("en", "fr"):
        house.given["language"] = language
        house.store.save_alert_rule(replace(RULE, name=language, where=FRENCH_METAL))
        telling.look_at_rules(VERSION, house.settings, house.store, house.clock)
    english, french = mails(house)
    assert english["Subject"] == "[demo data] neopulse: en: 5.0%"
    text = english.get_body(("plain",)).get_content()
    assert "Monthly churn rate (Country: Spain or France, Plan: Metal), February 2026: 5.0%. The rule: above 4.5%." in text
    assert "Readers see version v0001, as of 28 February 2026." in text
    text = french.get_body(("plain",)).get_content().replace("\u202f", " ").replace("\xa0", " ")
    assert (
        "Taux d'attrition mensuel (Pays : Espagne ou France, Offre : Metal), février 2026 : 5,0 %. La règle : plus de 4,5 %."
        in text
    )


def test_the_mail_of_a_rule_on_a_change_tells_the_change_and_what_it_is_against(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.marts.reader", lambda version: Figures(version, MONTHS))
    for language in ("en", "fr"):
        house.given["language"] = language
        house.store.save_alert_rule(replace(RULE, name=language, comparison="change_above", threshold=0.2))
        telling.look_at_rules(VERSION, house.settings, house.store, house.clock)
    english, french = (mail.get_body(("plain",)).get_content() for mail in mails(house))
    assert "February 2026: 5.0%. The rule: the change against the period before is above 20.0%." in english
    assert "It is 25.0%; the period before: 4.0%." in english
    assert "Il est de 25,0 % ; période précédente : 4,0 %." in french.replace("\u202f", " ").replace("\xa0", " ")


@pytest.mark.parametrize(("first", "is_told"), [(date(2026, 2, 27), True), (date(2026, 3, 2), False)])
def test_the_mail_of_a_rule_says_where_its_figure_may_still_rise(
    house: House, monkeypatch: pytest.MonkeyPatch, first: date, is_told: bool
) -> None:
    tail = ThinTail(first, date(2026, 3, 10), 0.1, 0.2, 5)
    monkeypatch.setattr("pipeline.marts.reader", lambda version: Figures(version, MONTHS, tail=tail))
    house.store.save_alert_rule(RULE)
    telling.look_at_rules(VERSION, house.settings, house.store, house.clock)
    (mail,) = mails(house)
    assert ("holds less than 60.0% of its usual" in mail.get_body(("plain",)).get_content()) == is_told


def test_a_month_of_opening_is_a_month_in_the_letter_as_on_the_page() -> None:
    chosen = {"signup_cohort": ["2018-03", "unknown"]}
    assert app_words.segment(chosen, "en") == "Month of joining: Mar 2018 or unknown"
    assert app_words.segment(chosen, "fr").endswith("mars 2018 ou inconnu")


def test_a_row_from_before_that_is_still_to_be_told_names_its_one_value(house: House) -> None:
    store, published = house.store, house.clock.now()
    rule = replace(RULE, id=store.save_alert_rule(RULE))
    noted = {name: value for name, value in rule.content.items() if name != "segment"} | {"dimension": "country", "value": "FR"}
    about = {"label": CHURN, "unit": "share", "grain": "month"}
    row = {"state": "fired", "version": "v0001", "point": date(2026, 2, 1), "figure": 0.05, "before": 0.04, "rule": noted | about}
    store.note_look(rule, published, firing=True, row=row)
    told: list[Notice] = []
    figures = Figures(replace(VERSION, published_at=published), MONTHS)
    alerts.evaluate(store, figures, lambda notice, _at: told.append(notice))  # type: ignore[arg-type]
    assert [notice.values["where"] for notice in told] == [{"country": ["FR"]}]
    assert alerts.segment_of({"dimension": None, "value": None}) == {}


def test_a_trial_says_itself_that_it_is_one_and_each_has_a_key_of_its_own(house: House) -> None:
    reading = alerts.read(RULE, Figures(VERSION, MONTHS))  # type: ignore[arg-type]
    for seconds in range(2):
        at = house.clock.now() + timedelta(seconds=seconds)
        notice = alerts.trial(RULE, reading, at)
        telling.deliver(telling.notice_of(notice, at, house.settings, VERSION), house.settings, house.store, house.clock)
    one, other = mails(house)
    assert one["Subject"] == other["Subject"] == "[demo data] neopulse: TEST of the rule Churn is high"
    assert one["Message-ID"] != other["Message-ID"]


def test_a_trial_of_a_rule_that_has_no_final_figure_says_so(house: House) -> None:
    reading = alerts.read(RULE, Figures(VERSION, MONTHS[2:]))  # type: ignore[arg-type]
    notice = alerts.trial(RULE, reading, house.clock.now())
    telling.deliver(
        telling.notice_of(notice, house.clock.now(), house.settings, VERSION), house.settings, house.store, house.clock
    )
    (mail,) = mails(house)
    text = mail.get_body(("plain",)).get_content()
    assert "Monthly churn rate: there is no final figure yet. The rule: above 4.5%." in text


def test_a_cohort_or_a_curve_cannot_be_watched_and_a_series_can() -> None:
    assert "retention_cohort" not in alerts.WATCHABLE
    assert "survival" not in alerts.WATCHABLE
    assert "l28" not in alerts.WATCHABLE  # 28 figures a day
    assert {"active_customers", "monthly_churn_rate", "stickiness", "transactions"} <= set(alerts.WATCHABLE)
