"""Answers put side by side as one table to draw: parts, groups, courses. Sums of counts only; every rate comes as answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts import Answer
from pipeline.marts.changes import PARTS
from pipeline.marts.grid import period_of
from pipeline.statistics import wilson
from streamlit_app.charts import tiles
from streamlit_app.charts.marks import ENOUGH

PART_OF = {"new_customers": "new", "resurrected_customers": "resurrected", "churned_customers": "churned"}
METRIC_OF = {part: metric for metric, part in PART_OF.items()}
COURSE_POINTS = 26
COURSE_STEP_DAYS = 7
MOST_SERIES = 6
COHORT = "signup_cohort"
WITHHELD = "withheld"
MARKS = pa.schema([("window_days", pa.int64()), ("mark", pa.string()), ("side", pa.string())])
ROOM_FOR_A_NAME, LAST_WITH_ROOM = 50, 130  # days on the axis of windows, left and right of which a name would be cut off


def growth(answers: Sequence[Answer]) -> Answer:
    """Growth accounting, long: `date, part, customers, final_on, provisional`; who left counts below zero, net is the sum."""
    parts = _with_two_withheld([_part(answer.table, PART_OF[answer.metric.name]) for answer in answers])
    sums = sum(np.asarray(part["customers"], dtype=float) for part in parts)
    net = _part(answers[0].table, "net").set_column(2, "customers", pa.array(sums, from_pandas=True))
    withheld = sum(part["customers"].null_count for part in parts)
    return replace(answers[0], table=pa.concat_tables([*parts, net]), withheld=withheld)


def _with_two_withheld(parts: list[pa.Table]) -> list[pa.Table]:
    """Where one part of a period is withheld, the smallest other one is too: who was active before and after would tell it."""
    sizes = np.abs(np.stack([np.asarray(part["customers"], dtype=float) for part in parts]))
    hidden = np.isnan(sizes)
    alone = hidden.sum(axis=0) == 1
    others = np.where(hidden | (sizes == 0), np.inf, sizes)
    smallest = (others == others.min(axis=0)) & np.isfinite(others) & alone
    columns = [
        pc.if_else(pa.array(hide), pa.scalar(None, pa.float64()), part["customers"])
        for hide, part in zip(smallest, parts, strict=True)
    ]
    return [part.set_column(2, "customers", column) for part, column in zip(parts, columns, strict=True)]


def _part(table: pa.Table, part: str) -> pa.Table:
    return pa.table(
        {
            "date": table["date"],
            "part": pa.array([part] * table.num_rows, pa.string()),
            "customers": pc.multiply(table["value"], -1 if part == "churned" else 1),
            "final_on": table["final_on"],
            "provisional": table["provisional"],
        }
    )


def together(answers: Mapping[str, Answer]) -> Answer:
    """Several answers of one shape in one table, told apart by `series`."""
    tables = [
        answer.table.append_column("series", pa.array([name] * answer.table.num_rows, pa.string()))
        for name, answer in answers.items()
    ]
    withheld = sum(answer.withheld for answer in answers.values())
    return replace(next(iter(answers.values())), table=pa.concat_tables(tables), withheld=withheld)


def by_group(answer: Answer, name: Callable[[str], str], *, groups: Sequence[str]) -> Answer:
    """These groups of a split answer, in this order, under readable names in `series`."""
    table, dimension = answer.table, str(answer.question.by)
    kept = table.filter(pc.is_in(table[dimension], pa.array(groups, pa.string())))
    codes = kept[dimension].to_pylist()
    drawn = (
        kept.drop_columns([dimension])
        .append_column("series", pa.array([name(code) for code in codes], pa.string()))
        .append_column("rank", pa.array([groups.index(code) for code in codes], pa.int64()))
    )
    return replace(answer, table=drawn.sort_by([("rank", "ascending")]))


def groups_of(answer: Answer) -> list[str]:
    """The groups of a split answer, the largest first."""
    table, dimension = answer.table, str(answer.question.by)
    size = "n" if table["n"].null_count < table.num_rows else "value"
    sums = table.group_by([dimension]).aggregate([(size, "sum")]).sort_by([(f"{size}_sum", "descending")])
    return [str(value) for value in sums[dimension].to_pylist()]


def drawn_groups(answer: Answer, *, most: int = MOST_SERIES) -> list[str]:
    """The groups of a split answer that a chart has room for, in the order of their colours: the largest, cohorts by age."""
    return _in_order(groups_of(answer)[:most], str(answer.question.by))


def _in_order(groups: Sequence[str], dimension: str) -> list[str]:
    return sorted(groups) if dimension == COHORT else list(groups)


def as_one_group(answer: Answer, name: str) -> Answer:
    """An undivided answer in the shape of a divided one."""
    rows = answer.table.num_rows
    named = answer.table.append_column("series", pa.array([name] * rows, pa.string()))
    return replace(answer, table=named.append_column("rank", pa.array([0] * rows, pa.int64())))


def with_rest(answer: Answer, name: Callable[[str], str], *, rest: str, groups: Sequence[str], most: int = MOST_SERIES) -> Answer:
    """Counts or amounts of the first of these groups, and of all others as one group: the parts add up to the total.

    What is withheld of one of the others is withheld of their sum. Cohorts come by age. Such sums have no `n`, `low` and `high`.
    """
    table, dimension = answer.table, str(answer.question.by)
    kept = _in_order(groups if len(groups) <= most else groups[: most - 1], dimension)
    ranks = [kept.index(code) if code in kept else len(kept) for code in table[dimension].to_pylist()]
    names = [*(name(code) for code in kept), rest]
    keys = ["date", "series", "rank", "final_on", "provisional"]
    summed = (
        table.append_column("series", pa.array([names[rank] for rank in ranks], pa.string()))
        .append_column("rank", pa.array(ranks, pa.int64()))
        .group_by(keys)
        .aggregate([("value", "sum", pc.ScalarAggregateOptions(skip_nulls=False))])
        .rename_columns([*keys, "value"])
    )
    for column in ("n", "low", "high"):
        summed = summed.append_column(column, pa.nulls(summed.num_rows, table[column].type))
    return replace(answer, table=summed.sort_by([("rank", "ascending"), ("date", "ascending")]))


def share_over_months(answer: Answer, name: Callable[[str], str]) -> Answer:
    """Card-not-present shares by group over the final months of a range: their counts added up, the interval of the sum.

    Those with most payments come first.
    """
    dimension, counts = str(answer.question.by), ["n", "not_present", "unknown"]
    summed = final(answer.table).group_by([dimension]).aggregate([(count, "sum") for count in counts])
    known = summed.rename_columns([dimension, *counts]).filter(pc.greater(summed["n_sum"], 0))
    n, absent = known["n"].to_numpy(), known["not_present"].to_numpy()
    low, high = wilson(absent, n)
    columns = {"code": known[dimension], "series": pa.array(map(name, known[dimension].to_pylist()), pa.string())}
    columns |= {"value": pa.array(absent / n, pa.float64()), "low": pa.array(low), "high": pa.array(high)}
    table = pa.table(columns | {count: known[count] for count in counts}).sort_by([("n", "descending")])
    return replace(answer, table=table)


def on_tiles(answer: Answer) -> Answer:
    """Figures by country beside the place of each on the map of tiles; rows whose country is unknown have none."""
    table = answer.table.filter(pc.not_equal(answer.table["code"], "unknown"))
    column, row = zip(*tiles.places(table["code"].to_pylist()), strict=True) if table.num_rows else ((), ())
    placed = table.append_column("column", pa.array(column, pa.int64())).append_column("row", pa.array(row, pa.int64()))
    return replace(answer, table=placed)


def has_values(answer: Answer) -> bool:
    """Whether there is anything to draw: a row whose value is neither unknown nor withheld."""
    return bool(answer.table["value"].null_count < answer.table.num_rows)


def is_of_nobody(answer: Answer) -> bool:
    """Whether every point is a share of 0; one that is withheld is a share of somebody."""
    return bool(pc.all(pc.equal(pc.fill_null(answer.table["n"], 1), 0)).as_py())


def unknown_share(answer: Answer) -> Answer:
    """The share of payments whose presence is unknown, among all of them."""
    table = answer.table
    unknown, known = np.asarray(table["unknown"], dtype=float), np.asarray(table["n"], dtype=float)
    low, high = (pa.array(end, from_pandas=True) for end in wilson(unknown, unknown + known))
    columns = {"date": table["date"], "value": pa.array(unknown / (unknown + known), from_pandas=True)}
    columns |= {"n": pc.add(table["unknown"], table["n"]), "low": low, "high": high}
    return replace(answer, table=pa.table(columns | {name: table[name] for name in ("final_on", "provisional")}))


def marks(marked: Mapping[str, int | None], *, among: pa.ChunkedArray) -> pa.Table:
    """The marked windows `among` the drawn ones: `window_days, mark, side`, one row each; the mark is `both` where two agree.

    `side` is where the name has room: on the side away from the other mark.
    """
    names = dict[int, list[str]]()
    for name, days in marked.items():
        if days is not None and pc.is_in(pa.scalar(days, among.type), among).as_py():
            names.setdefault(days, []).append(name)
    rows = [
        {
            "window_days": days,
            "mark": "both" if len(found) > 1 else found[0],
            "side": _side(days, [other for other in names if other != days]),
        }
        for days, found in names.items()
    ]
    return pa.Table.from_pylist(rows, schema=MARKS)


def _side(days: int, others: Sequence[int]) -> str:
    if days < ROOM_FOR_A_NAME:
        return "right"
    return "left" if days < min(others, default=0) or days > LAST_WITH_ROOM else "right"


def with_window(answer: Answer, window: int) -> Answer:
    """Figures beside the window in days that they are about."""
    return replace(
        answer, table=answer.table.append_column("window_days", pa.repeat(pa.scalar(window, pa.int64()), len(answer.table)))
    )


def bridged(answer: Answer, window: int) -> tuple[int, float] | None:
    """The longest whole class of usage intervals that a window bridges, and the share of intervals up to it."""
    within = [row for row in answer.rows() if row["to_days"] is not None and row["to_days"] <= window]
    if not within or within[-1]["reached"] is None:
        return None
    return within[-1]["to_days"], within[-1]["reached"]


def known(answer: Answer, *, window: int, first_day: date) -> Answer:
    """Monthly churn without the months of which nothing can be known: they would stand there as zero.

    By the effective clock nobody can be seen to have left within the last N days; by the recognised one nobody can have been
    silent for N days within the first N days of the data. A month that begins within these counts a part of its days alone.
    """
    table = answer.table
    if answer.question.kind == "effective":
        unknown = pc.greater(table["date"], pa.scalar(answer.as_of - timedelta(days=window - 1), pa.date32()))
    else:
        unknown = pc.less(table["date"], pa.scalar(first_to_lapse(first_day, window), pa.date32()))
    return _without(answer, unknown)


def first_to_lapse(first_day: date, window: int) -> date:
    """The first day on which somebody can have been silent for N days, in data that begin on that day."""
    return first_day + timedelta(days=window)


def first_with_a_rate(first_day: date, window: int) -> date:
    """The first day of the first month on all of whose days somebody can have been silent for N days."""
    first = first_to_lapse(first_day, window)
    return first if first.day == 1 else period_of(first, "month")[1] + timedelta(days=1)


def first_known(month: date, window: int) -> date:
    """The day from which something is known of a month by the effective clock."""
    return month + timedelta(days=window - 1)


def is_without_losses(curves: Answer) -> bool:
    """Whether these survival curves have no point behind their first one, on day 0."""
    return not pc.any(pc.greater(curves.table["tenure_days"], 0)).as_py()


def known_by_window(answer: Answer, *, first_day: date) -> Answer:
    """Churn of one month by N without the windows that nobody can have been silent for when it began."""
    points = answer.table.select(["final_on", "window_days"]).to_pylist()
    early = [point["final_on"].replace(day=1) < first_to_lapse(first_day, point["window_days"]) for point in points]
    return _without(answer, pa.array(early, pa.bool_()))


def _without(answer: Answer, unknown: pa.Array | pa.ChunkedArray) -> Answer:
    table = answer.table
    for name in {"value", "low", "high", "churned"} & {*table.column_names}:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pc.if_else(unknown, pa.scalar(None, table[name].type), table[name]))
    return replace(answer, table=table)


def median_time(table: pa.Table) -> tuple[int | str | None, int | str | None, int | str | None]:
    """The day by which half are lost, of one survival curve, and its 95 % interval; None where a curve stays above a half.

    Brookmeyer and Crowley (1982): the days on which the ends of the curve's own interval come down to a half. WITHHELD where a
    point before that day is withheld, for the curve may have come down to a half on it.
    """
    hidden = table["tenure_days"].filter(table["value"].is_null())
    first_hidden = pc.min(hidden).as_py()
    median, low, high = (_first_at_a_half(table, name, first_hidden) for name in ("value", "low", "high"))
    return median, low, high


def _first_at_a_half(table: pa.Table, name: str, first_hidden: int | None) -> int | str | None:
    day = pc.min(table["tenure_days"].filter(pc.less_equal(table[name], 0.5))).as_py()
    return WITHHELD if first_hidden is not None and (day is None or first_hidden < day) else day


def at_risk(table: pa.Table, days: Sequence[int]) -> dict[int, int | None]:
    """How many customers of one survival curve were still followed, on its first point on or after each of these days.

    A curve has points on days with a loss only, on which it is known; None where it is withheld.
    """
    points = dict(zip(table["tenure_days"].to_pylist(), table["n"].to_pylist(), strict=True))
    firsts = (min((point for point in points if point >= day), default=None) for day in days)
    return {day: points[day] for day in firsts if day is not None}


@dataclass(frozen=True)
class Point:
    """A share with the ends of its 95 % interval; all None where it is withheld, the ends where there is none."""

    value: float | None
    low: float | None
    high: float | None


def curves(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Each `series` of a table with its rows, in the order in which they first come."""
    for name in dict.fromkeys(table["series"].to_pylist()):
        yield name, table.filter(pc.equal(table["series"], name))


