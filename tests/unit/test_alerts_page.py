"""The page Alerts: rules are written, switched, tried and deleted by admins, and every act is audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hand_made import House, version
from page_kit import HARMLESS, HOSTILE, cells, failed, is_harmless, opened, press, words

from pipeline import alerts
from pipeline.alerts import Reading
from pipeline.errors import ConfigurationError
from pipeline.metrics import Metric
from pipeline.runs.alerts import AlertRule
from streamlit_app import actions_alerts, auth, data, formats, operations_alerts
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import alert_rules
from streamlit_app.messages import text

CHURN = {"en": "Monthly churn rate", "fr": "Taux d'attrition mensuel"}
ACTIVE = {"en": "Active customers", "fr": "Clients actifs"}
REGISTRY = {
    "monthly_churn_rate": Metric("monthly_churn_rate", CHURN, CHURN, "share", "m", "c"),
    "active_customers": Metric("active_customers", ACTIVE, ACTIVE, "customers", "m", "c"),
}
VERSION = version()
RULE = AlertRule("Churn is high", "monthly_churn_rate", "above", 0.045, where=(("country", "FR"),), cooldown_hours=24)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A published version that the app reads, whose figures are given; a worker is alive."""
    house = House.at(tmp_path)
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    data.in_force.cache_clear()
    monkeypatch.setattr(data, "run_store", lambda: house.store)
    monkeypatch.setattr(data, "registry", lambda: REGISTRY)
    monkeypatch.setattr(data, "dimension_values", lambda _dimension: ["FR", "GB"])
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    monkeypatch.setattr(alerts, "read", read)
    monkeypatch.setattr(operations_alerts, "reader", lambda version: version)
    monkeypatch.setattr(actions_alerts, "reader", lambda version: version)
    monkeypatch.setattr(data, "current_version", lambda: VERSION)
    house.clock.sleep((datetime.now(UTC) - house.clock.now()).total_seconds())
    house.store.beat("worker-1", started_at=house.clock.now(), doing="waiting")
    return house


def read(rule: AlertRule, _reader: object) -> Reading:
    if ("country", "XX") in rule.where:
        raise ConfigurationError("XX is not a value of country")
    metric = REGISTRY[rule.metric]
    figure, before = (0.05, 0.04) if metric.unit == "share" else (80.0, 100.0)
    return Reading(date(2026, 2, 1), figure, before, dict(metric.label), metric.unit, "month")


def test_a_rule_is_written_in_percent_and_kept_as_a_fraction_and_audited(house: House) -> None:
    page = press(opened("ops_alerts"), "add_rule")
    page.text_input(key="rule_name_0").set_value("Churn is high").run()
    page.selectbox(key="rule_metric_0").set_value("monthly_churn_rate").run()
    page.selectbox(key="rule_where_country_0").set_value(("FR",)).run()
    page.selectbox(key="rule_comparison_0").set_value("above").run()
    page.number_input(key="rule_threshold_True_0").set_value(4.5).run()
    page = press(page, "rule_save")
    assert failed(page) == []
    [rule] = house.store.alert_rules()
    assert replace(rule, id=0) == replace(RULE, grain="month")
    [row] = house.store.acts()
    assert (row.who, row.action, row.what, row.before) == ("ada", "add_alert_rule", "alert rule 1", None)
    assert row.after["threshold"] == 0.045
    assert "rule_save" not in {button.key for button in page.button}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_rule_says_what_it_watches_and_what_it_reads_now(house: House, language: str) -> None:
    house.store.save_alert_rule(RULE)
    page = opened("ops_alerts", lang=language)
    assert failed(page) == []
    shown = words(page).replace("\u202f", " ").replace("\xa0", " ")
    sentence, now = {
        "en": (
            "**Monthly churn rate** (Country: France) above **4.5%**; silent for 24 hours after a mail.",
            "Newest final point Feb 2026: 5.0%; the period before: 4.0% (+25.0%)",
        ),
        "fr": (
            "**Taux d'attrition mensuel** (Pays : France) supérieur à **4,5 %** ; silence de 24 heures après un courriel.",
            "Dernier point définitif févr. 2026 : 5,0 % ; période précédente : 4,0 % (+25,0 %)",
        ),
    }[language]
    assert sentence in shown
    assert now in shown
    assert text("ops_alerts.fires", language) in shown


