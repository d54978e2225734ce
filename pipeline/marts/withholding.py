"""Figures of few customers, withheld: for readers who see aggregates of at least 10 customers.

A figure's size is its n; a count of customers is its own size. Where a breakdown hides some of its parts, its total would give
away their sum: the smallest of the other parts are hidden as well, until that is of two parts and 10 customers. Zero is no
customer's figure and stays. A figure of
several values is hidden where that of one of them alone is: less the others it would tell it. Of several dimensions with several
values each, one alone is one value of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigurationError
from pipeline.marts import changes, withheld_curves
from pipeline.marts.activity import STICKINESS_DAYS
from pipeline.marts.headline import OF_FLOWS, Headline
from pipeline.marts.intervals import REACHED
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Answer, Where, combinations, each_alone
from pipeline.marts.reader import Reader
from pipeline.marts.thin_tail import ThinTail

FEWEST = 10
PARTS = {"l28": "active_days"}  # metrics whose rows are parts of one whole, and the column that tells them apart
OF_PAYMENTS = ("transactions", "transaction_amount")
OF_THE_LARGEST = ("amount_concentration", "transaction_concentration")
CHANGES = changes.PARTS
FAR_IN_DAYS = 10_000_000  # farther than any two days are from each other
KEPT = ("final_on", "provisional")
BESIDE = ("younger",)  # counts of customers whom neither value nor n counts
QUICK_RATIO = "quick_ratio"  # whose n are those who left, and are no part of those who came
MOST_ALONE = 40  # values or combinations of them, each read for itself
CURVES = ("survival", "time_to_first_transaction")  # a point on each day with a loss, known on the days between them too
Found = TypeVar("Found")  # an answer, or the figures of the headline


def withheld(answer: Answer, sizes: Sequence[Any] | None = None) -> Answer:
    """The answer without the figures of fewer than 10 customers; `sizes` says of how many each row is, where n does not."""
    table = answer.table
    if not table.num_rows:
        return answer
    if answer.question.metric in CURVES:
        shown, lost = withheld_curves.cut(table, withheld_curves.ends(table, fewest=FEWEST, by=answer.question.by))
        return replace(answer, table=withheld_curves.without_the_longest_followed(shown), withheld=lost)
    given = _numbers(table["n"]) if sizes is None else np.asarray(sizes, dtype=float)
    values = _numbers(table["value"])
    hidden = _is_few(np.where(np.isnan(given), values, given))
    part = PARTS.get(answer.question.metric)
    if part is not None:  # a row is a count of its own, beside the whole that n counts
        hidden |= _is_few(values)
        given = np.where(np.isnan(values), given, values)
    for by in {answer.question.by, part} - {None}:
        hidden = _in_each_whole(hidden, np.where(np.isnan(given), values, given), table, str(by))
    return replace(answer, table=_without_beside(_without(table, hidden)), withheld=int(hidden.sum()))


def for_viewers(reader: Reader, found: Answer) -> Answer:
    """Any answer of a reader, without the figures of fewer than 10 customers, nor of several values that would tell one's."""

    def ask(where: Where) -> Answer:
        return reader.answer(replace(found.question, where=where))

    return of_several(found, found.question.where, ask=ask, hide=partial(without_few, reader))


def of_several(
    found: Found, where: Where, *, ask: Callable[[Where], Found], hide: Callable[[Found], Found], same: str | None = None
) -> Found:
    """What is left of figures about several values: `hide` takes out the few, here and of each value alone.

    `ask` reads the same figures for another filter. `same` names a column that says of what a row is made: rows whose value
    alone is made of other things are no part of it, and are hidden. Each value alone is read for itself: raises
    ConfigurationError above MOST_ALONE of them.
    """
    asked = combinations(where)
    if asked > MOST_ALONE:
        raise ConfigurationError(
            f"{asked} combinations of values would have to be read one by one, so that none tells of fewer than {FEWEST}",
            where="the filters",
            safe="Nothing was shown",
            next=f"choose fewer values: up to {MOST_ALONE} combinations",
        )
    shown = hide(found)
    for alone in map(ask, each_alone(where)):
        shown = _without_its(shown, alone, hide(alone), same)
    return shown


