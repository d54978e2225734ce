"""The report in PBIR: four pages in the app's words and colours, each with a link to the same page of the app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.powerbi import theme as themes
from pipeline.powerbi.measures import PAGES, measures
from pipeline.powerbi.theme import Palette
from pipeline.powerbi.visuals import Field, Place, Visual, identifier, literal, only, shaded
from pipeline.powerbi.words import Words

_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition"
WIDTH, HEIGHT, MARGIN = 1280, 720, 16
BASE_THEME = "CY24SU10"
_AT_IMPORT = {"visual": "2.3.0", "report": "3.0.0", "page": "2.0.0"}

DATE, MONTH = Field("Dates", "Date"), Field("Dates", "Month")
SEGMENT, VALUE = Field("Segments", "Segment"), Field("Segments", "Segment value")


@dataclass(frozen=True)
class Report:
    """What the report is made of: the words, the colours, and the language of its titles."""

    words: Words
    colours: Palette
    language: str

    def files(self) -> dict[str, Any]:
        """The JSON content of every file of the folder `definition`, by its path in it."""
        content: dict[str, Any] = {
            "version.json": {"$schema": f"{_SCHEMAS}/versionMetadata/1.0.0/schema.json", "version": "2.0.0"},
            "report.json": self._report(),
            "pages/pages.json": {
                "$schema": f"{_SCHEMAS}/pagesMetadata/1.0.0/schema.json",
                "pageOrder": list(PAGES),
                "activePageName": PAGES[0],
            },
        }
        drawn: dict[str, Callable[[], list[Visual]]] = {
            "overview": self._overview,
            "activity": self._activity,
            "retention": self._retention,
            "churn": self._churn,
        }
        for page in PAGES:
            visuals = [*self._head(page), *drawn[page]()]
            content[f"pages/{page}/page.json"] = self._page(page, visuals)
            for order, visual in enumerate(visuals):
                content[f"pages/{page}/visuals/{identifier(page, visual.name)}/visual.json"] = visual.content(page, order)
        return content

    def _report(self) -> dict[str, Any]:
        own = {"name": themes.NAME, "reportVersionAtImport": _AT_IMPORT, "type": "RegisteredResources"}
        base = {"name": BASE_THEME, "reportVersionAtImport": _AT_IMPORT, "type": "SharedResources"}
        item = {"name": themes.NAME, "path": themes.NAME, "type": "CustomTheme"}
        return {
            "$schema": f"{_SCHEMAS}/report/3.0.0/schema.json",
            "themeCollection": {"baseTheme": base, "customTheme": own},
            "resourcePackages": [{"name": "RegisteredResources", "type": "RegisteredResources", "items": [item]}],
            "settings": {"useEnhancedTooltips": True, "defaultDrillFilterOtherVisuals": True},
        }

    def _page(self, page: str, visuals: Sequence[Visual]) -> dict[str, Any]:
        content: dict[str, Any] = {
            "$schema": f"{_SCHEMAS}/page/2.0.0/schema.json",
            "name": page,
            "displayName": self._app("common", f"pages.{page}"),
            "displayOption": "FitToPage",
            "height": HEIGHT,
            "width": WIDTH,
        }
        # what shows every value of one dimension would be empty under the choice of another
        of_one_dimension = [visual for visual in visuals if any(one["field"] == SEGMENT.expression() for one in visual.filters)]
        if of_one_dimension:
            source = identifier(page, "segment")
            content["visualInteractions"] = [
                {"source": source, "target": identifier(page, visual.name), "type": "NoFilter"} for visual in of_one_dimension
            ]
        return content

    def _head(self, page: str) -> list[Visual]:
        """What every page begins with: its title, as of when, what to cut by, and the way to the app."""
        runs = [{"value": self._app("common", f"pages.{page}"), "textStyle": {"fontSize": "20pt", "fontWeight": "bold"}}]
        title = {"general": [{"properties": {"paragraphs": [{"textRuns": runs}]}}]}
        version = [self._measure(name) for name in ("As of", "Version", "Window N")]
        return [
            Visual("title", "textbox", Place(MARGIN, 8, 180, 56), objects=title, spoken=self._app("common", f"pages.{page}")),
            Visual("version", "multiRowCard", Place(200, 4, 330, 64), {"Values": version}, spoken=self._said("version")),
            # one slicer for both: `standard` alone is a tier and, to Power BI, a plan as well
            self._slicer("segment", [SEGMENT, VALUE], Place(540, 4, 330, 64)),
            self._slicer("days", [DATE], Place(880, 4, 230, 64), mode="Between"),
            self._link(page, Place(1120, 14, 144, 40)),
        ]

    def _slicer(self, name: str, by: Sequence[Field], place: Place, *, mode: str = "Dropdown") -> Visual:
        how = {"data": [{"properties": {"mode": literal(mode)}}]}
        return Visual(name, "slicer", place, {"Values": by}, objects=how, spoken=self._said(name))

    def _link(self, page: str, place: Place) -> Visual:
        label = literal(self._said("open_in_app"))
        address = {"expr": self._measure(f"Link to {page}").expression()}
        action = {"show": literal(True), "type": literal("WebUrl"), "webUrl": address}
        text = [{"properties": {"show": literal(True)}}, {"properties": {"text": label}, "selector": {"id": "default"}}]
        return Visual(
            "open in the app",
            "actionButton",
            place,
            objects={"text": text},
            spoken=self._said("open_in_app"),
            container={"visualLink": [{"properties": action}]},
        )

    def _overview(self) -> list[Visual]:
        page, top = "overview", 84
        over = only(page, "churn rate", Field("Churn", "Is provisional"), False)
        cards = [self._metric(name) for name in ("active_customers", "mau", "stickiness", "quick_ratio", "monthly_churn_rate")]
        width = (WIDTH - MARGIN * (len(cards) + 1)) // len(cards)
        shown = [
            Visual(
                f"card {card.name}",
                "card",
                Place(MARGIN + place * (width + MARGIN), top, width, 104),
                {"Values": [card]},
                title=self._named(card),
                filters=[over] if card.table == "Churn" else (),
                objects={"categoryLabels": [{"properties": {"show": literal(False)}}]},
            )
            for place, card in enumerate(cards)
        ]
        by_country = [only(page, "countries", SEGMENT, "country")]
        countries = Visual(
            "countries",
            "clusteredBarChart",
            Place(MARGIN, 464, 620, 240),
            {"Category": [VALUE], "Y": [self._metric("active_customers")]},
            title=self._said("by_country"),
            filters=by_country,
            sort=(self._metric("active_customers"), "Descending"),
            colours={self._metric("active_customers"): self.colours.primary},
        )
        runs = [Field("Runs", name) for name in ("Run", "State", "Started on", "Run version", "Run last day")]
        last_runs = Visual(
            "runs",
            "tableEx",
            Place(652, 464, 612, 240),
            {"Values": runs},
            title=self._said("runs"),
            sort=(runs[0], "Descending"),
        )
        return [*shown, self._active(Place(MARGIN, 204, 620, 244)), self._growth(Place(652, 204, 612, 244)), countries, last_runs]

    def _activity(self) -> list[Visual]:
        rolling = [self._metric(name) for name in ("mau", "wau", "dau")]
        of_rolling = dict(zip(rolling, (self.colours.primary, self.colours.back, self.colours.context), strict=True))
        return [
            self._active(Place(MARGIN, 84, 620, 300), "activity"),
            self._growth(Place(652, 84, 612, 300), "activity"),
            self._lines("rolling", rolling, Place(MARGIN, 400, 620, 304), "activity", colours=of_rolling),
            self._lines("stickiness", [self._metric("stickiness")], Place(652, 400, 612, 304), "activity"),
        ]

    def _retention(self) -> list[Visual]:
        share = self._metric("retention_cohort")
        cells = Visual(
            "cohorts",
            "pivotTable",
            Place(MARGIN, 84, 1248, 330),
            {"Rows": [Field("Retention", "Cohort")], "Columns": [Field("Retention", "Months since")], "Values": [share]},
            title=self._app("retention", "cohorts.month"),
            subtitle=self._said("cohorts_explained"),
            objects={
                "values": shaded(share, self.colours.scale[0], self.colours.scale[-4]),
                "subTotals": [{"properties": {"rowSubtotals": literal(False), "columnSubtotals": literal(False)}}],
            },
        )
        months = Field("Retention", "Months since")
        curve = Visual(
            "curve",
            "lineChart",
            Place(MARGIN, 430, 620, 274),
            {"Category": [months], "Y": [share]},
            title=self._app("retention", "curve"),
            subtitle=self._app("retention", "curve_explained.all"),
            filters=[only("retention", "curve", Field("Retention", "Cell is provisional"), False)],
            sort=(months, "Ascending"),
        )
        back = Visual(
            "came back",
            "lineChart",
            Place(652, 430, 612, 274),
            {"Category": [MONTH], "Y": [self._metric("came_back_share")]},
            title=self._said("came_back"),
            sort=(MONTH, "Ascending"),
            colours={self._metric("came_back_share"): self.colours.back},
        )
        return [cells, curve, back]

    def _churn(self) -> list[Visual]:
        rate = self._metric("monthly_churn_rate")
        by_month = Visual(
            "rate",
            "lineChart",
            Place(MARGIN, 84, 620, 300),
            {"Category": [MONTH], "Y": [rate, self._measure(f"{rate.name}, low"), self._measure(f"{rate.name}, high")]},
            title=self._app("churn", "rate"),
            subtitle=self._said("rate_explained"),
            sort=(MONTH, "Ascending"),
            colours={
                rate: self.colours.leaves,
                self._measure(f"{rate.name}, low"): self.colours.context,
                self._measure(f"{rate.name}, high"): self.colours.context,
            },
        )
        by_tier = Visual(
            "tiers",
            "lineChart",
            Place(652, 84, 612, 300),
            {"Category": [MONTH], "Series": [VALUE], "Y": [rate]},
            title=self._said("by_tier"),
            filters=[only("churn", "tiers", SEGMENT, "plan_tier")],
            sort=(MONTH, "Ascending"),
        )
        said = [f"{rate.name}, low", f"{rate.name}, high", "Left within the month", "Customers at the month's start"]
        columns = [MONTH, rate, *map(self._measure, said), self._measure(f"{rate.name} is final")]
        table = Visual(
            "months",
            "tableEx",
            Place(MARGIN, 400, 780, 304),
            {"Values": columns},
            title=self._app("churn", "table"),
            sort=(MONTH, "Descending"),
            objects={"total": [{"properties": {"totals": literal(False)}}]},
        )
        by_country = Visual(
            "countries",
            "clusteredBarChart",
            Place(812, 400, 452, 304),
            {"Category": [VALUE], "Y": [rate]},
            title=self._said("churn_by_country"),
            filters=[
                only("churn", "countries", SEGMENT, "country"),
                only("churn", "countries", Field("Churn", "Is provisional"), False),
            ],
            sort=(rate, "Descending"),
            colours={rate: self.colours.leaves},
        )
        return [by_month, by_tier, table, by_country]

    def _active(self, place: Place, page: str = "overview") -> Visual:
        active = self._metric("active_customers")
        return Visual(
            "active",
            "lineChart",
            place,
            {"Category": [DATE], "Y": [active]},
            title=self._card(page, "active"),
            subtitle=self._card(page, "active", "explained"),
            sort=(DATE, "Ascending"),
            colours={active: self.colours.primary},
        )

    def _growth(self, place: Place, page: str = "overview") -> Visual:
        new, back = self._metric("new_customers"), self._metric("resurrected_customers")
        left = self._measure("Left, below the line")
        return Visual(
            "growth",
            "columnChart",
            place,
            {"Category": [MONTH], "Y": [new, back, left]},
            title=self._card(page, "growth"),
            subtitle=self._said("growth_explained"),
            sort=(MONTH, "Ascending"),
            colours={new: self.colours.primary, back: self.colours.back, left: self.colours.leaves},
        )

    def _lines(
        self, name: str, drawn: list[Field], place: Place, page: str, *, colours: dict[Field, str] | None = None
    ) -> Visual:
        return Visual(
            name,
            "lineChart",
            place,
            {"Category": [DATE], "Y": drawn},
            title=self._card(page, name),
            subtitle=self._card(page, name, "explained"),
            sort=(DATE, "Ascending"),
            colours=colours or {drawn[0]: self.colours.primary},
        )

    def _app(self, area: str, name: str) -> str:
        return self.words.of_the_app(area, name, self.language)

    def _card(self, page: str, name: str, what: str = "title") -> str:
        """Title or explanation of a drawing, as the catalogue of its page keeps it."""
        return self._app(page, f"cards.{name}.{what}")

    def _said(self, name: str) -> str:
        return self.words.report(name, self.language)

    def _metric(self, name: str) -> Field:
        return self._measure(self.words.registry[name].label["en"])

    def _measure(self, name: str) -> Field:
        return Field(self._tables[name], name, is_measure=True)

    def _named(self, field: Field) -> str:
        metric = next(name for name, one in self.words.registry.items() if one.label["en"] == field.name)
        return self.words.registry[metric].label[self.language]

    @cached_property
    def _tables(self) -> dict[str, str]:
        return {measure.name: measure.table for measure in measures(self.words)}
