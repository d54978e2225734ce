"""What the reader may ask: each control is bound to the URL, and together they make one frozen Question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pipeline.marts import CUSTOMER_DIMENSIONS, Question
from pipeline.marts.question import Where, by_dimension, canonical
from streamlit_app import auth, data, formats, messages, segments
from streamlit_app.components import states, url
from streamlit_app.messages import t

WINDOW_DAYS = (7, 180)
SEGMENTS = CUSTOMER_DIMENSIONS
GRAINS = ("day", "week", "month")
EVERY = url.EVERY
CLOCKS = ("recognised", "effective")
SPLIT, OF_A_PLAN = "by", ("plan", "plan_tier")
UNKNOWN = "unknown"  # what a dimension says of a customer of whom the bank says nothing
FIELD_WIDTH, SPLIT_WIDTH = 98, 210  # pixels
SWITCHED: Mapping[str, bool] = {"True": True, "False": False}  # as an address says them
UNTOLD, LONGEST_TOLD = "_untold_filters", 60
TURNED = "turned"
Value = TypeVar("Value")


def _bound(
    key: str,
    default: Value,
    *,
    label: str,
    name: Callable[[Value], str],
    read: Callable[[str], Value | None],
    draw: Callable[[Value], Value | None],
) -> Value:
    """A control bound to the URL. Where the link asks for what it does not have, that waits for `tell_unheeded`."""
    value = url.bind(key, default, read=read, draw=draw)
    _note_unheeded(key, label=label, shown=formats.in_words(name(value)))
    return value


def _note_unheeded(key: str, *, label: str, shown: str, knows: bool = False) -> None:
    asked = url.unheeded(key)
    untold: dict[str, str] = st.session_state.setdefault(UNTOLD, {})
    untold.pop(key, None)
    if asked is not None and not knows:
        untold[key] = t("common.unheeded", filter=label, asked=as_asked(asked), shown=shown)


def as_asked(asked: str) -> str:
    """What a link asks for, as a sentence repeats it."""
    return formats.literal(asked[:LONGEST_TOLD])


def tell_unheeded() -> None:
    """Say which values of the link the controls drawn so far do not have; those who see some countries know that of theirs."""
    states.unheeded(list(st.session_state.pop(UNTOLD, {}).values()))


def language() -> str:
    """The language switch."""
    options = list(messages.LANGUAGES)
    chosen = _bound(
        messages.LANGUAGE_PARAMETER,
        messages.browser_language(),
        label=t("common.language"),
        name=str,
        read=url.one_of(options),
        draw=lambda start: st.segmented_control(
            t("common.language"),
            options,
            default=start,
            key=messages.LANGUAGE_PARAMETER,
            required=True,
            label_visibility="collapsed",
        ),
    )
    messages.look_again()
    return chosen


def window() -> int:
    """N, the days of silence after which a customer counts as gone."""
    return _bound(
        "window",
        data.published().inactivity_days,
        label=t("common.window_short"),
        name=formats.days,
        read=url.whole_number(*_window_limits()),
        draw=lambda start: st.slider(
            t("common.window"), *_window_limits(), value=start, key="window", help=t("common.window_help")
        ),
    )


def window_of_the_address() -> int:
    """N where a page has no control for it: what the address carries on from another page, else the published one."""
    return url.whole_number(*_window_limits())(st.query_params.get("window", "")) or data.published().inactivity_days


def _window_limits() -> tuple[int, int]:
    low, high = WINDOW_DAYS
    published = data.published().inactivity_days
    return min(low, published), max(high, published)


def segment(side: str = "", *, within: Where = ()) -> Where:
    """A segment: any of the values chosen of each dimension. Draws into the cells of a grid.

    `side` is that of two segments which are compared, and `within` the one that both are part of.
    """
    chosen = {name: _any_of(name, side, by_dimension(within).get(name)) for name in _drawn(side)}
    where = canonical((dimension, value) for dimension, values in chosen.items() for value in values)
    _note_conflict(by_dimension(where))
    return where


def _drawn(side: str = "") -> list[str]:
    """The dimensions that have a field: what tells customers apart, and what the address names all the same."""
    telling = dimensions()
    return [name for name in SEGMENTS if name in telling or _key(name, side) in st.query_params]


def _key(dimension: str, side: str) -> str:
    return f"{side}_{dimension}" if side else dimension


def _any_of(dimension: str, side: str, among: Sequence[str] | None) -> tuple[str, ...]:
    """Any number of a dimension's values, or of those `among` them, bound to the URL; none: all."""
    key, label = _key(dimension, side), t(f"common.dimensions.{dimension}")
    options = [value for value in values(dimension) if among is None or value in among]
    found = url.bind_several(key, read=url.one_of(options), draw=lambda start: any_of(dimension, options, start=start, key=key))
    shown = segments.values_in_words(dimension, found) or t("common.every")
    knows = dimension == "country" and not found and auth.current_user().countries is not None
    _note_unheeded(key, label=f"{side.upper()} · {label}" if side else label, shown=shown, knows=knows)
    return found