def of_the_others(shown: Answer, left_out: Answer, its: Answer, *, same: str | None = None) -> Answer:
    """What is left of figures that leave customers out: of everybody, less those, they would tell what `its` withholds of them.

    `left_out` are the figures of whom they leave out, `its` what is shown of these.
    """
    return _without_hidden(shown, left_out, its, same)


def _without_its(shown: Any, alone: Any, its: Any, same: str | None) -> Any:
    if isinstance(shown, Answer):
        return _without_hidden(shown, alone, its, same)
    return tuple(_headline_without(figure, of_a_value) for figure, of_a_value in zip(shown, its, strict=True))


def _headline_without(figure: Headline, alone: Headline) -> Headline:
    """Without what one value alone does not say; the figure before would tell the first days of a value too young for one."""
    if alone.value is None and (alone.withheld or figure.metric.name == QUICK_RATIO):
        return _emptied(figure) if figure.value is not None or figure.before is not None else figure
    is_too_young = figure.period == OF_FLOWS and alone.before is None and figure.before is not None
    return replace(figure, before=None, before_n=None, withheld=True) if alone.withheld or is_too_young else figure


def _without_hidden(shown: Answer, alone: Answer, its: Answer, same: str | None) -> Answer:
    """Without every cell that is withheld in the same row of the answer about one value alone.

    Where nobody of a value left, it has no quick ratio: that of all, less those of the others, would tell who came.
    """
    table, keys = shown.table, shown.table.column_names[: shown.table.column_names.index("value")]
    if shown.question.metric in CURVES:
        last = withheld_curves.last_shown(its.table)  # beyond it too few of a value are followed, whatever the others are
        kept, lost = withheld_curves.cut(table, {key: day + 1 for key, day in last.items()})
        return replace(shown, table=kept, withheld=shown.withheld + lost)
    names = [name for name in table.column_names[len(keys) :] if name not in KEPT]
    known = {key: place for place, key in enumerate(_rows(table, keys))}
    if same is not None:
        its_own = dict(zip(_rows(alone.table, keys), alone.table[same].to_pylist(), strict=True))
        differs = np.array([its_own.get(key) != of for key, of in zip(known, table[same].to_pylist(), strict=True)], dtype=bool)
        is_new = differs & table["value"].is_valid().to_numpy()
        shown = replace(shown, table=_without(table, differs), withheld=shown.withheld + int(is_new.sum()))
        table = shown.table
    if shown.question.metric == QUICK_RATIO:
        hides = dict.fromkeys(names, its.table["value"].is_null().to_numpy())
    else:
        hides = {name: pc.and_(alone.table[name].is_valid(), its.table[name].is_null()).to_numpy() for name in names}
    rows = np.flatnonzero(np.any(list(hides.values()), axis=0))
    if not rows.size:
        return shown
    places = [(row, known[key]) for row, key in zip(rows, _rows(its.table.take(rows), keys), strict=True) if key in known]
    is_new = np.zeros(table.num_rows, dtype=bool)
    for name, hidden in hides.items():
        mask = np.zeros(table.num_rows, dtype=bool)
        mask[[place for row, place in places if hidden[row]]] = True
        is_new |= mask & table[name].is_valid().to_numpy()
        table = table.set_column(table.column_names.index(name), name, _nulled(table[name], mask))
    return replace(shown, table=table, withheld=shown.withheld + int(is_new.sum()))


