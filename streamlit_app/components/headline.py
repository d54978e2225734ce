"""The published headline figures as a row of KPIs: value, change, what it rests on, course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Literal

from streamlit_app import data, data_kept, figures, formats, messages, targets
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import behind_figure, metric_help, target_words, thin_days
from streamlit_app.components.kpi_row import Kpi, tone
from streamlit_app.data import Headline, Question, Version
from streamlit_app.messages import t

GOOD: Mapping[str, Literal["up", "down", "neither"]] = dict.fromkeys(targets.LESS_IS_GOOD, "down")
FLOW_DAYS = 28
COURSE_MONTHS = 12
# What rows of the last days that are still to come can do to a figure which counts these days.
OF_THE_LAST_DAYS: Mapping[str, thin_days.Way] = {
    **dict.fromkeys(("active_customers", "new_customers", "mau", "stickiness"), "rise"),
    **dict.fromkeys(("resurrected_customers", "churned_customers", "quick_ratio", "monthly_churn_rate"), "change"),
}


def kpis(question: Question, *, only: Sequence[str] = ()) -> list[Kpi]:
    """One KPI a figure, for the question's window, segment and last day; of all figures, or of those named."""
    read, shown = data.headline(window=question.window, where=question.where, until=question.end), data.published()
    known = [_known(figure, question, shown) for figure in read if not only or figure.metric.name in only]
    return [_kpi(figure, question, shown) for figure in known]


def _known(figure: Headline, question: Question, shown: Version) -> Headline:
    """A rate of churn without the months that begin before somebody can have been silent for N days; see figures.known."""
    if figure.metric.name != "monthly_churn_rate":
        return figure
    if _is_too_early(figure.until, question, shown):
        return replace(figure, value=None, low=None, high=None, before=None)
    month_before = figure.until.replace(day=1) - timedelta(days=1)
    return replace(figure, before=None) if _is_too_early(month_before, question, shown) else figure


def _is_too_early(month_end: date, question: Question, shown: Version) -> bool:
    return month_end.replace(day=1) < figures.first_to_lapse(data.bounds()[0], question.window or shown.inactivity_days)


def _kpi(figure: Headline, question: Question, shown: Version) -> Kpi:
    change = _change(figure)
    is_written = change is not None and change.startswith(("+", formats.MINUS))
    return Kpi(
        label=_label(figure),
        value=value_text(figure.metric.unit, figure.value),
        change=change,
        tone=tone(figure.change if is_written and _is_judged(figure) else None, good=GOOD.get(figure.metric.name, "up")),
        note=_note(figure, question, shown),
        course=_course(figure, question, shown),
        help=metric_help.meaning(figure.metric),
        target=_target(figure, question, shown),
        is_thin=_is_thin(figure),
    )


def _target(figure: Headline, question: Question, shown: Version) -> str | None:
    """How the figure stands to the target of this segment and window, where there is one."""
    kept = data_kept.beside_figures(data_kept.targets)
    found = targets.of(kept, figure.metric.name, question, published_window=shown.inactivity_days)
    return None if found is None else target_words.against(found, figure.metric.unit, figure.value)


def _is_thin(figure: Headline) -> bool:
    """Whether a share or a ratio rests on too few to be judged."""
    return figure.value is not None and figure.n is not None and figure.n < ENOUGH


def _is_judged(figure: Headline) -> bool:
    """Whether a change is called good or bad: not what chance alone makes, what rests on too few, or on days not loaded whole."""
    return bool(figure.is_beyond_chance) and not _is_thin(figure) and not _counts_thin_days(figure)


def _counts_thin_days(figure: Headline) -> bool:
    return figure.metric.name in OF_THE_LAST_DAYS and thin_days.are_counted(figure.until)


def _label(figure: Headline) -> str:
    short = f"common.short.{figure.metric.name}"
    return t(short) if messages.has(short) else figure.metric.label[messages.language()]


def value_text(unit: str, value: float | None) -> str:
    """A value as its unit is written."""
    if unit == "share":
        return formats.share(value)
    if unit == "ratio":
        return formats.decimal(value)
    return formats.money(value) if unit == "usd" else formats.number(value)