def any_of(dimension: str, options: Sequence[str], *, start: tuple[str, ...], key: str) -> tuple[str, ...]:
    """The field of a filter: any number of a dimension's values, none of them for all.

    Each entry of the list is what holds once it is chosen: a value alone, or what holds now with one more or one less. So
    one value is replaced by another as in any list, and the field stays as small as it is.
    """
    shown = st.session_state.get(key, start)
    now = shown if set(shown) <= set(options) else start
    entries = _entries(options, now)
    return st.selectbox(
        t(f"common.dimensions.{dimension}"),
        entries,
        index=entries.index(start) if start in entries else 0,
        key=key,
        format_func=lambda entry: _entry_name(dimension, entry, now),
        on_change=_hold,
        args=(key,),
    )


def _entries(options: Sequence[str], now: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Everybody, what holds now, then each value alone and, beside it, added to what holds now or taken from it."""
    entries = [(), now] if len(now) > 1 else [()]
    for option in options:
        entries.append((option,))
        if now and option not in now:
            entries.append(tuple(sorted((*now, option))))
        elif len(now) > 2:
            entries.append(tuple(value for value in now if value != option))
    return entries


def _entry_name(dimension: str, entry: tuple[str, ...], now: tuple[str, ...]) -> str:
    if not entry:
        return t("common.every")
    if len(entry) == 1:
        return formats.dimension_value(dimension, entry[0])
    if entry == now:  # how many first: a narrow field cuts their names
        return f"{len(entry)} · {', '.join(formats.dimension_value(dimension, value) for value in entry)}"
    (changed,) = {*entry} ^ {*now}
    sign = "+" if changed in entry else formats.MINUS
    return f"{sign} {formats.dimension_value(dimension, changed)}"


def _hold(key: str) -> None:
    """What was chosen as "+ Spain" is called by another name once it holds."""
    st.session_state[key] = st.session_state[key]  # what is set outlives its name


def _note_conflict(chosen: Mapping[str, Sequence[str]]) -> None:
    """A plan belongs to one tier: whoever asks for plans and other tiers asks for nobody, and is told why."""
    plans, tiers = (chosen.get(dimension, ()) for dimension in OF_A_PLAN)
    if not plans or not tiers or {*tiers} & {_tier_of(plan) for plan in plans}:
        return
    told = {"plan": segments.values_in_words("plan", plans), "tier": segments.values_in_words("plan_tier", tiers)}
    st.session_state.setdefault(UNTOLD, {})["conflict"] = t("common.no_such_tier", **told)


def _tier_of(plan: str) -> str:
    """As dim_customers has it."""
    return {UNKNOWN: UNKNOWN, "STANDARD": "standard"}.get(plan, "premium")


def dimensions() -> tuple[str, ...]:
    """The dimensions of which something is known, else all: of a bank that sent no users it is known when each customer came."""
    return tuple(name for name in SEGMENTS if values(name) != [UNKNOWN]) or SEGMENTS


def splits(key: str) -> tuple[str, ...]:
    """The dimensions that a chart can be split by: those, and what the address names all the same."""
    telling = dimensions()
    return tuple(name for name in SEGMENTS if name in telling or name == st.query_params.get(key))


def values(dimension: str) -> list[str]:
    """What a filter of a dimension offers: the most frequent first, months of joining the newest first."""
    found = data.dimension_values(dimension)
    return sorted(found, reverse=True) if dimension == "signup_cohort" else found


def dates() -> tuple[date, date]:
    """The first and the last day to show, whichever way round they were chosen."""
    first, last = data.bounds()
    chosen = (
        _day("from", first, label=t("common.from"), low=first, high=last),
        _day("to", last, label=t("common.to"), low=first, high=last),
    )
    untold: dict[str, str] = st.session_state.setdefault(UNTOLD, {})
    untold.pop(TURNED, None)
    start, end = min(chosen), max(chosen)
    if chosen != (start, end):
        untold[TURNED] = t("common.turned", start=formats.day(start), end=formats.day(end))
    return start, end


def has_range(question: Question) -> bool:
    """Whether the question is of a part of the days that there are."""
    first, last = data.bounds()
    return (question.start or first) > first or (question.end or last) < last


def carries_range() -> bool:
    """Whether the address of a page without these fields carries on a part of the days from another page."""
    first, last = data.bounds()
    start, end = (url.day(first, last)(st.query_params.get(key, "")) for key in ("from", "to"))
    return (start or first) > first or (end or last) < last


def _day(key: Literal["from", "to"], default: date, *, label: str, low: date, high: date) -> date:
    return _bound(
        key,
        default,
        label=label,
        name=formats.day,
        read=url.day(low, high),
        draw=lambda start: st.date_input(label, start, min_value=low, max_value=high, key=key, format="DD/MM/YYYY"),
    )


def select(key: str, options: Sequence[str], *, label: str, name: Callable[[str], str], default: str | None = None) -> str:
    """One of many, as a list to open."""
    return _bound(
        key,
        default or options[0],
        label=label,
        name=name,
        read=url.one_of(list(options)),
        draw=lambda start: st.selectbox(label, options, index=list(options).index(start), key=key, format_func=name),
    )


def choice(key: str, options: Sequence[str], *, label: str, name: Callable[[str], str], default: str | None = None) -> str:
    """One of a few, side by side."""
    return _bound(
        key,
        default or options[0],
        label=label,
        name=name,
        read=url.one_of(list(options)),
        draw=lambda start: st.segmented_control(label, options, default=start, key=key, format_func=name, required=True),
    )


def switch(key: str, *, label: str, help: str) -> bool:
    """On or off, and off where the link says nothing."""
    return _bound(
        key,
        False,
        label=label,
        name=formats.yes_or_no,
        read=SWITCHED.get,
        draw=lambda start: st.toggle(label, start, key=key, help=help, width="content"),
    )


def text(key: str, *, label: str, placeholder: str | None = None) -> str:
    """A line of text."""
    return url.bind(
        key, "", read=lambda written: written, draw=lambda start: st.text_input(label, start, key=key, placeholder=placeholder)
    )


def grain(default: str = "week", grains: Sequence[str] = GRAINS) -> str:
    """Days, weeks or months."""
    return choice("grain", grains, label=t("common.grain"), name=lambda grain: t(f"common.grains.{grain}"), default=default)


def overview() -> Question:
    """Window and segment, in one row: what the page Overview asks."""
    slider, more = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with slider:
        days = window()
    with more, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        where = segment_menu(t("common.filters"), nothing=t("common.dimensions.all"))
    tell_unheeded()
    return Question("active_customers", window=days, where=where)


def activity() -> Question:
    """Segment and range: what every card of the page Activity asks."""
    where, (start, end) = _segment_and_dates()
    return Question("active_customers", start=start, end=end, where=where)


def window_and_grain(question: Question) -> Question:
    """The same question with window, grain and split, which some of the cards follow."""
    slider, others = st.columns(2, gap="medium", vertical_alignment="bottom")
    with slider:
        days = window()
    with others, st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        with st.container(width="content"):
            step = grain()
        with st.container(width=SPLIT_WIDTH):
            by = _split((EVERY, *splits(SPLIT)))
    tell_unheeded()
    return replace(question, window=days, grain=step, by=by)


def _split(options: Sequence[str]) -> str | None:
    """The dimension by which a chart is split; None where it is not."""
    by = select(SPLIT, options, label=t("common.split"), name=dimension_name)
    return None if by == EVERY else by


def retention() -> Question:
    """Which cohorts, which kind of retention, which segment: what the page Retention asks."""
    with st.container(horizontal=True, gap="medium"):
        cohort = named_choice("cohort", ("first_activity", "signup"))
        kind = named_choice("kind", ("classic", "unbounded"))
        step = grain("month", GRAINS[:0:-1])
    where = _segment_row()
    tell_unheeded()
    return Question("retention_cohort", where=where, grain=step, kind=kind, cohort=cohort)


def churn() -> Question:
    """Window, clock, split, segment and range: what the page Churn asks."""
    slider, choices = st.columns([3, 1], gap="medium", vertical_alignment="bottom")
    names, tiers = splits(SPLIT), len(values("plan_tier")) > 1
    with slider:
        days = window()
    with choices:
        by = _split(("plan_tier", EVERY, *(name for name in names if name != "plan_tier")) if tiers else (EVERY, *names))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        clock = named_choice("clock", CLOCKS)
        if tiers:
            st.button(
                t("churn.compare"),
                icon=":material/compare_arrows:",
                on_click=_compare_tiers,
                disabled=not _differs_from_tiers(by),
                help=t("churn.compare_help"),
            )
    where, (start, end) = _segment_and_dates()
    return Question("monthly_churn_rate", window=days, start=start, end=end, where=where, by=by, kind=clock)


def _differs_from_tiers(by: str | None) -> bool:
    """Whether something else than all of premium against all of standard is asked."""
    return by != "plan_tier" or any(name in st.query_params for name in OF_A_PLAN)


def _compare_tiers() -> None:
    """Premium against standard, whatever was asked of plans before."""
    chosen: dict[str, str | tuple[str, ...]] = {SPLIT: "plan_tier", **dict.fromkeys(OF_A_PLAN, ())}
    for key, value in chosen.items():
        st.query_params.pop(key, None)
        st.session_state[key] = value
        url.keep(key, value)


def payments() -> Question:
    """Segment and range: what the page Payments asks."""
    where, (start, end) = _segment_and_dates()
    return Question("transactions", start=start, end=end, where=where)


def segment_menu(label: str, *, nothing: str, side: str = "", within: Where = ()) -> Where:
    """The fields of a segment folded into a menu, and what is chosen beside it; `nothing` where nothing is."""
    with st.popover(label, icon=":material/filter_alt:"), _grid(2):
        where = segment(side, within=within)
    st.caption(segments.values_alone(where) or nothing, width="content")
    return where


def _segment_row() -> Where:
    with segment_grid():
        return segment()


def segment_grid() -> DeltaGenerator:
    """A row for the fields of a segment."""
    return _grid(len(_drawn()))


def _grid(fields: int) -> DeltaGenerator:
    return st.grid(fields, min_column_width=FIELD_WIDTH, gap="xsmall")


def _segment_and_dates() -> tuple[Where, tuple[date, date]]:
    with _grid(min(len(_drawn()) + 2, 4)):  # a date wants more room than an eighth
        chosen = segment(), dates()
    tell_unheeded()
    return chosen


def dimension_name(name: str) -> str:
    """A dimension to split by in words; EVERY is no split."""
    return t("common.no_split") if name == EVERY else t(f"common.dimensions.{name}")


def named_choice(key: str, options: Sequence[str]) -> str:
    """One of a few whose names stand in the catalogue under the key."""
    return choice(key, options, label=t(f"common.choices.{key}.label"), name=lambda option: t(f"common.choices.{key}.{option}"))
