"""Rules on figures, and what came of looking at them: one row each time a rule fired or was right again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from pipeline.errors import PermanentError
from pipeline.runs.database import Database
from pipeline.runs.schema_guard import alert_history, alert_rules
from pipeline.runs.targets import Where

FIRED, RECOVERED, FAILED = "fired", "recovered", "failed"
UNSENT, SENT, COOLING, UNTOLD = "", "sent", "cooldown", "untold"


@dataclass(frozen=True)
class AlertRule:
    """What is watched of a metric, of everybody or of whom the filters name.

    `where` are the filters: of any of several values of one dimension, in every dimension named.
    `comparison` is below, above, change_below or change_above; the last two compare the relative change against the period
    before. `threshold` is in the metric's unit, for a share or a change a fraction. After a mail the rule is silent for
    `cooldown_hours`. `firing` says how the last look ended, `looked_at` which publication it was about.
    """

    name: str
    metric: str
    comparison: str
    threshold: float
    grain: str | None = None
    where: Where = ()
    window: int | None = None
    cooldown_hours: int = 24
    enabled: bool = True
    firing: bool = False
    looked_at: datetime | None = None
    id: int = 0

    @property
    def content(self) -> dict[str, Any]:
        """What an admin wrote: the rule without what came of it, and of each dimension the values."""
        written = {name: value for name, value in asdict(self).items() if name not in ("id", "firing", "looked_at", "where")}
        return {**written, "segment": {name: [value for of, value in self.where if of == name] for name, _ in self.where}}


@dataclass(frozen=True)
class AlertRow:
    """One look at a rule that led to something; `mail` is empty while its mail is to be sent."""

    id: int
    rule_id: int
    at: datetime
    state: str
    version: str
    point: date | None
    figure: float | None
    before: float | None
    rule: Mapping[str, Any]
    mail: str


class AlertStore(Database):
    """Keep the rules and their history."""

    def alert_rules(self) -> list[AlertRule]:
        """Every rule, the oldest first."""
        query = select(alert_rules).where(~alert_rules.c.deleted).order_by(alert_rules.c.id)
        with self._read() as connection:
            return [_rule(row) for row in connection.execute(query)]

    def alert_rule(self, rule_id: int) -> AlertRule:
        """One rule; raises PermanentError where there is none of that number."""
        for rule in self.alert_rules():
            if rule.id == rule_id:
                return rule
        raise PermanentError(f"There is no rule {rule_id}", where="the page Alerts", next="look at the list of rules again")

    def save_alert_rule(self, rule: AlertRule) -> int:
        """Add a rule (its id is 0) or change one; what is changed is looked at anew. Returns its number."""
        filters = [list(pair) for pair in rule.where]
        values = {**rule.content, "segment": filters, "firing": False, "looked_at": None, "deleted": False}
        with self._write() as connection:
            if rule.id == 0:
                return int(connection.execute(insert(alert_rules).values(**values).returning(alert_rules.c.id)).scalar_one())
            connection.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(**values))
        return rule.id

    def delete_alert_rule(self, rule_id: int) -> None:
        """Take a rule out of sight; its history stays."""
        with self._write() as connection:
            connection.execute(update(alert_rules).where(alert_rules.c.id == rule_id).values(deleted=True, enabled=False))

    def note_look(
        self, rule: AlertRule, published_at: datetime, *, firing: bool, row: Mapping[str, Any] | None = None
    ) -> AlertRow | None:
        """Write down what a look at a rule found in a publication; with `row`, that it fired, recovered or failed.

        Once a publication: who comes second, or with an older one, writes nothing and gets None.
        """
        looked = alert_rules.c.looked_at
        with self._write() as connection:
            change = update(alert_rules).where(
                alert_rules.c.id == rule.id, alert_rules.c.enabled, or_(looked.is_(None), looked < published_at)
            )
            changed = connection.execute(change.values(looked_at=published_at, firing=firing))
            if changed.rowcount != 1 or row is None:
                return None
            values = {**row, "rule_id": rule.id, "at": self._clock.now(), "mail": _mail(connection, rule, row["state"], self)}
            made = connection.execute(insert(alert_history).values(**values).returning(alert_history.c.id)).scalar_one()
            return AlertRow(**connection.execute(select(alert_history).where(alert_history.c.id == made)).one()._mapping)

    def alert_sent(self, row_id: int) -> None:
        """Write down that the mail of a row is on its way."""
        with self._write() as connection:
            connection.execute(update(alert_history).where(alert_history.c.id == row_id).values(mail=SENT))

    def unsent_alerts(self) -> list[AlertRow]:
        """Rows whose mail is still to be sent, oldest first."""
        query = select(alert_history).where(alert_history.c.mail == UNSENT).order_by(alert_history.c.id)
        with self._read() as connection:
            return [AlertRow(**row._mapping) for row in connection.execute(query)]

    def alert_history(self, limit: int = 50, *, rule_id: int | None = None) -> list[AlertRow]:
        """The last rows, newest first, of one rule or of all."""
        query = select(alert_history).order_by(alert_history.c.id.desc()).limit(limit)
        if rule_id is not None:
            query = query.where(alert_history.c.rule_id == rule_id)
        with self._read() as connection:
            return [AlertRow(**row._mapping) for row in connection.execute(query)]

    def last_fired(self, rule_id: int) -> AlertRow | None:
        """When a rule fired last."""
        with self._read() as connection:
            row = connection.execute(_last_fired(rule_id)).one_or_none()
        return None if row is None else AlertRow(**row._mapping)


def _last_fired(rule_id: int, *, mailed: bool = False) -> Any:
    query = select(alert_history).where(alert_history.c.rule_id == rule_id, alert_history.c.state == FIRED)
    if mailed:
        query = query.where(alert_history.c.mail.in_((UNSENT, SENT)))
    return query.order_by(alert_history.c.id.desc()).limit(1)


def _mail(connection: Connection, rule: AlertRule, state: str, store: AlertStore) -> str:
    """Whether a row is told: not in the cooldown after the last mail, and its end only where its beginning was told."""
    if state == FAILED:
        return UNTOLD
    if state == RECOVERED:
        fired = connection.execute(_last_fired(rule.id)).one_or_none()
        return UNSENT if fired is not None and fired.mail in (UNSENT, SENT) else UNTOLD
    told = connection.execute(_last_fired(rule.id, mailed=True)).one_or_none()
    silent_until = told.at + timedelta(hours=rule.cooldown_hours) if told is not None else None
    return COOLING if silent_until is not None and store._clock.now() < silent_until else UNSENT


def _rule(row: Row[Any]) -> AlertRule:
    values = {name: value for name, value in row._mapping.items() if name not in ("deleted", "segment")}
    return AlertRule(**values, where=tuple((dimension, value) for dimension, value in row.segment or ()))
