"""The restatement log: what a published figure was, what it is, since which version, and why, as far as it is known."""

from __future__ import annotations

from functools import partial

import streamlit as st

from streamlit_app import auth, data, data_definitions, exports, formats, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import download, filters, states, table, url
from streamlit_app.data_definitions import Cause, Point, Reason, Restatement
from streamlit_app.exports import FORMS, Form
from streamlit_app.messages import t

AREA = "definitions.restated"
ROWS_SHOWN = 200
FINAL, ALL = "final", "all"
HEADER = ("metric", "day", "was", "now", "difference", "was_provisional", "before", "since", "published_at", "reasons")


def show() -> None:
    """The section; those who see no customers get none of it, for a difference may be of one customer."""
    st.caption(t(f"{AREA}.explained"))
    if not auth.current_user().may(Role.MANAGER):
        states.empty(t(f"{AREA}.for_managers"))
        return
    with st.spinner(t(f"{AREA}.reading")):
        versions, found = data_definitions.restatements()
    if len(versions) < 2:
        states.empty(t(f"{AREA}.one_version", version=data.published().name))
        return
    st.markdown(t(f"{AREA}.compared", versions=", ".join(version.name for version in reversed(versions))))
    which = filters.choice("restated", (FINAL, ALL), label=t(f"{AREA}.which"), name=lambda name: t(f"{AREA}.kinds.{name}"))
    filters.tell_unheeded()
    wanted = [one for one in found if which == ALL or not one.was.provisional]
    if not wanted:
        states.empty(t(f"{AREA}.none_{which}"), next=t(f"{AREA}.none_next", n=formats.number(len(found))) if found else None)
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        shown = {"shown": formats.number(min(len(wanted), ROWS_SHOWN)), "total": formats.number(len(wanted))}
        st.caption(t("definitions.restated.count", count=len(wanted), **shown), width="content")
        _downloads(wanted)
    table.show(map(_row, wanted[:ROWS_SHOWN]), names=f"{AREA}.columns")


def _row(one: Restatement) -> dict[str, str]:
    return {
        "metric": one.metric.label[messages.language()],
        "day": formats.month(one.day) if one.is_month else formats.day(one.day),
        "was": _point(one, one.was),
        "now": _point(one, one.now),
        "difference": _difference(one),
        "since": f"{one.since.name} ({formats.moment(one.since.published_at, one.since.bank_timezone)})",
        "why": t("common.semicolon").join(map(reason, one.reasons)),
    }


def _point(one: Restatement, point: Point) -> str:
    mark = f" ({t(f'{AREA}.provisional')})" if point.provisional else ""
    return _value(one.metric.unit, point.value) + mark


def _value(unit: str, value: float | None) -> str:
    shown = {
        "share": lambda: formats.share(value, 2),
        "ratio": lambda: formats.decimal(value),
        "usd": lambda: formats.money(value),
    }
    return shown.get(unit, lambda: formats.number(value))()


def _difference(one: Restatement) -> str:
    if one.metric.unit == "share":
        return formats.signed_points(one.difference, 2)
    return formats.signed_decimal(one.difference) if one.metric.unit == "ratio" else formats.signed_number(one.difference)


def reason(why: Reason) -> str:
    """One reason in words."""
    values = dict(why.values)
    if "month" in values:
        values |= {"month": formats.month(values["month"]), "rows": formats.number(values["rows"])}
    if why.cause == Cause.WINDOW:
        values = {name: formats.days(window) for name, window in values.items()}
    if "models" in values:
        named = values["models"]
        values["models"] = ", ".join(f"`{name}`" for name in named[:3]) + (f" (+{len(named) - 3})" if len(named) > 3 else "")
    kind = f"{why.cause}.final" if values.pop("final", False) else f"{why.cause}.told"
    return t(f"{AREA}.causes.{kind}", **values)


def _downloads(found: list[Restatement]) -> None:
    """The whole log as a file, for rights no lower than those it was drawn for."""
    drawn_for, version = auth.current_user(), data.published().name
    with st.container(horizontal=True, horizontal_alignment="right", width="content"):
        for form in FORMS:
            download.button(
                t(f"customers.as_{form}"),
                partial(_file, found, form, drawn_for=drawn_for, version=version),
                file_name=f"neopulse-restatements-{version}.{form}",
                key=f"restatements_{form}",
                tertiary=True,
            )


def _file(found: list[Restatement], form: Form, *, drawn_for: User, version: str) -> bytes:
    return exports.table(
        "restatements",
        HEADER,
        map(_exported, found),
        form=form,
        needs=Role.MANAGER,
        drawn_for=drawn_for,
        filters=url.heeded() | {"version": version},
    )


def _exported(one: Restatement) -> list[object]:
    points = [one.was.value, one.now.value, one.difference, one.was.provisional]
    versions = [one.before.name, one.since.name, one.since.published_at]
    return [one.metric.name, one.day, *points, *versions, "; ".join(map(reason, one.reasons))]
