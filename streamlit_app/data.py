"""What the pages read: the published version's figures, cached by version, question, role and countries.

Every read checks who asks. Viewers get no figure of fewer than 10 customers, and who sees some countries gets the figures
of their customers: both happen here, before anything is cached. A cached answer is shared between sessions of the same
rights and never changed; an error is never cached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from typing import Any, TypeVar

import pyarrow as pa
import streamlit as st

from pipeline import marts, metrics, settings
from pipeline.kept import Kept
from pipeline.marts import Answer, Behind, Customer, Headline, Listed, Question, Reader, Search, ThinTail, Together, Warned
from pipeline.marts.question import Where, meeting
from pipeline.marts.reader import Countries
from pipeline.marts.samples import Sample
from pipeline.marts.survival import Compared
from pipeline.marts.withholding import (
    of_several,
    of_the_others,
    withheld,
    withheld_changes,
    withheld_counts,
    withheld_headline,
    withheld_intervals,
    withheld_tail,
    without_few,
)
from pipeline.metrics import Metric
from pipeline.runs.records import Run
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import auth, figures, formats, messages, stores
from streamlit_app.auth import Role

__all__ = ["Answer", "Behind", "Customer", "Headline", "Listed", "Question", "Run", "Search", "ThinTail", "Together", "Version"]

PINNED = "_version"
ASKED_VERSION = "version"  # in the URL: figures of a version that is kept, instead of the current one
KEPT_BYTES = 16_000_000  # of all answers together
FOR_VIEWERS = ("dim_publication", "dim_countries", "mart_customers_by_country")
OF_A_COUNTRY = (
    "ever_active_customers",
    "active_customers",
    "active_share",
    "active_share_low",
    "active_share_high",
    "customers_per_million_inhabitants",
    "amount_usd",
)
BESIDE_THE_FACTS = {"TWN": "TW", "XKX": "XK"}  # no country of the United Nations, of which the shipped facts are
LATER_TIME_KEYS = ("month", "week")  # the app calls the time key `date` whatever the grain: one spec draws each
Value = TypeVar("Value")


@cache
def in_force() -> Settings:
    """The settings of this process: they do not change while it runs."""
    return settings.load()


def current_version() -> Version | None:
    """The version that every reader sees now; None before the first one."""
    auth.require(Role.VIEWER)
    return Publications(in_force().home, keep=in_force().versions_kept).current()


def pin_version() -> Version | None:
    """Take one version for this drawing of the page: the one that its URL asks for, else the current one."""
    version = _asked_version(current_version())
    st.session_state[PINNED] = version
    return version


def _asked_version(current: Version | None) -> Version | None:
    """The kept version that the URL names; not one that came after the current one, which a rollback took back."""
    name = st.query_params.get(ASKED_VERSION)
    if current is None or name in (None, current.name):
        return current
    kept = Publications(in_force().home, keep=in_force().versions_kept).versions()
    return next((version for version in kept if version.name == name and version.number < current.number), current)


def published() -> Version:
    """The version of this page, on a page that is shown only where there is one."""
    auth.require(Role.VIEWER)
    return _published()


def _published() -> Version:
    pinned: Version | None = st.session_state.get(PINNED)
    if pinned is not None and pinned.database.exists():
        return pinned
    version = current_version()
    if version is None:
        raise LookupError("no version is published yet")
    if pinned is not None:
        _draw_anew(pinned, version)
    return version


def _draw_anew(gone: Version, current: Version) -> None:
    """Draw the whole page again where that gives it another version than the one that is gone: it shows no mixture of two.

    Nothing where it would be given the same one, which is then damaged and not pruned, and nothing outside a page.
    """
    if _asked_version(current) != gone:
        st.rerun()


def answer(question: Question) -> Answer:
    """A metric's figures, with the time key named `date`."""
    found: Answer = _read("answer", question=question)
    return found


def dimension_values(dimension: str) -> list[str]:
    """The values that a filter offers."""
    found: list[str] = _read("dimension_values", dimension=dimension)
    return found


def bounds() -> tuple[date, date]:
    """The first and the last bank day of the current version."""
    (told,) = relation("dim_publication").select(["first_day", "as_of"]).to_pylist()
    return told["first_day"], told["as_of"]