def by_days(table: pa.Table, days: Sequence[int]) -> dict[int, Point | None]:
    """What one curve that rises says on each of these days since the start: its last point up to that day.

    None where nobody is followed that long (`followed_days`). A point that is withheld stands for all days behind it; where
    it is withheld how long somebody is followed, so is every day behind the last point.
    """
    rows = table.to_pylist()
    points = {row["tenure_days"]: Point(row["value"], row["low"], row["high"]) for row in rows}
    followed = max((row["followed_days"] for row in rows if row["followed_days"] is not None), default=None)
    behind = None if followed is not None else Point(None, None, None)
    until = max(points) if followed is None else followed
    known = {day: points[max(at for at in points if at <= day)] for day in days}
    return {day: point if day <= until or point.value in (None, 1) else behind for day, point in known.items()}


def with_cohort_names(answer: Answer, name: Callable[[date, int | None], str]) -> Answer:
    """The cohorts under readable names, made of their first day and size; the size is None where it is withheld."""
    cohorts = answer.table["cohort"].to_pylist()
    sizes = dict(zip(cohorts, answer.table["n"].to_pylist(), strict=True))
    named = {day: name(day, size) for day, size in sizes.items()}
    names = pa.array([named[day] for day in cohorts], pa.string())
    return replace(answer, table=answer.table.append_column("cohort_name", names))


