"""The report that people get by mail after each week or month: of which period, for whom, and what stands in it.

Everybody gets a letter of their own, made by the rights that they have at that moment: who is confined to countries gets the
figures of these, a viewer none of fewer than 10 customers. The key of a letter is subscription, period and person, so that
the deliveries of the run store let it go out once.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from pipeline import data_problems
from pipeline.access import Role, in_small_letters, is_entry, named
from pipeline.marts import Answer, ConfinedError, Headline, Question, Reader
from pipeline.marts.headline import headline
from pipeline.marts.holding import last_whole_month
from pipeline.marts.question import Where
from pipeline.marts.withholding import for_viewers, of_several, withheld_headline
from pipeline.notify.event import Figure
from pipeline.runs.reports import MONTHLY, Subscription
from pipeline.settings import Settings
from pipeline.warehouse.publication import Version

CHURN_BY = ("plan_tier", "plan", "country")
MOST_ROWS = 8  # of each split: a mail is read at a glance
MOST_REASONS = 5

_KEY = re.compile(r"report-(\d+)-.+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Period:
    """A week or a month that is over; `name` is `2026-W48` or `2026-10`."""

    name: str
    first: date
    last: date


@dataclass(frozen=True)
class Recipient:
    """One person to write to, and what they may see: the role, and countries (None: all)."""

    address: str
    role: Role
    countries: tuple[str, ...] | None


def last_period(frequency: str, as_of: date) -> Period:
    """The last whole calendar month, or week from Monday to Sunday, that is loaded."""
    if frequency == MONTHLY:
        first = last_whole_month(as_of)
        after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Period(f"{first:%Y-%m}", first, after - timedelta(days=1))
    last = as_of - timedelta(days=as_of.isoweekday() % 7)
    year, week, _ = last.isocalendar()
    return Period(f"{year}-W{week:02d}", last - timedelta(days=6), last)


def readers(subscription: Subscription, settings: Settings) -> Iterator[Recipient]:
    """Who gets a letter, with the rights of this moment; who would see nothing gets none, and the log says so.

    Without a sign-in provider nobody is confined. An address without a role counts as a viewer. Whose groups decide over the
    countries is left out: nobody vouches for them here.
    """
    rules = settings.access_rules() if settings.signs_in else None
    for address in subscription.addresses:
        asked = subscription.countries or None
        if rules is None:
            yield Recipient(address, Role.MANAGER, asked)
            continue
        if not is_entry(bare(address)):
            _log.warning("report %d: no rule can name %s, so no letter is written", subscription.id, address)
            continue
        who = named([bare(address)])
        allowed = rules.countries_of(who)
        if rules.asks_for_groups(who):
            _log.warning("report %d: the countries of %s follow from groups, so no letter is written", subscription.id, address)
            continue
        seen = asked if allowed is None else tuple(sorted(set(asked or allowed) & allowed))
        if seen == ():
            _log.warning("report %d: %s sees none of its countries, so no letter is written", subscription.id, address)
            continue
        yield Recipient(address, rules.role_of(who) or Role.VIEWER, seen)


def bare(address: str) -> str:
    """`Ann <a@bank.example>` as the rules name it."""
    return in_small_letters(address.rpartition("<")[2].rstrip("> ").strip())


def key(subscription: Subscription, period: Period, person: Recipient) -> str:
    """The same however often the letter is made: subscription, period, person."""
    return f"report-{subscription.id}-{period.name}-{_digest(person.address)}"


def _digest(address: str) -> str:
    return hashlib.sha256(bare(address).encode()).hexdigest()[:12]


def subscription_of(key: str) -> int | None:
    """The subscription whose letter has that key; None where it is another message's."""
    found = _KEY.fullmatch(key)
    return None if found is None else int(found[1])


def is_still_theirs(key: str, report: Mapping[str, Any], subscription: Subscription, settings: Settings) -> bool:
    """Whether the letter of that key, with this content, may still go out: to whom it is for now, with the rights of now."""
    if not subscription.enabled:
        return False
    people = (one for one in readers(subscription, settings) if key.endswith(f"-{_digest(one.address)}"))
    return any(_rights(one) == {name: report.get(name) for name in ("role", "countries")} for one in people)


def _rights(person: Recipient) -> dict[str, Any]:
    return {"role": person.role.name, "countries": None if person.countries is None else list(person.countries)}


