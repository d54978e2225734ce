"""One visual of a report as PBIR: what it draws, where it stands, what it is called, and its colours.

The shapes follow the schemas under developer.microsoft.com/json-schemas/fabric/item/report/definition/visualContainer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.powerbi.tmdl import lineage

SCHEMA = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition/visualContainer/2.3.0/schema.json"


@dataclass(frozen=True)
class Field:
    """A column or a measure of the model."""

    table: str
    name: str
    is_measure: bool = False

    @property
    def reference(self) -> str:
        """As a query names it."""
        return f"{self.table}.{self.name}"

    def expression(self, source: str = "") -> dict[str, Any]:
        """As PBIR writes it; `source` is the name that a filter gives its table."""
        place = {"Source": source} if source else {"Entity": self.table}
        return {"Measure" if self.is_measure else "Column": {"Expression": {"SourceRef": place}, "Property": self.name}}


@dataclass(frozen=True)
class Place:
    """Where a visual stands on a page, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Visual:
    """A visual: its name on the page, its kind, its place, its fields by role, and the rest as PBIR has it."""

    name: str
    kind: str
    place: Place
    roles: Mapping[str, Sequence[Field]] = field(default_factory=dict)
    title: str = ""
    subtitle: str = ""
    objects: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)
    filters: Sequence[dict[str, Any]] = ()
    sort: tuple[Field, str] | None = None
    colours: Mapping[Field, str] = field(default_factory=dict)
    spoken: str = ""
    """What is read aloud of a visual without a title."""

    def content(self, page: str, order: int) -> dict[str, Any]:
        """The file of the visual, as the one at that place in the order of the keyboard."""
        visual: dict[str, Any] = {"visualType": self.kind}
        if self.roles:
            visual["query"] = self._query()
        if objects := self._objects():
            visual["objects"] = objects
        visual["visualContainerObjects"] = self._frame() | dict(self.container)
        visual["drillFilterOtherVisuals"] = True
        place = self.place
        content: dict[str, Any] = {
            "$schema": SCHEMA,
            "name": identifier(page, self.name),
            "position": {
                "x": place.x,
                "y": place.y,
                "z": order * 1000,
                "height": place.height,
                "width": place.width,
                "tabOrder": order * 1000,
            },
            "visual": visual,
        }
        if self.filters:
            content["filterConfig"] = {"filters": list(self.filters)}
        return content

    def _query(self) -> dict[str, Any]:
        state = {role: {"projections": [_projection(one, role) for one in fields]} for role, fields in self.roles.items()}
        query: dict[str, Any] = {"queryState": state}
        if self.sort:
            by, direction = self.sort
            query["sortDefinition"] = {"sort": [{"field": by.expression(), "direction": direction}], "isDefaultSort": False}
        return query

    def _objects(self) -> dict[str, Any]:
        objects = dict(self.objects)
        if self.colours:
            objects["dataPoint"] = [
                {"properties": {"fill": colour(code)}, "selector": {"metadata": one.reference}}
                for one, code in self.colours.items()
            ]
        return objects

    def _frame(self) -> dict[str, Any]:
        read_aloud = f"{self.title}. {self.subtitle}".strip() if self.title else self.spoken or self.name
        frame: dict[str, Any] = {
            "title": [{"properties": {"show": literal(bool(self.title))}}],
            "general": [{"properties": {"altText": literal(read_aloud)}}],
        }
        if self.title:
            frame["title"][0]["properties"]["text"] = literal(self.title)
        if self.subtitle:
            frame["subTitle"] = [{"properties": {"show": literal(True), "text": literal(self.subtitle)}}]
        return frame


def identifier(*parts: str) -> str:
    """The name of a page, visual or filter in its file: twenty characters that follow from what it is."""
    return lineage("report", *parts).replace("-", "")[:20]


def literal(value: str | bool | int) -> dict[str, Any]:
    """A constant."""
    match value:
        case bool():
            text = str(value).lower()
        case int():
            text = f"{value}D"
        case str():
            text = "'" + value.replace("'", "''") + "'"
    return {"expr": {"Literal": {"Value": text}}}


def colour(code: str) -> dict[str, Any]:
    """A colour, as the properties of visuals take it."""
    return {"solid": {"color": literal(code)}}


def only(page: str, visual: str, one: Field, value: str | bool) -> dict[str, Any]:
    """A filter of one visual: the rows of a column that have the value."""
    condition = {"In": {"Expressions": [one.expression("t")], "Values": [[literal(value)["expr"]]]}}
    return {
        "name": identifier(page, visual, "filter", one.reference),
        "field": one.expression(),
        "type": "Categorical",
        "filter": {
            "Version": 2,
            "From": [{"Name": "t", "Entity": one.table, "Type": 0}],
            "Where": [{"Condition": condition}],
        },
        "howCreated": "User",
    }


def shaded(by: Field, low: str, high: str) -> list[dict[str, Any]]:
    """Cells of a matrix with a background that grows darker with the measure in them."""
    rule = {
        "min": {"color": {"Literal": {"Value": f"'{low}'"}}},
        "max": {"color": {"Literal": {"Value": f"'{high}'"}}},
        "nullColoringStrategy": {"strategy": {"Literal": {"Value": "'noColor'"}}},
    }
    fill = {"expr": {"FillRule": {"Input": by.expression(), "FillRule": {"linearGradient2": rule}}}}
    selector = {"data": [{"dataViewWildcard": {"matchingOption": 1}}], "metadata": by.reference}
    return [{"properties": {"backColor": {"solid": {"color": fill}}}, "selector": selector}]


def _projection(one: Field, role: str) -> dict[str, Any]:
    projection = {"field": one.expression(), "queryRef": one.reference, "nativeQueryRef": one.name}
    return projection | ({"active": True} if role in ("Category", "Rows", "Columns") else {})
