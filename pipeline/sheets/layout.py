"""The tabs of the sheet, made from one published version: the same version makes the same tabs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import plurals
from pipeline.marts import Headline, Page, Reader
from pipeline.metrics import Metric
from pipeline.sheets.base import Figure, Format, Row, Tab
from pipeline.sheets.texts import TEXTS
from pipeline.spreadsheets import Storable
from pipeline.warehouse.publication import Version

SEGMENTS = ("all", "plan_tier", "plan", "country", "os", "age_band", "signup_cohort")
SMALL_N = 30
UNIT_FORMATS: Mapping[str, Format] = {"share": "share", "ratio": "ratio", "usd": "usd"}
WIDTHS: Mapping[Format, int] = {"text": 18, "count": 12, "share": 10, "ratio": 10, "usd": 16, "date": 12, "moment": 18}
WIDE = {
    "definition": 90,
    "definition_en": 90,
    "definition_fr": 90,
    "metric": 30,
    "label_en": 30,
    "label_fr": 30,
    "facts_source": 40,
    "name": 24,
    "item": 36,
    "value_of_item": 60,
}
LIKELY = 0.5  # from this probability on a customer is warned of
MOST_WARNINGS = 1_000  # rows: a list that somebody reads; the app has all of them

Column = tuple[str, Format]


def tabs(reader: Reader, *, language: str) -> tuple[Tab, ...]:
    """Headline figures, churn by month and segment, cohorts, activity by day, countries with facts, early warnings, the
    definitions in every language, and what the figures rest on.

    Every tab is always there: one that is left out on a quiet day would leave yesterday's rows to be read as today's.
    """
    book = _Book(reader.version, language)
    return (
        book.headline(reader.headline(), language),
        book.churn(_rows(reader, "mart_monthly_churn_rate")),
        book.cohorts(_rows(reader, "mart_retention_cohorts", grain="month", cohort_kind="first_activity", segment="all")),
        book.activity(
            _rows(reader, "mart_growth_accounting", segment="all"), _rows(reader, "mart_daily_activity", segment="all")
        ),
        book.countries(_rows(reader, "mart_customers_by_country"), language),
        book.warnings(reader.early_warnings(at_least=LIKELY, limit=MOST_WARNINGS)),
        book.definitions(reader.registry),
        book.update(),
    )


def _rows(reader: Reader, relation: str, **where: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = reader.relation(relation, where=tuple(where.items())).to_pylist()
    return rows


class _Book:
    """One version in the words of one language."""

    def __init__(self, version: Version, language: str) -> None:
        self._version = version
        self._language = language
        self._texts = TEXTS[language]

    def headline(self, figures: Iterable[Headline], language: str) -> Tab:
        columns: tuple[Column, ...] = (
            ("metric", "text"),
            ("value", "count"),
            ("unit", "text"),
            ("before", "count"),
            ("change", "count"),
            ("low", "share"),
            ("high", "share"),
            ("n", "count"),
            ("period", "text"),
            ("until", "date"),
            ("status", "text"),
            ("final_on", "date"),
            ("definition", "text"),
        )
        return self._tab("headline", columns, [self._figure(figure, language) for figure in figures])

    def _figure(self, figure: Headline, language: str) -> Row:
        metric = figure.metric
        unit = UNIT_FORMATS.get(metric.unit, "count")
        return (
            metric.label[language],
            Figure(figure.value, unit),
            self._texts[f"unit.{metric.unit}"],
            Figure(figure.before, unit),
            Figure(figure.change, unit),
            figure.low,
            figure.high,
            figure.n,
            self._texts[f"period.{figure.period}"],
            figure.until,
            self._status(figure.provisional),
            figure.final_on,
            metric.definition[language],
        )

    def churn(self, rows: list[dict[str, Any]]) -> Tab:
        columns: tuple[Column, ...] = (
            ("month", "date"),
            ("segment", "text"),
            ("segment_value", "text"),
            ("customers_at_start", "count"),
            ("churned_customers", "count"),
            ("churn_rate", "share"),
            ("low", "share"),
            ("high", "share"),
            ("retention_rate", "share"),
            ("status", "text"),
            ("final_on", "date"),
            ("small_n", "text"),
        )
        ordered = sorted(rows, key=lambda row: (SEGMENTS.index(row["segment"]), row["segment_value"], row["month"]))
        return self._tab("churn", columns, [self._churn_row(row) for row in ordered], keys=3)

    def _churn_row(self, row: Mapping[str, Any]) -> Row:
        return (
            row["month"],
            self._texts[f"segment.{row['segment']}"],
            self._texts["segment.all"] if row["segment"] == "all" else row["segment_value"],
            row["customers_at_start"],
            row["churned_customers"],
            row["churn_rate"],
            row["churn_rate_low"],
            row["churn_rate_high"],
            row["retention_rate"],
            self._status(row["is_provisional"]),
            row["final_on"],
            self._texts["yes"] if row["customers_at_start"] < SMALL_N else None,
        )

    def cohorts(self, cells: list[dict[str, Any]]) -> Tab:
        """One row a cohort, one column a month since; the first month that can still change has its own column."""
        periods = range(max((cell["period"] for cell in cells), default=-1) + 1)
        by_cohort: dict[Any, dict[int, dict[str, Any]]] = {}
        for cell in cells:
            by_cohort.setdefault(cell["cohort"], {})[cell["period"]] = cell
        columns: list[Column] = [("cohort", "date"), ("customers", "count"), ("first_provisional", "count")]
        columns += [(str(period), "share") for period in periods]
        rows = [_cohort_row(cohort, by_period, periods) for cohort, by_period in sorted(by_cohort.items())]
        return self._tab("cohorts", columns, rows, note=self._texts["cohort_note"], keys=1)

    def activity(self, flows: list[dict[str, Any]], counts: list[dict[str, Any]]) -> Tab:
        """One row a day: who is active and how that came about, and the active of 1, 7 and 28 days."""
        columns: tuple[Column, ...] = (
            ("date", "date"),
            ("active_customers", "count"),
            ("new_customers", "count"),
            ("resurrected_customers", "count"),
            ("churned_customers", "count"),
            ("dau", "count"),
            ("wau", "count"),
            ("mau", "count"),
            ("stickiness", "share"),
            ("status", "text"),
            ("final_on", "date"),
        )
        by_day = {row["date"]: row for row in counts}
        days = [{**by_day.get(row["date"], {}), **row} for row in sorted(flows, key=lambda row: row["date"])]
        rows = [
            [self._status(day["is_provisional"]) if name == "status" else day.get(name) for name, _ in columns] for day in days
        ]
        return self._tab("activity", columns, rows, keys=1)

    def warnings(self, page: Page) -> Tab:
        """The customers who are likelier to fall silent than not, the likeliest first."""
        columns: tuple[Column, ...] = (
            ("user_id", "text"),
            ("silence_probability", "share"),
            ("silence_probability_low", "share"),
            ("silence_probability_high", "share"),
            ("observations", "count"),
            ("days_silent", "count"),
            ("active_days_in_90", "count"),
            ("amount_usd_in_90", "usd"),
            ("last_active_day", "date"),
            ("would_lapse_on", "date"),
            ("plan", "text"),
            ("country", "text"),
            ("is_held_out", "text"),
        )
        note = self._texts[f"warnings_note.{plurals.form(page.total, self._language)}"].format(
            shown=page.table.num_rows, total=page.total, share=LIKELY, days=self._window
        )
        said = {True: self._texts["yes"]}
        warned = [{**row, "is_held_out": said.get(row.get("is_held_out"))} for row in page.table.to_pylist()]
        rows = [[row[name] for name, _ in columns] for row in warned]
        return self._tab("warnings", columns, rows, note=note, keys=1)

    def definitions(self, registry: Mapping[str, Metric]) -> Tab:
        """What every metric means, as the registry says it, in every language."""
        columns: tuple[Column, ...] = (
            ("metric_name", "text"),
            ("label_en", "text"),
            ("definition_en", "text"),
            ("label_fr", "text"),
            ("definition_fr", "text"),
            ("unit", "text"),
        )
        rows = [
            (
                name,
                metric.label["en"],
                metric.definition["en"],
                metric.label["fr"],
                metric.definition["fr"],
                self._texts[f"unit.{metric.unit}"],
            )
            for name, metric in sorted(registry.items())
        ]
        return self._tab("definitions", columns, rows, keys=1)

    def countries(self, rows: list[dict[str, Any]], language: str) -> Tab:
        columns: tuple[Column, ...] = (
            ("country", "text"),
            ("name", "text"),
            ("customers", "count"),
            ("ever_active_customers", "count"),
            ("active_customers", "count"),
            ("active_share", "share"),
            ("amount_usd", "usd"),
            ("population", "count"),
            ("customers_per_million", "ratio"),
            ("capital", "text"),
            ("region", "text"),
            ("area_km2", "count"),
            ("currency", "text"),
            ("facts_source", "text"),
            ("facts_as_of", "date"),
        )
        named = {"name": f"name_{language}", "customers_per_million": "customers_per_million_inhabitants"}
        ordered = sorted(rows, key=lambda row: (-row["customers"], row["country"]))
        return self._tab("countries", columns, [[row[named.get(name, name)] for name, _ in columns] for row in ordered], keys=1)

    def update(self) -> Tab:
        """What the figures rest on, one item a row."""
        version = self._version
        items: dict[str, Storable | Figure] = {
            "version": version.name,
            "as_of": Figure(version.as_of, "date"),
            "published_at": Figure(version.published_at, "moment"),
            "source": self._source,
            "rule": version.activity_rule,
            "inactivity_days": Figure(version.inactivity_days, "count"),
            "bank_timezone": version.bank_timezone,
            "tests_passed": Figure(version.tests.passed, "count"),
            "tests_warned": Figure(version.tests.warned, "count"),
            "tests_total": Figure(version.tests.total, "count"),
        }
        rows = [(self._texts[name], value) for name, value in items.items()]
        return self._tab(
            "update", (("item", "text"), ("value", "text")), rows, widths=(WIDE["item"], WIDE["value_of_item"]), keys=1
        )

    @property
    def _window(self) -> str:
        return plurals.length(self._version.inactivity_days, "day", self._language)

    @property
    def _source(self) -> str:
        return self._texts.get(self._version.source, self._version.source)

    def _status(self, provisional: bool) -> str:
        return self._texts["provisional" if provisional else "final"]

    def _tab(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Iterable[Row],
        *,
        note: str = "",
        widths: tuple[int, ...] = (),
        keys: int = 0,
    ) -> Tab:
        version = self._version
        context = self._texts["note"].format(
            as_of=version.as_of,
            days=self._window,
            rule=version.activity_rule,
            source=self._source,
            version=version.name,
        )
        return Tab(
            name=self._texts[name],
            note=" · ".join(part for part in (self._texts[name], note, context) if part),
            header=tuple(self._texts.get(column, column) for column, _ in columns),
            formats=tuple(kind for _, kind in columns),
            widths=widths or tuple(WIDE.get(column, WIDTHS[kind]) for column, kind in columns),
            rows=tuple(rows),
            keys=keys,
        )


def _cohort_row(cohort: Any, by_period: Mapping[int, Mapping[str, Any]], periods: range) -> Row:
    provisional = [period for period, cell in sorted(by_period.items()) if cell["is_provisional"]]
    shares = [by_period[period]["retention_classic"] if period in by_period else None for period in periods]
    return (cohort, by_period[0]["cohort_customers"], provisional[0] if provisional else None, *shares)
