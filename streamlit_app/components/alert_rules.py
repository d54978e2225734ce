"""Rules on figures: one card each with what it reads now, and the form that writes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import streamlit as st

from pipeline.marts.question import Where, by_dimension, canonical
from streamlit_app import actions_alerts, data, formats, messages, operations_alerts, segments
from streamlit_app.actions import Outcome
from streamlit_app.components import answers, comparison, filters, states
from streamlit_app.messages import t
from streamlit_app.operations_alerts import COMPARISONS, RELATIVE, WATCHABLE, AlertRule, Reading, Seen

EDITED = "rule_edited"
LONGEST_NAME = 80
FIELDS_ABREAST = 3
LONGEST_COOLDOWN_HOURS = 24 * 90
NEW = AlertRule("", "active_customers", "change_below", -0.1)


def show(_zone: str) -> None:
    """The cards, and the button for another rule."""
    st.caption(t("ops_alerts.explained"))
    seen = operations_alerts.rules()
    obstacle = actions_alerts.why_no_test()
    if not seen:
        states.empty(t("ops_alerts.no_rule"))
    for one in seen:
        with st.container(border=True, gap="xsmall"):
            _card(one, obstacle)
        if st.session_state.get(EDITED) == one.rule.id:
            _form(one.rule)
    if st.session_state.get(EDITED) == NEW.id:
        _form(NEW)
    else:
        st.button(t("ops_alerts.add"), key="add_rule", icon=":material/add:", on_click=_edit, args=(NEW.id,))
    if seen:
        answers.reason(obstacle)


def _card(seen: Seen, obstacle: Outcome | None) -> None:
    rule = seen.rule
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{formats.plain(rule.name)}**", width="content")
        _badge(seen)
    st.markdown(in_words(rule))
    st.caption(_now(seen))
    with st.container(horizontal=True):
        label = t("ops_alerts.edit")
        st.button(label, key=f"edit_{rule.id}", icon=":material/edit:", on_click=_edit, args=(rule.id,))
        answers.button(
            t("ops_alerts.switch_off" if rule.enabled else "ops_alerts.switch_on"),
            lambda: actions_alerts.switch(rule.id, enabled=not rule.enabled),
            key=f"switch_{rule.id}",
            obstacle=None,
            icon=":material/power_settings_new:",
        )
        answers.button(
            t("ops_alerts.test"),
            lambda: actions_alerts.test(rule.id),
            key=f"test_{rule.id}",
            obstacle=obstacle,
            icon=":material/outgoing_mail:",
        )
        if st.button(t("ops_alerts.delete"), key=f"delete_{rule.id}", icon=":material/delete:"):
            _confirm(rule)


def _badge(seen: Seen) -> None:
    if not seen.rule.enabled:
        st.badge(t("ops_alerts.off"), color="gray")
    elif seen.error:
        st.badge(t("ops_alerts.cannot_be_asked"), icon=":material/error:", color="red")
    elif seen.breaks:
        st.badge(t("ops_alerts.fires"), icon=":material/notifications_active:", color="red")
    else:
        st.badge(t("ops_alerts.quiet"), icon=":material/check_circle:", color="green")


def in_words(rule: AlertRule) -> str:
    """What a rule says, in one sentence."""
    metric = operations_alerts.metric(rule.metric)
    unit = metric.unit if metric is not None else ""
    return t(
        f"ops_alerts.sentences.{rule.comparison}",
        metric=metric.label[messages.language()] if metric is not None else rule.metric,
        segment=_segment(rule),
        threshold=formats.signed_share(rule.threshold) if rule.comparison in RELATIVE else figure(rule.threshold, unit),
        hours=formats.length(rule.cooldown_hours, "hour"),
    )


def _segment(rule: AlertRule) -> str:
    return segments.in_words(rule.where) or t("ops_alerts.everybody")


def figure(value: float | None, unit: str) -> str:
    """A figure in its unit."""
    return comparison.FIGURES.get(unit, formats.number)(value)


def point(day: date | None, grain: str) -> str:
    """The day of a point, or its month."""
    return formats.month(day) if grain == "month" else formats.day(day)


def _now(seen: Seen) -> str:
    if seen.error:
        return formats.literal(seen.error)
    reading = seen.reading
    if reading is None or reading.figure is None:
        return t("ops_alerts.no_final_point")
    return t(
        "ops_alerts.now",
        point=point(reading.point, reading.grain),
        figure=figure(reading.figure, reading.unit),
        before=figure(reading.before, reading.unit),
        change=_change(reading),
    )


def _change(reading: Reading) -> str:
    if reading.figure is None or not reading.before:
        return formats.NOTHING
    return formats.signed_share(reading.figure / reading.before - 1)


def _form(rule: AlertRule) -> None:
    """The form: what may be chosen follows the metric."""
    with st.container(border=True):
        st.subheader(t("ops_alerts.edit_title" if rule.id else "ops_alerts.add_title"))
        written = _written(rule)
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.button(t("ops_alerts.cancel"), key="rule_cancel", on_click=_edit, args=(None,))
            if st.button(t("ops_alerts.save"), key="rule_save", icon=":material/check:"):
                answers.press(lambda: actions_alerts.save(written))
                _edit(None)
                st.rerun()


def _edit(rule_id: int | None) -> None:
    """Which rule the form is about: 0 is a new one, None is no form."""
    st.session_state[EDITED] = rule_id


def _written(rule: AlertRule) -> AlertRule:
    name = st.text_input(t("ops_alerts.name"), rule.name, key=f"rule_name_{rule.id}", max_chars=LONGEST_NAME)
    metric = _select(rule.id, "metric", list(WATCHABLE), rule.metric)
    known = operations_alerts.choices(metric)
    grain = _select(rule.id, "grain", list(known.grains), rule.grain)
    where = _whom(rule, known.dimensions)
    comparison_chosen = _select(rule.id, "comparison", list(COMPARISONS), rule.comparison)
    threshold = _threshold(rule, metric, comparison_chosen)
    cooldown = st.number_input(
        t("ops_alerts.cooldown"),
        0,
        LONGEST_COOLDOWN_HOURS,
        rule.cooldown_hours,
        key=f"rule_cooldown_{rule.id}",
        help=t("ops_alerts.cooldown_help"),
    )
    return replace(
        rule,
        name=name,
        metric=metric,
        grain=grain,
        where=where,
        window=_window(rule),
        comparison=comparison_chosen,
        threshold=threshold,
        cooldown_hours=int(cooldown),
    )


def _whom(rule: AlertRule, dimensions: Sequence[str]) -> Where:
    """The filters, as every page has them; a value that no customer has any more stays until another one is chosen."""
    st.markdown(f":small[{t('ops_alerts.fields.whom')}]")
    with st.grid(FIELDS_ABREAST, min_column_width=filters.FIELD_WIDTH, gap="xsmall"):
        chosen = {dimension: _any_of(rule, dimension) for dimension in dimensions}
    return canonical((dimension, value) for dimension, values in chosen.items() for value in values)


def _any_of(rule: AlertRule, dimension: str) -> tuple[str, ...]:
    start = tuple(sorted(by_dimension(rule.where).get(dimension, ())))
    options = list(dict.fromkeys([*filters.values(dimension), *start]))
    return filters.any_of(dimension, options, start=start, key=f"rule_where_{dimension}_{rule.id}")


def _select(rule_id: int, what: str, options: list[str], chosen: str | None) -> str:
    """One of many."""
    start = options.index(chosen) if chosen in options else 0
    key = f"rule_{what}_{rule_id}"
    return st.selectbox(t(f"ops_alerts.fields.{what}"), options, start, key=key, format_func=lambda option: _name(what, option))


def _name(what: str, option: str) -> str:
    if what == "metric":
        metric = operations_alerts.metric(option)
        return metric.label[messages.language()] if metric is not None else option
    return t(f"common.grains.{option}") if what == "grain" else t(f"ops_alerts.comparisons.{option}")


def _threshold(rule: AlertRule, metric: str, comparison_chosen: str) -> float:
    """In percent where the unit is a share or the change is relative."""
    known = operations_alerts.metric(metric)
    is_share = comparison_chosen in RELATIVE or (known is not None and known.unit == "share")
    label = t("ops_alerts.threshold_percent" if is_share else "ops_alerts.threshold")
    written = st.number_input(
        label, value=rule.threshold * 100 if is_share else rule.threshold, key=f"rule_threshold_{is_share}_{rule.id}"
    )
    return round(written / 100, 6) if is_share else float(written)


def _window(rule: AlertRule) -> int | None:
    """N, or the published one where the field is left empty."""
    low, high = filters.WINDOW_DAYS
    written = st.number_input(
        t("ops_alerts.window"),
        low,
        high,
        rule.window,
        key=f"rule_window_{rule.id}",
        help=t("ops_alerts.window_help"),
        placeholder=_published_window(),
    )
    return None if written is None else int(written)


def _published_window() -> str | None:
    """N as an empty field stands for it; None before the first version."""
    version = data.current_version()
    return None if version is None else str(version.inactivity_days)


def _confirm(rule: AlertRule) -> None:
    @st.dialog(t("ops_alerts.delete_title", name=formats.plain(rule.name)), icon=":material/delete:")
    def ask() -> None:
        st.markdown(t("ops_alerts.delete_means"))
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(t("ops_alerts.cancel"), key="delete_cancel"):
                st.rerun()
            act = (lambda: actions_alerts.delete(rule.id),)
            if st.button(t("ops_alerts.delete"), key="delete_do", icon=":material/delete:", on_click=answers.press, args=act):
                st.rerun()

    ask()