def changes(answer: Answer, name: Callable[[str], str], *, rest: str, most: int) -> pa.Table:
    """What changed by group, the largest first, all others as one row, so that the rows add up to the total.

    Columns: `series, rank`, then the parts and `value`, the net. What is withheld of one of the others is withheld of their row.
    """
    parts = [*PARTS, "value"]
    rows = sorted(answer.rows(), key=lambda row: -((row["before"] or 0) + (row["now"] or 0)))
    kept = rows if len(rows) <= most else rows[: most - 1]
    drawn = [{"series": name(row[str(answer.question.by)]), **{part: row[part] for part in parts}} for row in kept]
    if len(kept) < len(rows):
        others = rows[len(kept) :]
        sums = {part: None if any(row[part] is None for row in others) else sum(row[part] for row in others) for part in parts}
        drawn.append({"series": rest, **sums})
    schema = pa.schema([("series", pa.string()), ("rank", pa.int64()), *((part, pa.float64()) for part in parts)])
    return pa.Table.from_pylist([row | {"rank": rank} for rank, row in enumerate(drawn)], schema=schema)


def change_parts(table: pa.Table) -> pa.Table:
    """The same, long, as it is drawn: `series, rank, part, customers`; who left counts below zero, `net` is the change."""
    signs = {**dict.fromkeys(PART_OF, 1), "churned_customers": -1, "value": 1}
    parts = [
        pa.table(
            {
                "series": table["series"],
                "rank": table["rank"],
                "part": pa.repeat(pa.scalar(PART_OF.get(name, "net")), table.num_rows),
                "customers": pc.multiply(table[name].cast(pa.float64()), float(sign)),
            }
        )
        for name, sign in signs.items()
    ]
    return pa.concat_tables(parts)