def content(reader: Reader, subscription: Subscription, period: Period, person: Recipient, *, app: str) -> dict[str, Any]:
    """What stands in a letter, in plain JSON: figures at the end of the period, churn by segment, data problems, a link."""
    ask = _asking(reader, period, person)
    whole = _asking(reader, period, replace(person, role=Role.MANAGER))  # sums of days, each of which may be withheld

    def key_figures(where: Where) -> tuple[Headline, ...]:
        return headline(whole, window=None, where=where, as_of=period.last, countries=person.countries)

    figures = key_figures(())
    if person.role < Role.MANAGER:
        figures = of_several(figures, _as_filters(person), ask=key_figures, hide=lambda told: tuple(map(withheld_headline, told)))
    return {
        "frequency": subscription.frequency,
        "first": period.first.isoformat(),
        "last": period.last.isoformat(),
        **_rights(person),
        "headline": [Figure.of(figure).to_json() for figure in figures],
        "churn": [split for by in CHURN_BY if (split := _churn(ask, by)) is not None],
        "thin": _thin(reader, period, person),
        "problems": _problems(reader, person),
        "link": link(app, subscription.language, reader.version, person.countries),
        "is_on_the_page": _is_on_the_page(reader, period, person, figures),
    }


def _asking(reader: Reader, period: Period, person: Recipient) -> Callable[[Question], Answer]:
    def ask(question: Question) -> Answer:
        end = min(question.end or period.last, period.last)
        asked = replace(question, end=end, countries=person.countries)
        if person.role >= Role.MANAGER:
            return reader.answer(asked)
        return for_viewers(reader, reader.answer(replace(asked, where=(*asked.where, *_as_filters(person)))))

    return ask


def _as_filters(person: Recipient) -> Where:
    """The countries of a letter as the filters of a page: what is shown of several of them is shown of each."""
    several = person.countries if person.countries is not None and len(person.countries) > 1 else ()
    return tuple(("country", country) for country in several)


def _churn(ask: Callable[[Question], Answer], by: str) -> dict[str, Any] | None:
    """The churn of the last month that is final, by the values of a dimension, the largest first; None before the first one."""
    rows = [row for row in ask(Question("monthly_churn_rate", by=by)).rows() if not row["provisional"]]
    if not rows:
        return None
    month = max(row["month"] for row in rows)
    last = sorted((row for row in rows if row["month"] == month), key=lambda row: (-(row["n"] or 0), row[by]))
    told = [{"name": row[by], **{name: row[name] for name in ("value", "low", "high", "n")}} for row in last[:MOST_ROWS]]
    return {"by": by, "month": month.isoformat(), "rows": told, "total": len(last)}


def _thin(reader: Reader, period: Period, person: Recipient) -> dict[str, Any] | None:
    """The days at the end of the data that hold far fewer active customers than usual, where the period has some of them."""
    tail = reader.thin_tail(countries=person.countries)
    if tail is None or tail.first > period.last:
        return None
    return tail.to_json()


def _problems(reader: Reader, person: Recipient) -> dict[str, Any] | None:
    """What was wrong with the bank's rows; None for who sees some countries, for it is counted of all together."""
    try:
        table = reader.relation("mart_data_quality", countries=person.countries)
    except ConfinedError:
        return None
    found = sorted(table.to_pylist(), key=lambda row: -row["rows_affected"])
    reasons = [{"reason": row["reason"], "rows": int(row["rows_affected"])} for row in found[:MOST_REASONS]]
    return {"rows": data_problems.rows(found), "kinds": len(found), "reasons": reasons}


def _is_on_the_page(reader: Reader, period: Period, person: Recipient, figures: Sequence[Headline]) -> bool:
    """Whether the page behind the link shows these key figures: it has those of the version's last day alone.

    It leaves out what is too early to be a rate of churn, or to be compared with, and of several countries it hides from viewers
    what would tell of a few customers of one.
    """
    if period.last != reader.version.as_of or (person.role < Role.MANAGER and len(person.countries or ()) > 1):
        return False
    [first_day] = reader.relation("dim_publication", countries=person.countries)["first_day"].to_pylist()
    month = next(figure.until.replace(day=1) for figure in figures if figure.period == "month")
    month_before = (month - timedelta(days=1)).replace(day=1)
    return bool(first_day + timedelta(days=reader.version.inactivity_days) <= month_before)


def link(app: str, language: str, version: Version, countries: tuple[str, ...] | None) -> str:
    """The page Overview of the letter's version, with its language, its window and each of its countries."""
    asked = {"lang": language, "version": version.name, "window": version.inactivity_days, "country": countries or ()}
    return f"{app}/?{urlencode(asked, doseq=True)}"