def headline(*, window: int | None = None, where: Where = (), until: date | None = None) -> tuple[Headline, ...]:
    """The figures that a manager reads first, each with the same figure one period before; `until` a day as on that day.

    Viewers get those of the last day whatever they ask: sums to one day and to the next tell what is withheld of a single day.
    """
    is_earlier = until is not None and until < published().as_of and auth.current_user().may(Role.MANAGER)
    found: tuple[Headline, ...] = _read("headline", window=window, where=where, until=until if is_earlier else None)
    return found


def course(question: Question, *, days_summed: int) -> tuple[float, ...]:
    """A sparkline of a daily figure; see figures.course. The days are not kept here: they weigh a hundred times as much."""
    return _once(
        "course",
        {"question": question, "days_summed": days_summed},
        lambda asked: figures.course(asked.read("answer", {"question": question}).table, days_summed=days_summed),
    )


def growth(question: Question) -> Answer:
    """Growth accounting of a question's window, segment, range and grain; see figures.growth."""

    def parts(asked: _Asked) -> list[Answer]:
        return [asked.read("answer", {"question": replace(question, metric=metric)}) for metric in figures.PART_OF]

    return _once("growth", {"question": question}, lambda asked: figures.growth(parts(asked)))


def what_changed(question: Question, *, days: int) -> Answer:
    """Active customers now and so many days ago, and who came, came back and left between, by the question's dimension."""
    found: Answer = _read("what_changed", question=question, days=days)
    return found


def retention_curve(
    question: Question, *, fixed_cohorts: bool = False, without: Where = (), beside: tuple[Where, Where] | None = None
) -> Answer:
    """The retention of all cohorts together, period by period, of all whom the question is about but those of `without`.

    `beside` another segment (its filters, and whom it leaves out), of the cohorts that both have.
    """
    left_out = meeting(question.where, without) if without else None  # the same customers, however they are said
    found: Answer = _read(
        "retention_curve", question=question, fixed_cohorts=fixed_cohorts, without=left_out or (), beside=beside
    )
    return found


def survival_compared(question: Question, *, groups: tuple[str, ...]) -> Compared:
    """Whether the survival curves of these groups of the question's dimension differ; groups of fewer than 30 are left out."""
    found: Compared = _read("survival_compared", question=question, groups=groups)
    return found


def early_warnings(*, where: Where = (), at_least: float = 0.0, limit: int = 200) -> Warned:
    """The active customers likeliest to fall silent, how many and what is at stake in all; for managers and admins."""
    auth.require(Role.MANAGER)
    found: Warned = _read("early_warnings", where=where, at_least=at_least, limit=limit)
    return found


def usage_intervals(question: Question) -> Answer:
    """How long customers pause between two active days."""
    found: Answer = _read("usage_intervals", question=question)
    return found


def customers(search: Search, *, limit: int = 200) -> Listed:
    """The customers that a search finds, with how many there are and what they did in all; for managers and admins."""
    auth.require(Role.MANAGER)
    found: Listed = _read("customers", search=search, limit=limit)
    return found


def has_lists(metric: str) -> bool:
    """Whether the version has what the lists of customers behind the metric's figures are made from."""
    return bool(_read("has_lists", metric=metric))


def customer(user_id: str) -> Customer | None:
    """One customer's facts and stretches, None where there is no such customer; for managers and admins."""
    auth.require(Role.MANAGER)
    found: Customer | None = _read("customer", user_id=user_id)
    return found


def samples() -> tuple[Sample, ...]:
    """Five customers with different histories, the same ones each time; for managers and admins."""
    auth.require(Role.MANAGER)
    found: tuple[Sample, ...] = _read("samples")
    return found


def country_name(alpha_3: str) -> str:
    """The name of a country by its three letters, from the published facts where they have it, or in words that it is unknown.

    The letters where nobody knows a name.
    """
    names = relation("dim_countries").select(["alpha_3", f"name_{messages.language()}"])
    known = dict(zip(*names.to_pydict().values(), strict=True))
    return known.get(alpha_3) or formats.country(BESIDE_THE_FACTS.get(alpha_3, alpha_3))