def test_a_change_and_a_switch_are_audited_with_what_was_there_before(house: House) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    page = press(opened("ops_alerts"), f"edit_{rule_id}")
    page.number_input(key=f"rule_threshold_True_{rule_id}").set_value(6.0).run()
    page = press(page, "rule_save")
    press(page, f"switch_{rule_id}")
    switched, changed = house.store.acts(limit=2)
    assert (changed.before["threshold"], changed.after["threshold"]) == (0.045, 0.06)
    assert (switched.before["enabled"], switched.after["enabled"]) == (True, False)
    assert house.store.alert_rules()[0].where == (("country", "FR"),)
    assert text("ops_alerts.off", "en") in words(opened("ops_alerts"))


def test_a_rule_takes_several_values_and_dimensions_as_every_filter_does(house: House) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    page = press(opened("ops_alerts"), f"edit_{rule_id}")
    page.selectbox(key=f"rule_where_country_{rule_id}").set_value(("FR", "GB")).run()
    page.selectbox(key=f"rule_where_plan_{rule_id}").set_value(("GB",)).run()  # the values of every dimension are given
    page = press(page, "rule_save")
    assert failed(page) == []
    [rule] = house.store.alert_rules()
    assert rule == replace(RULE, id=rule_id, grain="month", where=(("country", "FR"), ("country", "GB"), ("plan", "GB")))
    assert "(Country: France or United Kingdom, Plan: GB)" in words(page)
    [row] = house.store.acts()
    assert row.before["segment"] == {"country": ["FR"]}
    assert row.after["segment"] == {"country": ["FR", "GB"], "plan": ["GB"]}


def test_a_value_that_no_customer_has_any_more_stays_in_the_form_until_another_is_chosen(house: House) -> None:
    rule_id = house.store.save_alert_rule(replace(RULE, where=(("country", "DE"),)))
    page = press(opened("ops_alerts"), f"edit_{rule_id}")
    assert page.selectbox(key=f"rule_where_country_{rule_id}").value == ("DE",)
    press(page, "rule_save")
    assert house.store.alert_rules()[0].where == (("country", "DE"),)


def test_an_empty_window_shows_the_published_one_that_it_stands_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    monkeypatch.setattr(data, "current_version", lambda: replace(VERSION, inactivity_days=75))
    field = press(opened("ops_alerts"), f"edit_{rule_id}").number_input(key=f"rule_window_{rule_id}")
    assert (field.value, field.placeholder) == (None, "75")
    monkeypatch.setattr(data, "current_version", lambda: None)
    assert press(opened("ops_alerts"), f"edit_{rule_id}").number_input(key=f"rule_window_{rule_id}").placeholder == ""


def test_a_rule_is_deleted_after_a_question(house: House) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    page = press(opened("ops_alerts"), f"delete_{rule_id}")
    assert len(house.store.alert_rules()) == 1
    press(page, "delete_do")
    assert house.store.alert_rules() == []
    [row] = house.store.acts()
    assert (row.action, row.before["name"]) == ("delete_alert_rule", "Churn is high")


def test_a_test_is_left_for_the_worker_and_says_that_it_is_one(house: House) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    page = press(opened("ops_alerts"), f"test_{rule_id}")
    assert failed(page) == []
    [waiting] = house.store.waiting()
    assert waiting.key.startswith(f"outbox-alert-test-{rule_id}-")
    notice = waiting.payload["event"]["notice"]
    assert (notice["kind"], notice["values"]["name"], notice["values"]["figure"]) == ("test", "Churn is high", 0.05)
    [row] = house.store.acts()
    assert (row.action, row.after) == ("test_alert_rule", {"delivery": waiting.key})
    assert house.store.alert_history() == []


def test_without_a_worker_the_test_is_off_and_says_why(house: House) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    house.clock.sleep(-600)
    house.store.beat("worker-1", started_at=house.clock.now(), doing="waiting")
    page = opened("ops_alerts")
    assert page.button(key=f"test_{rule_id}").disabled
    assert text("answers.press.no_worker", "en") in words(page)
    assert actions_alerts.test(rule_id).answer == "no_worker"
    assert house.store.waiting() == []


