"""What makes a tested candidate look wrong all the same: rows that are gone, columns that changed, a last day that went back.

What is found holds nothing up by itself: it is a list of reasons, in plain values, for a person to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.runs.watching import USUAL_PUBLICATIONS, Publication
from pipeline.settings import DEMO_BANK, Settings
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Facts, Version

Reason = Mapping[str, Any]
Columns = Mapping[str, Mapping[str, str]]
"""The type of each column, by relation."""

WORDS: Mapping[str, str] = {
    "demo_over_bank": "the source is the demo bank; version {version} was made of {before}",
    "as_of_back": "the last day of the data is {found}; version {version} already knew {before}",
    "transactions_gone": "{share:.0%} of the transactions that {version} counted are gone, more than the {allowed:.0%} allowed",
    "transactions_unusual": "{share:.0%} of the usual {usual:,} transactions (median; publications: {runs}) are gone, "
    "more than the {allowed:.0%} allowed",
    "rows_gone": "rows of {relation}: {found:,}, {share:.0%} fewer than the usual {usual:,} (median; publications: {runs})",
    "rows_grown": "rows of {relation}: {found:,}, {share:.0%} more than the usual {usual:,} (median; publications: {runs})",
    "relation_new": "{relation} is new since {version}",
    "relation_missing": "{relation}, which {version} has, is missing",
    "column_new": "the column {relation}.{column} ({after}) is new since {version}",
    "column_missing": "the column {relation}.{column} ({before}), which {version} has, is missing",
    "column_retyped": "the column {relation}.{column} is {after}; it was {before} in {version}",
}


def in_words(reason: Reason) -> str:
    """One reason as a sentence without its full stop."""
    return WORDS[reason["rule"]].format(**reason)


@dataclass(frozen=True)
class Usual:
    """What is usual: the version that readers see, its columns, and the publications before, newest first."""

    current: Version
    columns: Columns
    history: Sequence[Publication]

    @property
    def comparable(self) -> Sequence[Publication]:
        """The last publications back to the newest that an admin approved: what was approved is what is usual from then on."""
        taken: list[Publication] = []
        for publication in self.history[:USUAL_PUBLICATIONS]:
            taken.append(publication)
            if publication.approved:
                break
        return taken

    def rows(self, relation: str) -> tuple[int, int]:
        """The median of a relation's rows, and of how many publications it is one."""
        known = [publication.rows[relation] for publication in self.comparable if relation in publication.rows]
        return (round(median(known)), len(known)) if known else (0, 0)

    def transactions(self) -> tuple[int, int]:
        """The median of the usable transactions, and of how many publications it is one."""
        known = [publication.transactions for publication in self.comparable if publication.transactions]
        return (round(median(known)), len(known)) if known else (0, 0)


def reasons(candidate: Facts, columns: Columns, usual: Usual, settings: Settings) -> list[Reason]:
    """Why a person should look at a candidate before it is published; nothing where it looks as usual.

    After the demo bank any bank is new: nothing is compared then.
    """
    if usual.current.source == DEMO_BANK != candidate.source:
        return []
    if candidate.source == DEMO_BANK != usual.current.source:
        return [{"rule": "demo_over_bank", "version": usual.current.name, "before": usual.current.source}]
    found = [*_last_day(candidate, usual, settings), *_transactions(candidate, usual, settings)]
    found += _rows(candidate, usual, settings)
    return found + (list(_relations(candidate, columns, usual)) if settings.guard_columns else [])


def _last_day(candidate: Facts, usual: Usual, settings: Settings) -> Iterator[Reason]:
    current = usual.current
    if candidate.as_of < current.as_of and settings.as_of is None and settings.largest_shrink < 1:
        days = {"found": candidate.as_of.isoformat(), "before": current.as_of.isoformat()}
        yield {"rule": "as_of_back", "version": current.name, **days}


def _transactions(candidate: Facts, usual: Usual, settings: Settings) -> Iterator[Reason]:
    """A bank's transactions only become more, so the version before counts as well as the median."""
    (middle, runs), current, allowed = usual.transactions(), usual.current, settings.largest_shrink
    before = max(current.transactions, middle)
    share = 1 - candidate.transactions / before if before else 0
    if share <= allowed:
        return
    told = {"found": candidate.transactions, "share": share, "allowed": allowed}
    if current.transactions >= middle:
        yield {"rule": "transactions_gone", "version": current.name, **told}
    else:
        yield {"rule": "transactions_unusual", "usual": middle, "runs": runs, **told}


def _rows(candidate: Facts, usual: Usual, settings: Settings) -> Iterator[Reason]:
    loss = max(settings.guard_rows_loss, settings.largest_shrink)
    for relation, found in sorted(candidate.rows.items()):
        middle, runs = usual.rows(relation)
        if middle < settings.guard_least_rows:
            continue
        told = {"relation": relation, "found": found, "usual": middle, "runs": runs}
        change = found / middle - 1
        if -change > loss and relation not in settings.guard_may_shrink:
            yield {"rule": "rows_gone", "share": -change, **told}
        if settings.guard_rows_growth and runs >= settings.guard_growth_after and change > settings.guard_rows_growth:
            yield {"rule": "rows_grown", "share": change, **told}


def _relations(candidate: Facts, columns: Columns, usual: Usual) -> Iterator[Reason]:
    current = usual.current
    for relation in sorted(set(candidate.rows) - set(current.rows)):
        yield {"rule": "relation_new", "relation": relation, "version": current.name}
    for relation in sorted(set(current.rows) - set(candidate.rows)):
        yield {"rule": "relation_missing", "relation": relation, "version": current.name}
    for relation in sorted(set(columns) & set(usual.columns)):
        for change in column_changes(usual.columns[relation], columns[relation]):
            yield {"relation": relation, "version": current.name, **change}


def column_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Reason]:
    """What differs between the columns of one relation in two versions."""
    for column, kind in after.items():
        if column not in before:
            yield {"rule": "column_new", "column": column, "after": kind}
        elif _spelt_alike(before[column]) != _spelt_alike(kind):
            yield {"rule": "column_retyped", "column": column, "before": before[column], "after": kind}
    for column, kind in before.items():
        if column not in after:
            yield {"rule": "column_missing", "column": column, "before": kind}


def _spelt_alike(kind: str) -> str:
    """The type without the width of its whole numbers: BigQuery knows one width, so the first version from there has others."""
    return re.sub(r"\b(?:TINY|SMALL|BIG|HUGE)INT\b", "INTEGER", kind)


def columns_of(database: Path) -> dict[str, dict[str, str]]:
    """The columns of each relation in a version's file; what was too long to be copied is not among them."""
    found: dict[str, dict[str, str]] = {}
    with closing(ReadOnlyDuckDB(database)) as version:  # as every reader opens it: one process opens a file in one way only
        for row in version.query(_COLUMNS).to_pylist():
            found.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    return found


_COLUMNS = """
    select table_name, column_name, data_type from duckdb_columns()
    where schema_name in ('marts', 'warehouse') and not internal
    order by table_name, column_index
"""