def _change(figure: Headline) -> str | None:
    if figure.change is None or figure.before is None:
        return None
    if figure.metric.unit == "share":
        return formats.signed_points(figure.change)
    if figure.metric.unit == "ratio":
        return formats.signed_decimal(figure.change)
    return formats.signed_number(figure.change) if _is_of_few(figure) else formats.signed_share(figure.change / figure.before)


def _is_of_few(figure: Headline) -> bool:
    """Whether a count, now or before, is so small that a percentage of it would mislead."""
    return min(figure.value or 0, figure.before or 0) < ENOUGH


def _chance(figure: Headline) -> str:
    """Whether chance alone would make the change, with its interval where that is of percent; nothing where it cannot be said.

    Nor where days that may not be loaded whole are counted: what is missing is no chance.
    """
    if not figure.change or figure.is_beyond_chance is None or figure.change_interval is None or _counts_thin_days(figure):
        return ""
    told = t(f"common.chance.{'beyond' if figure.is_beyond_chance else 'within'}")
    if figure.metric.unit == "ratio" or (figure.metric.unit != "share" and _is_of_few(figure)):
        return told
    write = formats.signed_points if figure.metric.unit == "share" else formats.signed_share
    low, high = (write(end) for end in figure.change_interval)
    return f"{told} ({t('common.chance.interval', low=low, high=high)})"


def _note(figure: Headline, question: Question, shown: Version) -> str:
    period, before = figure.period.replace(" ", "_"), value_text(figure.metric.unit, figure.before)
    lines = [t(f"common.periods.{period}", month=formats.month(figure.until), before=before)]
    if question.end is not None and question.end < shown.as_of and figure.period != "month":
        lines.insert(0, t("common.on_day", day=formats.day(figure.until)))
    if figure.low is not None:
        lines.append(t("common.between", interval=formats.interval(figure.low, figure.high), n=formats.number(figure.n)))
    if chance := _chance(figure):
        lines.append(chance)
    if figure.metric.name == "monthly_churn_rate" and _is_too_early(figure.until, question, shown):
        lines.append(t("churn.too_early", window=formats.days(question.window or shown.inactivity_days)))
    if _is_thin(figure):
        lines.append(t("churn.thin") if figure.low is not None else f"n {formats.number(figure.n)}, {t('churn.thin')}")
    if figure.withheld:
        lines.append(t("common.withheld"))
    if figure.value and (listed := _list(figure, question)):
        lines[0] = f"{lines[0]} · {listed}"
    way = OF_THE_LAST_DAYS.get(figure.metric.name)
    if way and (few := thin_days.on_a_card(way, until=figure.until)):
        lines.append(few)
    return "  \n".join(lines)


def _list(figure: Headline, question: Question) -> str:
    """The way to the customers behind the figure, where they can be listed."""
    first = {"28 days": figure.until - timedelta(days=FLOW_DAYS - 1), "month": figure.until.replace(day=1)}
    return behind_figure.link(question, figure.metric.name, on=first.get(figure.period, figure.until), until=figure.until)


def _earlier_day(figure: Headline, shown: Version) -> date | None:
    """The day of a figure that is of an earlier one than the last loaded day."""
    return figure.until if figure.period != "month" and figure.until < shown.as_of else None


def _course(figure: Headline, question: Question, shown: Version) -> tuple[float, ...]:
    """The sparkline: weekly points of a daily figure; the final months of a monthly one and of the quick ratio."""
    name = figure.metric.name
    asked = Question(name, window=question.window, where=question.where, end=_earlier_day(figure, shown))
    if figure.period == "month" or name == "quick_ratio":
        answer = data.answer(asked)
        if name == "monthly_churn_rate":
            answer = figures.known(answer, window=answer.window, first_day=data.bounds()[0])
        values = figures.final(answer.table)["value"].drop_null().to_pylist()
        return tuple(values[-COURSE_MONTHS:])
    return data.course(asked, days_summed=FLOW_DAYS if figure.period == "28 days" else 1)