def test_a_rule_without_a_name_or_about_nobody_is_not_saved(house: House) -> None:
    assert actions_alerts.save(replace(RULE, name="  ")).answer == "rule_nameless"
    for wrong in (
        replace(RULE, where=(("country", "XX"),)),
        replace(RULE, metric="survival"),
        replace(RULE, where=(("shoe_size", "44"),)),
    ):
        with pytest.raises(ConfigurationError):
            actions_alerts.save(wrong)
    assert house.store.alert_rules() == []
    assert house.store.acts() == []


def test_a_rule_that_cannot_be_read_any_more_says_so_and_the_others_stand(house: House) -> None:
    house.store.save_alert_rule(replace(RULE, where=(("country", "XX"),)))
    house.store.save_alert_rule(replace(RULE, name="Still there"))
    page = opened("ops_alerts")
    assert failed(page) == []
    shown = words(page)
    assert "XX is not a value of country" in shown
    assert "**Still there**" in shown


def test_the_history_says_when_what_and_whether_a_mail_went_out(house: House) -> None:
    rule = replace(RULE, id=house.store.save_alert_rule(RULE))
    told = {"state": "fired", "version": "v0001", "point": date(2026, 2, 1), "figure": 0.05, "before": 0.04}
    row = {**told, "rule": {**rule.content, "unit": "share", "grain": "month"}}
    house.store.note_look(rule, house.clock.now(), firing=True, row=row)
    page = opened("ops_alerts", section="history")
    assert failed(page) == []
    table = page.table[0].value.to_csv()
    for cell in ("Churn is high", "fired", "Feb 2026", "5.0%", "4.0%", "v0001", "about to be sent"):
        assert cell in table, cell


def test_incidents_say_since_when_until_when_and_what_was_mailed(house: House) -> None:
    incident = house.store.open_incident("freshness", "runs", {"at": "", "since": "", "zone": ""})
    house.store.mailed(incident.id, "opened")
    page = opened("ops_alerts", section="incidents")
    assert failed(page) == []
    table = page.table[0].value.to_csv()
    for cell in ("No run had succeeded by the agreed hour", "still open", "its beginning"):
        assert cell in table, cell
    assert text("ops_alerts.fresh_by_nothing", "en") in words(page)


def test_whoever_is_no_admin_changes_no_rule_and_leaves_no_message(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_id = house.store.save_alert_rule(RULE)
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    calls: list[Callable[[], object]] = [
        lambda: actions_alerts.save(RULE),
        lambda: actions_alerts.switch(rule_id, enabled=False),
        lambda: actions_alerts.delete(rule_id),
        lambda: actions_alerts.test(rule_id),
    ]
    for call in calls:
        with pytest.raises(RoleError):
            call()
    assert house.store.alert_rules() == [replace(RULE, id=rule_id)]
    assert house.store.waiting() == []
    assert house.store.acts() == []


@pytest.mark.parametrize("section", ["rules", "history"])
def test_a_name_and_an_error_that_try_to_be_code_stay_texts(house: House, section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Reading:
        raise ConfigurationError(HOSTILE)

    rule = replace(RULE, name=HOSTILE)
    rule = replace(rule, id=house.store.save_alert_rule(rule))
    told = {"state": "failed", "version": "v0001", "point": None, "figure": None, "before": None}
    house.store.note_look(rule, house.clock.now(), firing=False, row={**told, "rule": {**rule.content, "error": HOSTILE}})
    monkeypatch.setattr(alerts, "read", refused)
    page = opened("ops_alerts", section=section)
    assert failed(page) == []
    assert is_harmless(page)
    shown = words(page) + "".join(cells(page))
    assert HARMLESS in shown  # the error
    assert formats.plain(HOSTILE) in shown  # the name
    if section == "rules":
        assert is_harmless(press(page, f"delete_{rule.id}"))
        assert is_harmless(press(page, "delete_do"))  # the answer names the rule


def test_a_threshold_of_customers_is_a_number_and_not_a_percentage() -> None:
    assert alert_rules.figure(1200.0, "customers") == "1,200"
    assert alert_rules.figure(0.045, "share") == "4.5%"