def over_cohorts(cells: Answer, names: Mapping[int, str]) -> Answer:
    """The cells of these periods as lines over the cohorts: `date` is the cohort's first day, `series` the name of the period."""
    kept = cells.table.filter(pc.is_in(cells.table["period"], pa.array(list(names), cells.table["period"].type)))
    series = pa.array([names[period] for period in kept["period"].to_pylist()], pa.string())
    drawn = kept.append_column("series", series).rename_columns({"cohort": "date"})
    return replace(cells, table=drawn.sort_by([("period", "ascending"), ("date", "ascending")]))


def course(table: pa.Table, *, days_summed: int = 1) -> tuple[float, ...]:
    """A sparkline of a daily figure: one point a week, the last half year, each over `days_summed` days."""
    values = np.asarray(table["value"], dtype=float)
    if values.size < days_summed:
        return ()
    totals = np.convolve(values, np.ones(days_summed), mode="valid")
    points = totals[::-COURSE_STEP_DAYS][:COURSE_POINTS][::-1]
    return () if np.isnan(points).any() else tuple(float(value) for value in points)  # no course where a day is withheld


def top_of_solid(table: pa.Table) -> float | None:
    """The largest value of the points of 30 customers or more, the intervals of final ones included; None where there is none."""
    solid = table.filter(pc.fill_null(pc.greater_equal(table["n"], ENOUGH), True)) if "n" in table.column_names else table
    ends = [pc.max(solid["value"]).as_py()] + ([pc.max(final(solid)["high"]).as_py()] if "high" in table.column_names else [])
    return max((end for end in ends if end is not None), default=None)


def final(table: pa.Table) -> pa.Table:
    """The rows that time alone cannot change any more."""
    return table.filter(pc.invert(table["provisional"]))