def _rows(table: pa.Table, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    columns = [table[name].to_pylist() for name in keys]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def without_few(reader: Reader, found: Answer) -> Answer:
    """An answer of a reader without the figures of fewer than 10 customers, whatever is told of the values of its filters.

    Payments do not say of how many customers they are: one counts as being of no more than there are payments, and than
    there are customers in its segment.
    """
    if found.question.metric in OF_THE_LARGEST:  # the share of a few customers tells what they moved
        return withheld(found, found.table["top_customers"].to_pylist())
    if found.question.metric == "stickiness":
        return _withheld_stickiness(reader, found)
    if found.question.metric not in OF_PAYMENTS:
        return withheld(found)
    question = found.question
    payments = reader.answer(replace(question, metric="transactions")).table["value"].to_pylist()
    behind = reader.population(question)
    by_customers = question.by in CUSTOMER_DIMENSIONS
    groups = found.table[question.by].to_pylist() if by_customers else [None] * len(payments)
    return withheld(found, [min(count, behind.get(group, 0)) for count, group in zip(payments, groups, strict=True)])


def _withheld_stickiness(reader: Reader, found: Answer) -> Answer:
    """Stickiness, also without what is a mean of a day that DAU withholds: times MAU it is the sum of its 28 days."""
    daily = withheld(reader.answer(replace(found.question, metric="dau", start=None))).table
    by, codes = found.question.by, dict[Any, int]()
    hidden = np.sort(_group_days(daily.filter(daily["value"].is_null()), by, codes))
    days = _group_days(found.table, by, codes)
    holds_one = np.searchsorted(hidden, days, side="right") > np.searchsorted(hidden, days - STICKINESS_DAYS, side="right")
    return withheld(found, np.where(holds_one, 1.0, _numbers(found.table["n"])).tolist())


def _group_days(table: pa.Table, by: str | None, codes: dict[Any, int]) -> Any:
    """A number for the day of each row, far from those of another group; `codes` has the groups so far and takes new ones."""
    days = table["date"].cast(pa.int32()).to_numpy().astype(np.int64)
    if by is None:
        return days
    groups = [codes.setdefault(group, len(codes)) for group in table[by].to_pylist()]
    return days + FAR_IN_DAYS * np.asarray(groups, dtype=np.int64)


def withheld_intervals(reader: Reader, found: Answer) -> Answer:
    """Usage intervals: a class counts as being of no more customers than it has intervals, and than its segment has customers.

    What is told of a class beside its count would give the count away, and `reached` of the classes around a hidden one too.
    """
    values, everybody = _numbers(found.table["value"]), reader.population(found.question).get(None, 0)
    hidden = np.full(len(values), True) if _few(everybody) else _is_few(values)
    hidden = _with_enough(hidden, values)
    if not hidden.any():
        return found
    kept = _without(found.table, hidden)
    for name in REACHED:
        kept = kept.set_column(kept.column_names.index(name), name, pa.nulls(len(kept), pa.float64()))
    return replace(found, table=kept, withheld=int(hidden.sum()))


def withheld_changes(found: Answer) -> Answer:
    """What changed, without what tells of fewer than 10 customers.

    Of values of a dimension whole rows, and never one alone: the parts of a row tell each other. Of everybody the flows that
    are few, and never one alone: before and now would tell it.
    """
    table = found.table
    parts = np.array([_numbers(table[name]) for name in CHANGES])
    if not table.num_rows:
        return found
    if found.question.by is not None:
        hidden = _with_enough(_is_few(parts).any(axis=0), np.maximum(parts[0], parts[-1]), of=parts)
        return replace(found, table=_without(table, hidden), withheld=int(hidden.sum()))
    hidden = _with_enough(_is_few(parts[:, 0]), parts[:, 0])
    for name in [name for name, is_hidden in zip(CHANGES, hidden, strict=True) if is_hidden]:
        table = table.set_column(table.column_names.index(name), name, pa.nulls(1, table[name].type))
    if hidden[0] or hidden[-1]:
        table = table.set_column(table.column_names.index("value"), "value", pa.nulls(1, pa.float64()))
    return replace(found, table=table, withheld=int(hidden.sum()))


def withheld_headline(figure: Headline) -> Headline:
    """A headline figure without what is of fewer than 10 customers, now or one period before."""
    counts = figure.metric.unit == "customers"
    is_few = _few(figure.n) or (counts and _few(figure.value))
    before_is_few = _few(figure.before) if counts else _few(figure.before_n)
    before = None if is_few or before_is_few else figure.before
    if not is_few:
        return replace(figure, before=before, withheld=before is None and figure.before is not None)
    return _emptied(figure)


def _emptied(figure: Headline) -> Headline:
    return replace(figure, value=None, before=None, before_n=None, n=None, low=None, high=None, withheld=True)


def withheld_tail(tail: ThinTail | None) -> ThinTail | None:
    """A thin tail without its shares where a day is of fewer than 10 customers: beside the usual they would tell how many."""
    return replace(tail, low=None, high=None, fewest=None) if tail is not None and _few(tail.fewest) else tail


def withheld_counts(table: pa.Table, count: str, figures: Sequence[str]) -> pa.Table:
    """A list with a count of customers in each row, without the figures of rows that count fewer than 10."""
    sizes = _numbers(table[count])
    hidden = _with_enough(_is_few(sizes), sizes)
    for name in (count, *figures):
        table = table.set_column(table.column_names.index(name), name, _nulled(table[name], hidden))
    return table


def _few(size: float | None) -> bool:
    return size is not None and 0 < size < FEWEST


def _is_few(sizes: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return (sizes > 0) & (sizes < FEWEST)


def _in_each_whole(hidden: Any, sizes: Any, table: pa.Table, by: str) -> Any:
    """In each whole that `by` divides, enough parts are hidden; see _with_enough."""
    others = [name for name in table.column_names[: table.column_names.index("value")] if name != by]
    wholes: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(table.select(others).to_pylist() if others else [{}] * table.num_rows):
        wholes.setdefault(tuple(row.values()), []).append(place)
    for places in wholes.values():
        if hidden[places].any():
            hidden[places] = _with_enough(hidden[places], sizes[places])
    return hidden


def _with_enough(hidden: Any, sizes: Any, *, of: Any = None) -> Any:
    """Where parts of a whole are hidden, the smallest others are too, until these are two parts and 10 customers (or nobody).

    `of` are the counts whose sums must be of that many, one a row, where they are not the sizes.
    """
    counts = np.nan_to_num(np.atleast_2d(sizes if of is None else of))
    while hidden.any() and (hidden.sum() == 1 or _is_few(counts[:, hidden].sum(axis=1)).any()):
        more = _smallest(sizes, hidden)
        if not more.any():
            break
        hidden = hidden | more
    return hidden


def _smallest(sizes: Any, hidden: Any) -> Any:
    open_sizes = np.where(hidden | ~(sizes > 0), np.inf, sizes)
    chosen = np.zeros(len(sizes), dtype=bool)
    if np.isfinite(open_sizes).any():
        chosen[int(np.argmin(open_sizes))] = True
    return chosen


def _without(table: pa.Table, hidden: Any) -> pa.Table:
    first_figure = table.column_names.index("value")
    for place, name in enumerate(table.column_names):
        if place >= first_figure and name not in KEPT:
            table = table.set_column(place, name, _nulled(table[name], hidden))
    return table


def _without_beside(table: pa.Table) -> pa.Table:
    """Without the counts of other customers that stand beside a figure, where they are few."""
    for name in set(BESIDE) & set(table.column_names):
        table = table.set_column(table.column_names.index(name), name, _nulled(table[name], _is_few(_numbers(table[name]))))
    return table


def _nulled(column: pa.ChunkedArray, hidden: Any) -> pa.ChunkedArray:
    return pc.if_else(pa.array(hidden), pa.scalar(None, column.type), column)


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.float64()).to_numpy().copy()
