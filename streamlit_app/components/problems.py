"""What is wrong with the bank's data: in the header of every page, and above the figures where it concerns many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pipeline import data_problems
from pipeline.marts import ConfinedError
from streamlit_app import data, formats, messages
from streamlit_app.components import links, table
from streamlit_app.messages import t

NAMED = 3
MANY = 0.01  # of the transactions: from here on Overview says it before its figures
SMALLEST_SHARE = 0.0001


@dataclass(frozen=True)
class Doubtful:
    """Rows that no figure uses, and rows used all the same; each counted once, whatever is wrong with it.

    `rejected` and `kept` are the same by reason, where a row stands once for each thing wrong with it. `missing_days` are days
    on which nobody was active, `days_with_few` those with far fewer customers than usual; `customers_alone` the customers of a
    bank that sent no users, else 0. Of the `transactions` that the bank sent, so many are `doubtful_transactions`.
    """

    rejected_rows: int
    kept_rows: int
    rejected: Counter[str]
    kept: Counter[str]
    missing_days: int
    days_with_few: int
    customers_alone: int
    doubtful_transactions: int
    transactions: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.rejected_rows + self.kept_rows

    @property
    def share(self) -> float | None:
        """The doubtful ones among the transactions that the bank sent; None where its version does not tell how many it used."""
        return self.doubtful_transactions / self.transactions if self.transactions else None


def header(problems: Sequence[Mapping[str, Any]]) -> None:
    """How many rows are doubtful, and what share that is; the reasons unfold."""
    if not problems:
        st.caption(t("common.problems_none"), width="content")
        return
    found = _counted(problems)
    with st.popover(in_short(found), type="tertiary", icon=":material/rule:"):
        st.markdown(f"**{t('common.problems_title')}**")
        st.markdown(in_words(found))
        table.draw([_row(problem) for problem in problems])
        st.caption(t("common.problems_explained"))
        links.to("definitions", t("common.problems_more"))


def in_short(found: Doubtful) -> str:
    """How many rows, and how many transactions they are of, where that is known."""
    told = t("common.problems", count=found.rows, rows=formats.number(found.rows))
    if found.share is None:
        return told
    of, share = found.doubtful_transactions, _share(found.share)
    return f"{told} ({t('common.problems_share', count=of, transactions=formats.number(of), share=share)})"


def _row(problem: Mapping[str, Any]) -> dict[str, str]:
    return {
        t("common.columns.rows"): formats.number(problem["rows_affected"]),
        t("common.columns.table"): problem["source_table"],
        t("common.columns.reason"): data_problems.in_words(problem["reason"], messages.language()),
        t("common.columns.what_happened"): t(f"common.dispositions.{problem['disposition']}"),
    }


def banner() -> None:
    """In a sentence, where no users were sent or more than one of a hundred transactions is doubtful; else the header does."""
    with suppress(ConfinedError):  # counted for all countries together alone
        found = _counted(data.data_quality().to_pylist())
        if found.customers_alone or (found.share is not None and found.share > MANY):
            with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f":material/rule: {in_words(found)}", width="stretch")
                links.to("definitions", t("overview.problems.more"))


def counted(problems: Sequence[Mapping[str, Any]], *, usable_transactions: int) -> Doubtful:
    """The rows of mart_data_quality together; no transactions where the version does not tell how many it used."""
    reasons = {"rejected": Counter[str](), "kept": Counter[str]()}
    of_no_row = Counter[str]()
    for problem in problems:
        of = of_no_row if problem["reason"] in data_problems.OF_NO_ROW else reasons[problem["disposition"]]
        of[problem["reason"]] += problem["rows_affected"]
    of_transactions = [problem for problem in problems if problem["source_table"] == "transactions"]
    unused = _rows(of_transactions, "rejected")
    return Doubtful(
        rejected_rows=_rows(problems, "rejected"),
        kept_rows=_rows(problems, "kept"),
        **reasons,
        missing_days=of_no_row[data_problems.MISSING_DAYS],
        days_with_few=of_no_row[data_problems.DAYS_WITH_FEW],
        customers_alone=of_no_row[data_problems.NO_USERS],
        doubtful_transactions=data_problems.rows(of_transactions),
        transactions=usable_transactions + unused if usable_transactions else 0,
    )


def _rows(problems: Sequence[Mapping[str, Any]], disposition: str) -> int:
    return data_problems.rows(problem for problem in problems if problem["disposition"] == disposition)


def _counted(problems: Sequence[Mapping[str, Any]]) -> Doubtful:
    return counted(problems, usable_transactions=data.published().transactions)


def in_words(found: Doubtful) -> str:
    """How many rows are rejected and how many used in part, each with the commonest reasons, and of how many transactions."""
    told = (("rejected", found.rejected_rows, found.rejected), ("kept", found.kept_rows, found.kept))
    parts = [
        t(f"overview.problems.rows.{name}", count=rows, rows=formats.number(rows), reasons=_reasons(reasons))
        for name, rows, reasons in told
        if rows
    ]
    if found.missing_days:
        parts.append(t("overview.problems.days", days=formats.days(found.missing_days)))
    if found.days_with_few:
        parts.append(t("overview.problems.days_with_few", days=formats.days(found.days_with_few)))
    if found.customers_alone:
        alone = found.customers_alone
        parts.append(t("overview.problems.no_users", count=alone, customers=formats.number(alone)))
    if found.share is not None:
        of = formats.number(found.transactions)
        parts.append(t("overview.problems.share", share=_share(found.share), transactions=of))
    return " ".join(parts)


def _reasons(rows: Counter[str]) -> str:
    named = [
        t("overview.problems.one", rows=formats.number(count), reason=data_problems.in_words(name, messages.language()))
        for name, count in rows.most_common(NAMED)
    ]
    if len(rows) > NAMED:
        named.append(t("overview.problems.others", kinds=len(rows) - NAMED))
    return t("common.semicolon").join(named)


def _share(share: float) -> str:
    return formats.share(share, 2) if share >= SMALLEST_SHARE or not share else f"< {formats.share(SMALLEST_SHARE, 2)}"