def data_quality() -> pa.Table:
    """Rows that could not be used as they came: counted by table, reason and disposition."""
    return _read("data_quality")


def thin_tail() -> ThinTail | None:
    """The last days, where they hold far fewer of the customers that this person sees than usual."""
    found: ThinTail | None = _read("thin_tail")
    return found


def relation(name: str) -> pa.Table:
    """A whole small mart of the current version: for viewers those that hold no customer and no small figure."""
    auth.require(Role.VIEWER if name in FOR_VIEWERS else Role.MANAGER)
    return _read("relation", name=name)


def registry() -> Mapping[str, Metric]:
    """What each metric means, as published with the current version."""
    found: Mapping[str, Metric] = _read("registry")
    return found


def models() -> Mapping[str, Any]:
    """Every model of the current version by name: description, columns, what it is made from, compiled SQL."""
    found: Mapping[str, Any] = _read("models")
    return found


def external_facts() -> Mapping[str, Any]:
    """What served the facts from outside the bank for the current version; empty where it was not noted down."""
    found: Mapping[str, Any] = _read("external_facts")
    return found


def test_results() -> Any:
    """The tests of the current version, as its `tests.json` has them."""
    return _read("test_results")


def latest_run() -> Run | None:
    """The newest run, going on or ended; what its steps counted and why it failed is for admins."""
    user = auth.require(Role.VIEWER)
    run = _store().latest()
    return run if run is None or user.may(Role.ADMIN) else _outline(run)


def _outline(run: Run) -> Run:
    steps = tuple(replace(step, rows_in=None, rows_out=None, detail={}, error=None, progress_text="") for step in run.steps)
    return replace(run, steps=steps, error=None)


def run_store() -> RunStore:
    """The run store in force, one a process; for admins."""
    auth.require(Role.ADMIN)
    return _store()


def _store() -> RunStore:
    return stores.run_store(in_force().run_store_url)


def _read(what: str, **arguments: Any) -> Any:
    return _once(what, arguments, lambda asked: asked.read(what, arguments))


def _once(what: str, arguments: Mapping[str, Any], make: Callable[[_Asked], Value]) -> Value:
    """What `make` makes for whoever asks, kept for all of the same rights.

    The version's folder, role and countries are in the key, so that no answer serves a reader it was not made for.
    """
    asked = _Asked(auth.require(Role.VIEWER), _published())
    try:
        return _kept(asked, what, arguments, make)
    except FileNotFoundError:  # pruned, or about to be: its files go one after the other
        current = current_version()
        if current is None or current.name == asked.version.name:
            raise
        _draw_anew(asked.version, current)
        return _kept(replace(asked, version=current), what, arguments, make)


def _kept(asked: _Asked, what: str, arguments: Mapping[str, Any], make: Callable[[_Asked], Value]) -> Value:
    key = (str(asked.version.folder), asked.user.role.name, asked.countries, what, tuple(sorted(arguments.items())))
    return _answers().get(key, lambda: make(asked))


@cache  # Streamlit's own is emptied by anybody who has opened a tab
def _answers() -> Kept:
    return Kept(KEPT_BYTES)


