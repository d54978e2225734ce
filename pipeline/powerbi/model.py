"""The semantic model in TMDL: tables with their columns and measures, relationships, parameters, cultures and roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.metrics import LANGUAGES
from pipeline.powerbi import power_query, tmdl
from pipeline.powerbi.measures import Measure, measures
from pipeline.powerbi.power_query import Parameter
from pipeline.powerbi.shapes import Column, Kind, Table
from pipeline.powerbi.star import DATES, RELATIONSHIPS, TABLES
from pipeline.powerbi.words import CULTURES, Words

COMPATIBILITY_LEVEL = 1601
_TYPES: dict[Kind, str] = {"text": "string", "whole": "int64", "decimal": "double", "date": "dateTime", "yes_no": "boolean"}
_FORMATS: dict[Kind, str] = {"whole": "#,0", "decimal": "#,0.00", "date": "yyyy-mm-dd"}
_OWN_FORMATS = {"Dates.month_start": "yyyy-mm", "Retention.cohort": "yyyy-mm", "Dates.year": "0", "Runs.run": "0"}
_CATEGORIES = {"Countries.name_en": "Country", "Countries.name_fr": "Country"}


@dataclass(frozen=True)
class Model:
    """What the model is made of: the words, the parameters' values, whether the list of customers is asked where it lies,
    and the countries that have a role.
    """

    words: Words
    parameters: tuple[Parameter, ...]
    direct: bool
    countries: tuple[str, ...]

    def files(self) -> dict[str, str]:
        """Every file of the folder `definition` by its path in it."""
        found = measures(self.words)
        content = {
            "database.tmdl": tmdl.block("database neopulse", [f"compatibilityLevel: {COMPATIBILITY_LEVEL}"]) + "\n",
            "model.tmdl": self._model(),
            "expressions.tmdl": self._expressions(),
            "relationships.tmdl": _relationships(),
        }
        for table in TABLES:
            own = [measure for measure in found if measure.table == table.name]
            content[f"tables/{table.name}.tmdl"] = self._table(table, own)
        content |= {f"cultures/{CULTURES[language]}.tmdl": self._culture(language, found) for language in LANGUAGES}
        return content | {f"roles/{role_name(country)}.tmdl": role(country) for country in self.countries}

    def _model(self) -> str:
        head = tmdl.block(
            "model Model",
            [
                "culture: en-US",
                "defaultPowerBIDataSourceVersion: powerBI_V3",
                "discourageImplicitMeasures",
                "sourceQueryCulture: en-US",
            ],
        )
        references = [f"ref table {tmdl.name(table.name)}" for table in TABLES]
        references += [f"ref cultureInfo {CULTURES[language]}" for language in LANGUAGES]
        references += [f"ref role {tmdl.name(role_name(country))}" for country in self.countries]
        return tmdl.paragraphs([head, "annotation __PBI_TimeIntelligenceEnabled = 0", "\n".join(references)])

    def _expressions(self) -> str:
        parts = []
        for parameter in self.parameters:
            properties = [f"lineageTag: {tmdl.lineage('parameter', parameter.name)}", tmdl.annotation("PBI_ResultType", "Text")]
            first = f"expression {parameter.name}"
            parts.append(tmdl.expression(first, parameter.expression, properties, description=parameter.about))
        for name, (about, text) in power_query.FUNCTIONS.items():
            properties = [f"lineageTag: {tmdl.lineage('function', name)}", tmdl.annotation("PBI_ResultType", "Function")]
            parts.append(tmdl.expression(f"expression {name}", text, properties, description=about))
        return tmdl.paragraphs(parts)

    def _table(self, table: Table, own: Sequence[Measure]) -> str:
        children = [self._measure(measure) for measure in own]
        children += [self._column(table, column) for column in (*table.columns, *table.added)]
        children.append(self._partition(table))
        properties = [f"lineageTag: {tmdl.lineage('table', table.name)}"]
        if table is DATES:
            properties.append("dataCategory: Time")
        first = tmdl.block(f"table {tmdl.name(table.name)}", properties, description=self.words.table_description(table, "en"))
        return tmdl.paragraphs([first, *(tmdl.deeper(child) for child in children)])

    def _measure(self, measure: Measure) -> str:
        properties = [f"formatString: {measure.format}" if measure.format else "", f"displayFolder: {measure.folder}"]
        properties += [f"lineageTag: {tmdl.lineage('measure', measure.name)}", "dataCategory: WebUrl" if measure.is_link else ""]
        about = self.words.measure_description(measure.name, measure.metric, "en")
        shown = [line for line in properties if line]
        return tmdl.expression(f"measure {tmdl.name(measure.name)}", measure.dax, shown, description=about)

    def _column(self, table: Table, column: Column) -> str:
        place = f"{table.name}.{column.source}"
        form = _OWN_FORMATS.get(place) or _FORMATS.get(column.kind)
        properties = [
            f"dataType: {_TYPES[column.kind]}",
            "isHidden" if not column.name else "",
            "isAvailableInMdx: false" if not column.name else "",
            "isKey" if table.key == column.source and not table.direct else "",
            f"formatString: {form}" if form else "",
            f"lineageTag: {tmdl.lineage('column', place)}",
            f"dataCategory: {_CATEGORIES[place]}" if place in _CATEGORIES else "",
            "summarizeBy: none",
            f"sourceColumn: {column.source}",
            tmdl.annotation("SummarizationSetBy", "User"),
        ]
        about = self.words.column_description(table, column, "en") if column.name else ""
        return tmdl.block(f"column {tmdl.name(column.shown)}", properties, description=about)

    def _partition(self, table: Table) -> str:
        is_direct = table.direct and self.direct
        query = power_query.direct_query(table) if is_direct else power_query.query(table)
        mode = f"mode: {'directQuery' if is_direct else 'import'}"
        return tmdl.block(f"partition {tmdl.name(table.name)} = m", [mode, f"source =\n{tmdl.deeper(tmdl.deeper(query))}"])

    def _culture(self, language: str, found: Sequence[Measure]) -> str:
        tables = [self._translated(table, [one for one in found if one.table == table.name], language) for table in TABLES]
        translations = tmdl.block("translations", [tmdl.block("model Model", tables)])
        return f"cultureInfo {CULTURES[language]}\n\n{tmdl.deeper(translations)}"

    def _translated(self, table: Table, own: Sequence[Measure], language: str) -> str:
        words = self.words
        parts = [f"caption: {words.table_caption(table, language)}"]
        parts += [f"description: {words.table_description(table, language)}"]
        for column in table.columns:
            if column.name:
                said = [f"caption: {words.column_caption(table, column, language)}"]
                said += [f"description: {words.column_description(table, column, language)}"]
                parts.append(tmdl.block(f"column {tmdl.name(column.shown)}", said))
        for measure in own:
            said = [f"caption: {words.measure_caption(measure.name, measure.metric, language)}"]
            said += [f"description: {words.measure_description(measure.name, measure.metric, language)}"]
            parts.append(tmdl.block(f"measure {tmdl.name(measure.name)}", said))
        return tmdl.block(f"table {tmdl.name(table.name)}", parts)


def _relationships() -> str:
    named = {table.name: table for table in TABLES}
    parts = []
    for one in RELATIONSHIPS:
        many, one_side = named[one.table].column(one.column).shown, named[one.to_table].column(one.to_column).shown
        tag = tmdl.lineage("relationship", one.table, one.column, one.to_table)
        properties = [
            f"fromColumn: {tmdl.name(one.table)}.{tmdl.name(many)}",
            f"toColumn: {tmdl.name(one.to_table)}.{tmdl.name(one_side)}",
        ]
        parts.append(tmdl.block(f"relationship {tag}", properties))
    return tmdl.paragraphs(parts)


def role_name(country: str) -> str:
    """The role of those who see one country; who sees two is put into both."""
    return f"Country {country}"


def role(country: str) -> str:
    """A role that sees the customers of one country.

    Each table that tells customers apart has a condition of its own, so that none depends on how filters pass between an imported
    table and one that is asked where it lies. The facts follow Segments, of which the role sees one row.
    """
    conditions = {
        "Countries": f'Countries[Country code] = "{country}"',
        "Customers": f'Customers[Customer country] = "{country}"',
        "Segments": f'Segments[Segment] = "country" && Segments[Segment value] = "{country}"',
    }
    parts = [f"\ntablePermission {table} = {condition}" for table, condition in conditions.items()]
    about = f"Sees the customers whose country is {country}."
    return tmdl.paragraphs(
        [tmdl.block(f"role {tmdl.name(role_name(country))}", ["modelPermission: read", *parts], description=about)]
    )
