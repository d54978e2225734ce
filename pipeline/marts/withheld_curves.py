"""Curves of few customers, withheld: a curve has a point on each day on which somebody met the event.

So its days alone tell when each of a few customers did, and a point between two others tells of the days between them. A curve
ends where fewer than 10 customers are followed, and of what is behind that day nothing is left but that it is withheld. Where
curves of the parts of a whole end, the next smallest end with them until what is withheld is of two parts and 10 customers:
less the others, the whole would tell it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.marts.survival import FOLLOWED

Key = tuple[Any, ...]
DAY = "tenure_days"


def ends(table: pa.Table, *, fewest: int, by: str | None) -> dict[Key, int]:
    """The first day on which each curve may not be shown; a curve that may be shown whole is left out.

    `table` has the curves of an answer: DAY, the column of the group where there is one, `value` and so on, `n` at risk.
    """
    curves = _curves(table)
    days = np.unique(table[DAY].to_numpy())
    at_risk = np.array([_at_risk(points, days) for points in curves.values()])
    cut = np.array([_first_of_few(points, fewest) for points in curves.values()])
    if by is not None:
        for place, day in enumerate(days):
            cut = _with_enough(cut, at_risk[:, place], day, fewest)
    return {key: int(day) for key, day in zip(curves, cut, strict=True) if np.isfinite(day)}


def last_shown(table: pa.Table) -> dict[Key, int]:
    """The last day on which each curve of a table is shown; -1 where no day of it is."""
    return {key: max((day for day, n in points if n is not None), default=-1) for key, points in _curves(table).items()}


def cut(table: pa.Table, days: Mapping[Key, int]) -> tuple[pa.Table, int]:
    """The curves up to the day before these, and how many of them lose a point by it.

    One empty row stands for all that a curve has from there on: on day 0, or on the day after the last that is left.
    """
    places: dict[Key, list[int]] = {}
    for place, key in enumerate(_groups(table)):
        places.setdefault(key, []).append(place)
    parts, lost = [table.slice(0, 0)], 0
    for key, rows in places.items():
        of_curve, day = table.take(rows), days.get(key)
        if day is None or not (of_curve[DAY].to_numpy() >= day).any():
            parts.append(of_curve)
            continue
        kept = of_curve.filter(pa.array(of_curve[DAY].to_numpy() < day))
        lost += any(value is not None for value in of_curve["value"].slice(kept.num_rows).to_pylist())
        was_cut = kept.num_rows > 0 and kept["value"][-1].as_py() is None
        parts += [kept] if was_cut else [kept, _empty_row(of_curve, kept[DAY][-1].as_py() + 1 if kept.num_rows else 0)]
    return pa.concat_tables(parts), lost


def without_the_longest_followed(table: pa.Table) -> pa.Table:
    """The curves without FOLLOWED, which is a day of one customer: whoever is followed longest."""
    if FOLLOWED not in table.column_names:
        return table
    place = table.column_names.index(FOLLOWED)
    return table.set_column(place, FOLLOWED, pa.nulls(table.num_rows, table.schema.field(FOLLOWED).type))


def _empty_row(of_curve: pa.Table, day: int) -> pa.Table:
    first_figure = of_curve.column_names.index("value")
    row = {name: of_curve[name][0].as_py() for name in of_curve.column_names[:first_figure]} | {DAY: day}
    return pa.Table.from_pylist([row], schema=of_curve.schema)


def _groups(table: pa.Table) -> list[Key]:
    """Of which group each row is."""
    names = table.column_names[1 : table.column_names.index("value")]
    return list(zip(*(table[name].to_pylist() for name in names), strict=True)) if names else [()] * table.num_rows


def _curves(table: pa.Table) -> dict[Key, list[tuple[int, int | None]]]:
    """Days and numbers at risk of each group's points."""
    curves: dict[Key, list[tuple[int, int | None]]] = {}
    for key, day, n in zip(_groups(table), table[DAY].to_pylist(), table["n"].to_pylist(), strict=True):
        curves.setdefault(key, []).append((day, n))
    return curves


def _at_risk(points: list[tuple[int, int | None]], days: Any) -> Any:
    """How many are followed on each of the days, at least: those of the next point, nobody after the last."""
    own, n = np.array([day for day, _ in points]), np.array([n or 0 for _, n in points] + [0])
    return n[np.searchsorted(own, days)]


def _first_of_few(points: list[tuple[int, int | None]], fewest: int) -> float:
    return min((day for day, n in points if n is None or n < fewest), default=np.inf)


def _with_enough(cut: Any, at_risk: Any, day: int, fewest: int) -> Any:
    """The days from which curves are withheld, once enough are on this day."""
    cut = cut.copy()
    hidden = cut <= day
    while hidden.any() and (hidden.sum() == 1 or at_risk[hidden].sum() < fewest):
        others = np.where(hidden | (at_risk == 0), np.inf, at_risk)
        if not np.isfinite(others).any():
            break
        next_smallest = int(np.argmin(others))
        cut[next_smallest], hidden[next_smallest] = day, True
    return cut
