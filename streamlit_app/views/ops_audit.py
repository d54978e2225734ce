"""The audit log: who did what and when, with the values before and after; nobody can change it, here or in the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from pipeline.marts import CUSTOMER_DIMENSIONS
from pipeline.runs.records import AuditRow
from pipeline.runs.trail import Acts
from streamlit_app import auth, exports, formats, messages, operations
from streamlit_app.auth import Role
from streamlit_app.components import download, filters, states, table, url
from streamlit_app.exports import Form
from streamlit_app.messages import t

NAMES = "ops_audit.columns"
NAMED = ("ops_audit.keys", "common.dimensions", "ops_runs.details")  # where the names of what was noted down stand
CHOICES: Mapping[str, str] = {  # whose values have names of their own in the catalogues
    "frequency": "ops_reports.frequencies",
    **dict.fromkeys(("by", "first_by", "changed_by", "dimension"), "common.dimensions"),
    "grain": "common.grains",
    **{key: f"common.choices.{key}" for key in ("clock", "kind", "cohort", "cohorts", "against")},
}
MOST_IN_A_FILE = 100_000
FIRST_DAY = date(2000, 1, 1)
NOTED_NOTHING: tuple[object, ...] = (None, {}, "")


def show() -> None:
    """The page."""
    auth.require(Role.ADMIN)
    zone = operations.viewer_zone()
    st.header(t("ops_audit.title"))
    st.caption(t("ops_audit.explained", zone=zone))
    asked = _asked(zone)
    rows = operations.acts(asked)
    if not rows:
        states.empty(t("ops_audit.nothing"), next=t("ops_audit.nothing_next"))
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        which = "ops_audit.last" if len(rows) == operations.ACTS_SHOWN else "ops_audit.all"
        st.caption(t(which, shown=formats.number(len(rows))), width="content")
        with st.container(horizontal=True, horizontal_alignment="right", width="content"):
            labels: Mapping[Form, str] = {"csv": t("common.csv"), "xlsx": t("common.files.xlsx")}
            for form, label in labels.items():
                name = f"neopulse-audit.{form}"
                download.button(label, partial(_file, asked, form), file_name=name, key=f"{form}_audit", tertiary=True)
    table.show((_row(row, zone) for row in rows), names=NAMES)


def _asked(zone: str) -> Acts:
    who, action, since, until = st.columns(4, vertical_alignment="bottom")
    with who:
        person = _one_of("who", t("ops_audit.who"), operations.actors(), lambda name: name)
    with action:
        act = _one_of("act", t("ops_audit.act"), operations.kinds_of_acts(), _act)
    with since:
        first = _day("since", t("ops_audit.since"))
    with until:
        last = _day("until", t("ops_audit.until"))
    filters.tell_unheeded()
    return Acts(
        who=person,
        action=act,
        since=None if first is None else _midnight(first, zone),
        until=None if last is None else _midnight(last + timedelta(days=1), zone),
    )


def _one_of(key: str, label: str, options: list[str], name: Callable[[str], str]) -> str | None:
    chosen = filters.select(
        key,
        [filters.EVERY, *options],
        label=label,
        name=lambda option: t("common.every") if option == filters.EVERY else name(option),
    )
    return None if chosen == filters.EVERY else chosen


def _day(key: str, label: str) -> date | None:
    today = datetime.now(UTC).date() + timedelta(days=1)

    def draw(start: date | None) -> date | None:
        return st.date_input(label, start, min_value=FIRST_DAY, key=key, format="DD/MM/YYYY")

    return url.bind(key, None, read=url.day(FIRST_DAY, today), draw=draw)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _act(action: str) -> str:
    key = f"ops_audit.acts.{action}"
    return t(key) if messages.has(key) else action.replace("_", " ")


def _row(row: AuditRow, zone: str) -> dict[str, str]:
    """Two columns: more would leave none of them room on a telephone."""
    day = formats.unbroken(formats.day(row.at.astimezone(ZoneInfo(zone)).date()))
    lines = [f"{formats.plain(row.who)} · **{_act(row.action)}** · {formats.literal(row.what)}"]
    noted = (("before", row.before), ("after", row.after))
    lines += [f"{t(f'ops_audit.noted.{when}')} {_told(value)}" for when, value in noted if value not in NOTED_NOTHING]
    return {"when": f"{day}  \n{formats.clock(row.at, zone)}", "act": "  \n".join(lines)}


def _told(value: Any) -> str:
    """What was noted down, in the reader's words."""
    if isinstance(value, Mapping):
        return " · ".join(f"{_key(key)} {_value(key, part)}" for key, part in value.items() if part not in NOTED_NOTHING)
    if isinstance(value, list):
        return ", ".join(map(_part, value)) or formats.NOTHING
    if isinstance(value, bool):
        return formats.yes_or_no(value)
    return formats.exactly(value) if isinstance(value, (int, float)) else formats.literal(str(value))


def _value(key: str, value: Any) -> str:
    """A choice of the app in the words that its page has for it; any other value as it was noted down."""
    name = f"{CHOICES[key]}.{value}" if key in CHOICES and isinstance(value, str) else ""
    return formats.in_words(t(name)) if name and messages.has(name) else _part(value)


def _part(value: Any) -> str:
    return f"({_told(value)})" if isinstance(value, Mapping) else _told(value)


def _key(key: str) -> str:
    if key in url.SEVERAL and key not in CUSTOMER_DIMENSIONS:  # a filter of one of two segments that were compared
        side, _, dimension = key.partition("_")
        return f"{side.upper()} {t(f'common.dimensions.{dimension}')}"
    known = (f"{group}.{key}" for group in NAMED)
    return next((t(name) for name in known if messages.has(name)), formats.in_words(key.replace("_", " ")))


def _file(asked: Acts, form: Form) -> bytes:
    rows = operations.acts(asked, limit=MOST_IN_A_FILE)
    cells = [(row.at.isoformat(), row.who, row.action, row.what, _json(row.before), _json(row.after)) for row in rows]
    shown = {name: str(value) for name, value in vars(asked).items() if value is not None}
    header = ("at", "who", "action", "what", "before", "after")
    return exports.table("audit log", header, cells, form=form, needs=Role.ADMIN, filters=shown)


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
