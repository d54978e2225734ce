"""Two versions side by side: headline figures, rows, tests and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from streamlit_app import data, formats, messages, operations_versions
from streamlit_app.components import filters, states, table
from streamlit_app.data import Headline, Version
from streamlit_app.messages import t
from streamlit_app.operations_versions import Comparison, Side

NAMES = "ops_versions.columns"
FIGURES: Mapping[str, Callable[[float | None], str]] = {
    "share": formats.share,
    "ratio": formats.decimal,
    "usd": formats.money,
}
CHANGES: Mapping[str, Callable[[float | None], str]] = {
    "share": formats.signed_points,
    "ratio": formats.signed_decimal,
}


def show(_zone: str) -> None:
    """Choose two, then see what differs."""
    known = operations_versions.comparable()
    if len(known) < 2:
        states.empty(t("ops_versions.too_few"))
        return
    names = list(known)
    left, right = st.columns(2)
    with left:
        before = filters.select("before", names, label=t("ops_versions.before"), name=_named, default=_seen(known))
    with right:
        after = filters.select("after", names, label=t("ops_versions.after"), name=_named)
    filters.tell_unheeded()
    one, other = known[before], known[after]
    if before == after:
        states.empty(t("ops_versions.the_same"))
        return
    with states.guarded():
        _figures(one, other)
    with states.guarded():
        found = operations_versions.compare(one, other)
        _rows(found)
        _tests(found)
        _columns(found)


def _seen(known: Mapping[str, Version]) -> str:
    """What to compare with where nobody chose: what readers see, or what came before where that is the newest."""
    current = data.current_version()
    names = list(known)
    seen = current.name if current is not None and current.name in known else names[-1]
    return names[1] if seen == names[0] else seen


def _named(name: str) -> str:
    return t("ops_versions.candidate_of", run=name.removeprefix("run ")) if name.startswith("run ") else name


def _figures(before: Version, after: Version) -> None:
    st.subheader(t("ops_versions.figures"))
    pairs = operations_versions.headlines(before, after)
    table.show((_figure(one, other) for one, other in pairs), names=NAMES)


def _figure(before: Headline, after: Headline) -> dict[str, str]:
    unit = before.metric.unit
    shown, signed = FIGURES.get(unit, formats.number), CHANGES.get(unit, formats.signed_number)
    both = before.value is not None and after.value is not None
    return {
        "figure": before.metric.label[messages.language()],
        "before": _with_n(before, shown),
        "after": _with_n(after, shown),
        "change": signed((after.value or 0) - (before.value or 0)) if both else formats.NOTHING,
    }


def _with_n(figure: Headline, shown: Callable[[float | None], str]) -> str:
    """The figure and, of a share, its interval and n; of another rate its n."""
    if figure.low is not None:
        sure = t("common.between", interval=formats.interval(figure.low, figure.high), n=formats.number(figure.n))
    else:
        sure = "" if figure.n is None else f"n {formats.number(figure.n)}"
    return f"{shown(figure.value)} ({sure})" if sure else shown(figure.value)


def _rows(found: Comparison) -> None:
    st.subheader(t("ops_versions.rows"))
    table.show((_row(side) for side in found.rows), names=NAMES)


def _row(side: Side) -> dict[str, str]:
    both = side.before is not None and side.after is not None
    return {
        "relation": side.name,
        "before": formats.number(side.before),
        "after": formats.number(side.after),
        "change": formats.signed_number(side.after - side.before) if both else formats.NOTHING,
        "relative": formats.signed_share(side.after / side.before - 1) if both and side.before else formats.NOTHING,
    }


def _tests(found: Comparison) -> None:
    st.subheader(t("ops_versions.tests"))
    st.caption(
        t(
            "ops_versions.tests_passed",
            **{
                f"{side}_{what}": formats.number(getattr(version.tests, what))
                for side, version in (("before", found.before), ("after", found.after))
                for what in ("passed", "total")
            },
        )
    )
    if found.tests:
        table.show((_status(side) for side in found.tests), names=NAMES)


def _status(side: Side) -> dict[str, str]:
    return {"test": side.name, **{name: _ended(getattr(side, name)) for name in ("before", "after")}}


def _ended(status: str | None) -> str:
    """How a test ended, in the reader's language."""
    return t("ops_versions.no_such_test") if status is None else t(f"definitions.statuses.{status}")


def _columns(found: Comparison) -> None:
    st.subheader(t("ops_versions.changed_columns"))
    if not found.columns:
        st.caption(t("ops_versions.no_column_changed"))
        return
    rows = (
        {
            "relation": str(change["relation"]),
            "column": str(change["column"]),
            "before": change.get("before") or formats.NOTHING,
            "after": change.get("after") or formats.NOTHING,
        }
        for change in found.columns
    )
    table.show(rows, names=NAMES)
