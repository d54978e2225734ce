"""What an admin does with rules on figures: write, switch, delete and try them. Each act leaves an audit row."""

from __future__ import annotations

from dataclasses import replace

from pipeline import alerts, telling
from pipeline.clock import SystemClock
from pipeline.marts import family, reader
from pipeline.marts.question import one_of
from pipeline.runs.alerts import AlertRule
from streamlit_app import auth, data, formats
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

SUBJECT = "alert rule {id}"


def save(rule: AlertRule) -> Outcome:
    """Add a rule or change one; raises ConfigurationError, with what can be asked, where its figure cannot."""
    user = auth.require_everywhere(Role.ADMIN)
    name = formats.visible(rule.name)
    if not name:
        return Outcome(False, "rule_nameless")
    _refuse_what_cannot_be_asked(rule)
    store = data.run_store()
    before = store.alert_rule(rule.id).content if rule.id else None
    rule_id = store.save_alert_rule(replace(rule, name=name))
    what = "change_alert_rule" if rule.id else "add_alert_rule"
    store.audit(user.name, what, SUBJECT.format(id=rule_id), before=before, after=store.alert_rule(rule_id).content)
    return Outcome(True, "rule_saved", {"name": name})


def switch(rule_id: int, *, enabled: bool) -> Outcome:
    """Let a rule be looked at, or not."""
    return save(replace(_rule(rule_id), enabled=enabled))


def delete(rule_id: int) -> Outcome:
    """Take a rule away; its history stays."""
    user = auth.require_everywhere(Role.ADMIN)
    rule = _rule(rule_id)
    data.run_store().delete_alert_rule(rule_id)
    data.run_store().audit(user.name, "delete_alert_rule", SUBJECT.format(id=rule_id), before=rule.content)
    return Outcome(True, "rule_deleted", {"name": rule.name})


def why_no_test() -> Outcome | None:
    """Why no test message would be delivered soon; None where one would."""
    auth.require(Role.ADMIN)
    if data.current_version() is None:
        return Outcome(False, "no_version")
    now, workers = SystemClock().now(), data.run_store().workers()
    return None if any(worker.is_alive(now) for worker in workers) else Outcome(False, "no_worker")


def test(rule_id: int) -> Outcome:
    """Leave a message, marked as a test, for the worker to deliver; it says what the rule reads now."""
    user = auth.require_everywhere(Role.ADMIN)
    obstacle, version = why_no_test(), data.current_version()
    if obstacle is not None or version is None:
        return obstacle or Outcome(False, "no_version")
    rule, at = _rule(rule_id), SystemClock().now()
    notice = alerts.trial(rule, alerts.read(rule, reader(version)), at)
    in_force = data.in_force()
    key = telling.leave(telling.notice_of(notice, at, in_force, version), in_force, data.run_store())
    data.run_store().audit(user.name, "test_alert_rule", SUBJECT.format(id=rule_id), after={"delivery": key})
    return Outcome(True, "test_left", {"recipients": ", ".join(in_force.mail_to)})


test.__test__ = False  # type: ignore[attr-defined] # not a test of ours, whatever its name tells pytest


def _rule(rule_id: int) -> AlertRule:
    auth.require_everywhere(Role.ADMIN)
    return data.run_store().alert_rule(rule_id)


def _refuse_what_cannot_be_asked(rule: AlertRule) -> None:
    one_of("metric", rule.metric, alerts.WATCHABLE, metric="the rules")
    one_of("comparison", rule.comparison, alerts.COMPARISONS, metric="the rules")
    for dimension, _ in rule.where:
        one_of("dimension", dimension, family(rule.metric).dimensions, metric=rule.metric)
    version = data.current_version()
    if version is not None:
        alerts.read(rule, reader(version))