@dataclass(frozen=True)
class _Asked:
    """Who asks, and of which version."""

    user: auth.User
    version: Version

    @property
    def countries(self) -> Countries:
        return self.user.confined_to

    def read(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """One read; viewers get what is left of it for them."""
        if what in FILES:
            return FILES[what](self.version)
        reader = marts.reader(self.version)

        def ask(where: Where | None = None) -> Any:
            return READS[what](reader, self.countries, **(arguments if where is None else _about(where, arguments)))

        found = ask()
        if self.user.role == Role.VIEWER and what in FOR_VIEWERS_WITHHELD:
            hide = partial(FOR_VIEWERS_WITHHELD[what], reader)
            same = "cohorts" if arguments.get("fixed_cohorts") else None
            found = of_several(found, _filters(arguments), ask=ask, hide=hide, same=same)
            if arguments.get("without"):
                theirs = {**_about(arguments["without"], arguments), "without": ()}
                found = of_the_others(found, READS[what](reader, self.countries, **theirs), self.read(what, theirs), same=same)
        return _on_one_time_key(found) if what == "answer" else found


def _filters(arguments: Mapping[str, Any]) -> Where:
    """The filters of what is asked, wherever they stand."""
    found: Where = arguments["question"].where if "question" in arguments else arguments.get("where", ())
    return found


def _about(where: Where, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same, asked with other filters."""
    if "question" in arguments:
        return {**arguments, "question": replace(arguments["question"], where=where)}
    return {**arguments, "where": where}


def _on_one_time_key(found: Answer) -> Answer:
    names = ["date" if name in LATER_TIME_KEYS else name for name in found.table.column_names]
    return replace(found, table=found.table.rename_columns(names))


def _read_registry(version: Version) -> Mapping[str, Metric]:
    return metrics.read(version.folder / "metrics.json")


def _read_test_results(version: Version) -> Any:
    return json.loads((version.folder / "tests.json").read_text(encoding="utf-8"))


def _read_models(version: Version) -> Mapping[str, Any]:
    return {model["name"]: model for model in json.loads((version.folder / "models.json").read_text(encoding="utf-8"))}


def _read_external_facts(version: Version) -> Mapping[str, Any]:
    path = version.folder / "external_facts.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _read_answer(reader: Reader, countries: Countries, question: Question) -> Answer:
    return reader.answer(replace(question, countries=countries))


def _read_curve(reader: Reader, countries: Countries, question: Question, **more: Any) -> Answer:
    return reader.retention_curve(replace(question, countries=countries), **more)


def _read_changes(reader: Reader, countries: Countries, question: Question, days: int) -> Answer:
    return reader.what_changed(replace(question, countries=countries), days=days)


def _read_intervals(reader: Reader, countries: Countries, question: Question) -> Answer:
    return reader.usage_intervals(replace(question, countries=countries))


def _read_compared(reader: Reader, countries: Countries, question: Question, groups: tuple[str, ...]) -> Compared:
    return reader.survival_compared(replace(question, countries=countries), groups=groups)


def _read_customers(reader: Reader, countries: Countries, search: Search, limit: int) -> Listed:
    return reader.customers(replace(search, countries=countries), limit=limit)


def _withheld_relation(_: Reader, found: pa.Table) -> pa.Table:
    return withheld_counts(found, "customers", OF_A_COUNTRY) if "customers" in found.column_names else found


READS: Mapping[str, Callable[..., Any]] = {
    "answer": _read_answer,
    "retention_curve": _read_curve,
    "survival_compared": _read_compared,
    "usage_intervals": _read_intervals,
    "what_changed": _read_changes,
    "early_warnings": lambda reader, countries, **asked: reader.early_warnings(countries=countries, **asked),
    "customers": _read_customers,
    "has_lists": lambda reader, _, metric: reader.has_lists(metric),
    "headline": lambda reader, countries, **asked: reader.headline(countries=countries, **asked),
    "samples": lambda reader, countries: reader.samples(countries=countries),
    "thin_tail": lambda reader, countries: reader.thin_tail(countries=countries),
    "customer": lambda reader, countries, user_id: reader.customer(user_id, countries=countries),
    "dimension_values": lambda reader, countries, dimension: reader.dimension_values(dimension, countries=countries),
    "data_quality": lambda reader, countries: reader.relation("mart_data_quality", countries=countries),
    "relation": lambda reader, countries, name: reader.relation(name, countries=countries),
}
FOR_VIEWERS_WITHHELD: Mapping[str, Callable[..., Any]] = {
    "answer": without_few,
    "retention_curve": lambda _, found: withheld(found),
    "usage_intervals": withheld_intervals,
    "what_changed": lambda _, found: withheld_changes(found),
    "headline": lambda _, found: tuple(withheld_headline(figure) for figure in found),
    "relation": _withheld_relation,
    "thin_tail": lambda _, found: withheld_tail(found),
}
FILES = {
    "registry": _read_registry,
    "models": _read_models,
    "test_results": _read_test_results,
    "external_facts": _read_external_facts,
}
