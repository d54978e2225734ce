"""The read side: one published version, asked in the bank's own words by the app, the command line and the sheet."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline import metrics
from pipeline.errors import ConfigurationError
from pipeline.marts import activity, changes, churn, cohorts, intervals, payments, risk, samples, sensitivity, survival, thin_tail
from pipeline.marts import customers as lists
from pipeline.marts.behind import table_of
from pipeline.marts.customers import Customer, Listed, Search
from pipeline.marts.headline import Headline, headline
from pipeline.marts.question import (
    CUSTOMER_DIMENSIONS,
    Answer,
    ConfinedError,
    Family,
    OlderVersionError,
    Question,
    Where,
    any_of,
    checked,
    confined,
    one_of,
    scope,
)
from pipeline.marts.risk import Warned
from pipeline.marts.samples import Sample
from pipeline.marts.survival import Compared
from pipeline.marts.thin_tail import ThinTail
from pipeline.metrics import Metric
from pipeline.warehouse.base import ReadOnly
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Version

Answering = Callable[..., pa.Table]
Countries = tuple[str, ...] | None
OF_NO_CUSTOMER = ("dim_publication", "dim_countries", "dim_dates")
GRAINS = ("day", "week", "month")


@dataclass(frozen=True)
class _Entry:
    answer: Answering
    family: Family
    units: Mapping[str | None, str] = field(default_factory=dict)
    """The unit of a kind that has another one than the metric."""


_DAILY = Family(grains=GRAINS)
_BY_DAY = Family(grains=("day",))
_MONTHLY = Family(grains=("month",))
_PAYMENTS = Family(dimensions=(*CUSTOMER_DIMENSIONS, *payments.TRANSACTION_DIMENSIONS), grains=("month",))
_CONCENTRATION = Family(dimensions=("country",), grains=("month",), kinds=("top_10", "top_1", "gini"))

_ENTRIES: dict[str, _Entry] = {
    "active_customers": _Entry(activity.daily_count, _DAILY),
    "new_customers": _Entry(activity.daily_count, _DAILY),
    "resurrected_customers": _Entry(activity.daily_count, _DAILY),
    "churned_customers": _Entry(activity.daily_count, _DAILY),
    "quick_ratio": _Entry(activity.quick_ratio, Family(grains=("month", "week", "day"))),
    "monthly_churn_rate": _Entry(churn.monthly_churn_rate, Family(grains=("month",), kinds=("recognised", "effective"))),
    "came_back_share": _Entry(churn.came_back_share, _MONTHLY),
    "window_sensitivity": _Entry(
        sensitivity.window_sensitivity,
        Family(kinds=("active", "churn", "came_back"), takes_range=False),
        {"active": "customers"},
    ),
    "dau": _Entry(activity.rolling, _BY_DAY),
    "wau": _Entry(activity.rolling, _BY_DAY),
    "mau": _Entry(activity.rolling, _BY_DAY),
    "stickiness": _Entry(activity.stickiness, _BY_DAY),
    "l28": _Entry(activity.active_days, _BY_DAY),
    "retention_cohort": _Entry(
        cohorts.retention_cohorts,
        Family(grains=("month", "week"), kinds=("classic", "unbounded"), cohorts=("first_activity", "signup")),
    ),
    "survival": _Entry(survival.survival, Family(takes_range=False)),
    "time_to_first_transaction": _Entry(survival.time_to_first_transaction, Family()),
    "amount_retention": _Entry(payments.amount_retention, Family(grains=("month",), kinds=("net", "gross"))),
    "transactions": _Entry(payments.volumes, _PAYMENTS),
    "transaction_amount": _Entry(payments.volumes, _PAYMENTS),
    "card_not_present_share": _Entry(
        payments.card_not_present_share,
        Family(dimensions=("merchant_country",), grains=("month",), kinds=("count", "amount")),
    ),
    "amount_concentration": _Entry(payments.concentration, _CONCENTRATION, {"gini": "ratio"}),
    "transaction_concentration": _Entry(payments.concentration, _CONCENTRATION, {"gini": "ratio"}),
    "silence_risk": _Entry(risk.silence_risk, Family(dimensions=(*CUSTOMER_DIMENSIONS, *risk.BANDS), takes_range=False)),
    "silence_calibration": _Entry(risk.silence_calibration, Family(dimensions=(), kinds=("reliability", "error", "hold_out"))),
}
METRICS = tuple(_ENTRIES)
_INTERVALS = dataclasses.replace(_ENTRIES["window_sensitivity"].family, kinds=(), takes_range=True)
# A version from before has not the table.
_LATER_KINDS: Mapping[tuple[str, str | None], str] = {("silence_calibration", "hold_out"): "mart_silence_hold_out"}


def family(metric: str) -> Family:
    """What may be asked of a metric: dimensions, grains, kinds; raises ConfigurationError where there is no such metric."""
    return _ENTRIES[one_of("metric", metric, METRICS, metric="neopulse")].family


class Reader:
    """One published version, open for reading by many threads; `registry` says what each of its metrics means.

    Raises FileNotFoundError where the version has been pruned in the meantime; once open it stays whole.
    """

    def __init__(self, version: Version, database: ReadOnly | None = None) -> None:
        self.version = version
        self._database = database or ReadOnlyDuckDB(version.database)
        self.registry: dict[str, Metric] = metrics.read(version.folder / "metrics.json")

    def answer(self, question: Question) -> Answer:
        """The figures of a question; raises ConfigurationError where it cannot be asked."""
        asked = self._checked(question, question.metric)
        since = _LATER_KINDS.get((asked.metric, asked.kind))
        if since and not self._has(since):
            raise OlderVersionError(f"the kind {asked.kind} of {asked.metric}", self.version.name)
        window = asked.window or self.version.inactivity_days
        table = _ENTRIES[asked.metric].answer(self._database, asked, window=window, as_of=self.version.as_of)
        return self._answered(asked, window, table)

    def retention_curve(
        self,
        question: Question,
        *,
        fixed_cohorts: bool = False,
        without: Where = (),
        beside: tuple[Where, Where] | None = None,
    ) -> Answer:
        """The retention of all cohorts together, period by period; see cohorts.retention_curve."""
        asked = self._checked(question, "retention_cohort")
        left_out = self._checked(dataclasses.replace(question, where=without), "retention_cohort").where
        window, as_of = asked.window or self.version.inactivity_days, self.version.as_of
        table = cohorts.retention_curve(
            self._database, asked, window=window, as_of=as_of, fixed_cohorts=fixed_cohorts, without=left_out, beside=beside
        )
        return self._answered(asked, window, table)

    def what_changed(self, question: Question, *, days: int) -> Answer:
        """Active customers now and so many days ago, and who came, came back and left between; see changes.what_changed."""
        asked = self._checked(dataclasses.replace(question, metric="active_customers"), "active_customers")
        window = asked.window or self.version.inactivity_days
        table = changes.what_changed(self._database, asked, days=days, window=window, as_of=self.version.as_of)
        return self._answered(asked, window, table)

    def usage_intervals(self, question: Question) -> Answer:
        """How long the pauses between two active days are, in classes of a week; see intervals.usage_intervals."""
        asked = self._checked(
            dataclasses.replace(question, metric="window_sensitivity", by=None, kind=None),
            "window_sensitivity",
            asked_of=_INTERVALS,
        )
        table = intervals.usage_intervals(self._database, asked, as_of=self.version.as_of)
        return self._answered(asked, asked.window or self.version.inactivity_days, table)

    def headline(
        self, *, window: int | None = None, where: Where = (), until: date | None = None, countries: Countries = None
    ) -> tuple[Headline, ...]:
        """The figures a manager reads first; `until` an earlier day than the last loaded one as they were on that day."""
        day = min(until or self.version.as_of, self.version.as_of)
        return headline(self.answer, window=window, where=where, as_of=day, countries=countries)

    def thin_tail(self, *, countries: Countries = None) -> ThinTail | None:
        """The last days, where they hold far fewer active customers than usual; see thin_tail.thin_tail.

        None too where the counts of these countries are so many that they stay in BigQuery: it is a word beside other figures.
        """
        try:
            return thin_tail.read(self._database, as_of=self.version.as_of, countries=countries)
        except ConfigurationError:
            return None

    def dimension_values(self, dimension: str, *, countries: Countries = None) -> list[str]:
        """The values of a dimension that customers of these countries have, the most frequent first."""
        if countries is not None and dimension == "merchant_country":
            raise ConfinedError(dimension, countries)
        statement = _VALUES[dimension] if dimension in _VALUES else _CUSTOMER_VALUES.format(dimension=self._dimension(dimension))
        condition, parameters = confined(countries)
        members = "true" if countries is None else _OF_SEGMENTS.format(condition=condition)
        found = self._database.query(statement.replace("{condition}", condition).replace("{of_segments}", members), parameters)
        return [str(value) for value in found["value"].to_pylist()]

    def population(self, question: Question) -> dict[str | None, int]:
        """How many customers stand behind a question's figures: by value of the dimension that splits them, else under None.

        Dimensions that are not the customers' own, such as a payment's type, do not divide customers and are passed over.
        """
        of_customers = tuple(pair for pair in question.where if pair[0] in CUSTOMER_DIMENSIONS)
        by = question.by if question.by in CUSTOMER_DIMENSIONS else None
        asked = scope(dataclasses.replace(question, where=of_customers, by=by))
        statement = f"select {asked.columns} count(*) as customers from marts.mart_customers where {asked.condition} group by all"
        rows = self._database.query(statement, dict(asked.parameters)).to_pylist()
        return {row[by] if by else None: int(row["customers"]) for row in rows}

    def customers(self, search: Search, *, limit: int = 200) -> Listed:
        """A list of customers and its whole length; see customers.customers.

        Raises OlderVersionError for the customers behind a figure of a version that was published before such lists were.
        """
        if search.behind is not None:
            metric = search.behind.question.metric
            if not self.has_lists(metric) and not self._is_elsewhere(table_of(metric)):
                raise OlderVersionError(f"the list behind {metric}", self.version.name)
            asked = self._checked(search.behind.question, metric)
            search = dataclasses.replace(search, behind=dataclasses.replace(search.behind, question=asked))
        window, as_of, knows_pauses = self.version.inactivity_days, self.version.as_of, self.has_lists("churned_customers")
        return lists.customers(self._database, search, window=window, as_of=as_of, limit=limit, knows_pauses=knows_pauses)

    def has_lists(self, metric: str) -> bool:
        """Whether the version has what the metric's lists are made from: not an older one, nor where it was not copied."""
        return self._has(table_of(metric))

    def _has(self, name: str) -> bool:
        return bool(self._database.query(_IS_THERE, {"name": name}).num_rows)

    def _is_elsewhere(self, name: str) -> bool:
        """Whether a copy of BigQuery left the table there; it says where, when it is asked."""
        if not self._has("not_copied"):
            return False
        return bool(self._database.query("select 1 from main.not_copied where relation = $name", {"name": name}).num_rows)

    def survival_compared(self, question: Question, *, groups: Sequence[str]) -> Compared:
        """Whether the survival curves of these values of the question's `by` differ; see survival.compared."""
        asked = self._checked(question, "survival")
        window = asked.window or self.version.inactivity_days
        return survival.compared(self._database, asked, groups=groups, window=window, as_of=self.version.as_of)

    def early_warnings(
        self, *, where: Where = (), at_least: float = 0.0, limit: int = 200, countries: Countries = None
    ) -> Warned:
        """The active customers likeliest to fall silent, and how many reach the probability `at_least`."""
        return risk.early_warnings(self._database, where=where, at_least=at_least, limit=limit, countries=countries)

    def customer(self, user_id: str, *, countries: Countries = None) -> Customer | None:
        """One customer of these countries, with or without `user_` in the id; with the active days where the version has them."""
        found = lists.customer(self._database, user_id, countries=countries)
        if found is None or not self.has_lists("dau"):
            return found
        return dataclasses.replace(found, active_days=lists.active_days(self._database, found.facts["user_id"]))

    def samples(self, *, countries: Countries = None) -> tuple[Sample, ...]:
        """Five customers with different histories, the same ones each time; see samples.samples."""
        return samples.samples(self._database, countries=countries)

    def relation(self, name: str, *, where: Sequence[tuple[str, Any]] = (), countries: Countries = None) -> pa.Table:
        """A whole published mart (or what has any of the values given of a column), in the order of its first columns.

        Of some countries: their rows of a mart that has customers' countries, and whole what is about no customer; raises
        ConfinedError for any other one.
        """
        known = {row["name"]: row for row in self._database.query(_RELATIONS).to_pylist()}
        if name not in known:
            raise ConfigurationError(f"{name} is not a relation of {self.version.name}", next="neopulse run")
        chosen, parameters = any_of([(f'"{column}"', value) for column, value in where])
        conditions = " and ".join(chosen) or "true"
        if countries is not None and name not in OF_NO_CUSTOMER:
            condition, kept = self._rows_of(name, countries)
            conditions, parameters = f"{conditions} and {condition}", parameters | kept
        return self._database.query(f"select * from {known[name]['schema']}.{name} where {conditions} order by all", parameters)

    def _rows_of(self, name: str, countries: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        columns = self._database.query(_COLUMNS, {"name": name})["name"].to_pylist()
        if "country" not in columns:
            raise ConfinedError(name, countries)
        return confined(countries)

    def data_quality(self) -> pa.Table:
        """What was wrong with the bank's rows: table, reason, what was done, how many."""
        return self.relation("mart_data_quality")

    def close(self) -> None:
        """Let go of the version's file."""
        self._database.close()

    def _dimension(self, dimension: str) -> str:
        return one_of("dimension", dimension, CUSTOMER_DIMENSIONS, metric="customers")

    def _checked(self, question: Question, metric: str, *, asked_of: Family | None = None) -> Question:
        """The question with its defaults, whose filters name values that this version has."""
        asked = checked(question, asked_of or family(metric), published_window=self.version.inactivity_days)
        if metric not in self.registry:
            raise OlderVersionError(metric, self.version.name)
        for dimension, value in asked.where:
            if not self._some_customer_has(dimension, value, asked.countries):
                one_of("value", value, self.dimension_values(dimension, countries=asked.countries), metric=dimension)
        return asked

    def _some_customer_has(self, dimension: str, value: str, countries: Countries) -> bool:
        """Looked up among the segments, of which there are few, whatever the number of customers."""
        if dimension not in CUSTOMER_DIMENSIONS:
            return False
        condition, parameters = confined(countries)
        found = self._database.query(_SEGMENT.format(dimension=dimension, condition=condition), {"value": value, **parameters})
        return bool(found.num_rows)

    def _answered(self, question: Question, window: int, table: pa.Table) -> Answer:
        metric = self.registry[question.metric]
        unit = _ENTRIES[question.metric].units.get(question.kind, metric.unit)
        return Answer(
            question=question,
            metric=dataclasses.replace(metric, unit=unit),
            as_of=self.version.as_of,
            version=self.version.name,
            source=self.version.source,
            window=window,
            rule=self.version.activity_rule,
            table=table,
        )


_SEGMENT = "select 1 as found from warehouse.dim_segments where {dimension} = $value and {condition} limit 1"
_CUSTOMER_VALUES = """
    select {dimension} as value from marts.mart_customers where {{condition}} group by all order by count(*) desc, value
"""
_OF_SEGMENTS = "segment_id in (select segment_id from warehouse.dim_segments where {condition})"
_VALUES = {
    **{
        band: f"""
            select {band} as value from marts.mart_silence_risk where {{condition}}
            group by all order by count(*) desc, value
        """
        for band in risk.BANDS
    },
    "type": """
        select transaction_type as value from marts.mart_transactions_monthly
        where {of_segments}
        group by all order by sum(transactions) desc, value
    """,
    "state": """
        select transaction_state as value from marts.mart_transactions_monthly
        where {of_segments}
        group by all order by sum(transactions) desc, value
    """,
    "merchant_country": """
        select merchant_country as value from marts.mart_card_not_present_by_country
        group by all order by sum(payments_known + payments_unknown) desc, value
    """,
}
_IS_THERE = "select 1 as found from information_schema.tables where table_name = $name"
_COLUMNS = "select column_name as name from information_schema.columns where table_name = $name"
_RELATIONS = """
    select table_name as name, table_schema as schema from information_schema.tables
    where table_schema in ('marts', 'warehouse')
"""

_open: dict[str, Reader] = {}
_opening = threading.Lock()
KEPT_OPEN = 3


def reader(version: Version) -> Reader:
    """The reader of a version, opened once in this process; the few that were asked for last stay open."""
    key = str(version.folder)
    with _opening:
        found = _open.pop(key, None) or Reader(version)
        _open[key] = found
        # Not closed: another thread may still be reading from it. It closes when the last of them lets go.
        for stale in list(_open)[:-KEPT_OPEN]:
            del _open[stale]
        return found
