"""Where the rows come from, in Power Query M: parameters, three ways to read, and one query a table.

`DataSource` chooses between BigQuery and a folder that `neopulse export powerbi` writes. With BigQuery each table is the
select of the star itself, sent as it stands; in the folder it is the file that the same select made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.powerbi.shapes import Column, Kind, Table
from pipeline.powerbi.star import RUNS

BIGQUERY, FOLDER = "BigQuery", "Folder"
_TYPES: dict[Kind, str] = {
    "text": "type text",
    "whole": "Int64.Type",
    "decimal": "type number",
    "date": "type date",
    "yes_no": "type logical",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of the project and the value that it starts with."""

    name: str
    value: str
    about: str
    choices: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The parameter in M."""
        listed = (
            f", List={{{', '.join(map(quoted, self.choices))}}}, DefaultValue={quoted(self.choices[0])}" if self.choices else ""
        )
        required = str(bool(self.value)).lower()
        return f'{quoted(self.value)} meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired={required}{listed}]'


def parameters(*, folder: str, project: str, dataset: str, app: str) -> tuple[Parameter, ...]:
    """The parameters; where a folder is named it is the source."""
    source = FOLDER if folder else BIGQUERY
    return (
        Parameter("DataSource", source, "BigQuery, or Folder for Parquet files by neopulse export powerbi.", (BIGQUERY, FOLDER)),
        Parameter("BillingProject", project, "The Google Cloud project that pays for the queries and holds neopulse's datasets."),
        Parameter("Dataset", dataset, "The dataset of the stable views: NEOPULSE_BIGQUERY_PREFIX."),
        Parameter("ExportFolder", folder, "The folder that neopulse export powerbi writes, without a slash at its end."),
        Parameter("AppAddress", app, "Where the app is, without a slash at its end; links lead there."),
    )


FUNCTIONS = {
    "PublishedQuery": (
        "What BigQuery answers to a select over the published marts.",
        """(sql as text) as table =>
    Value.NativeQuery(
        GoogleBigQuery.Database([BillingProject = BillingProject]){[Name = BillingProject]}[Data],
        Text.Replace(sql, "{published}", "`" & BillingProject & "`.`" & Dataset & "`"),
        null,
        [EnableFolding = true]
    )""",
    ),
    "PublishedFile": (
        "A table of the newest whole export: the manifest says which folder that is.",
        """(name as text) as table =>
    let
        Files = Folder.Files(ExportFolder),
        Manifest = Json.Document(Table.SelectRows(Files, each [Name] = "manifest.json"){0}[Content]),
        Newest = Table.SelectRows(Files, each [Name] = name & ".parquet" and Text.Contains([Folder Path], Manifest[folder]))
    in
        Parquet.Document(Newest{0}[Content])""",
    ),
}


def query(table: Table) -> str:
    """The query of an imported table, from either source."""
    if table is RUNS:
        rows = f'if ExportFolder = "" then {_empty(table)} else PublishedFile("{table.file}")'
    else:
        rows = f'if DataSource = "{FOLDER}" then PublishedFile("{table.file}") else PublishedQuery({quoted(table.sql)})'
    steps = [("Rows", rows), ("Typed", f"Table.TransformColumnTypes(Rows, {{{_typed(table.columns)}}})")]
    for column in table.added:
        steps.append(("WithAddress", f'Table.AddColumn(Typed, "{column.source}", each AppAddress, {_TYPES[column.kind]})'))
    return _let(steps)


def direct_query(table: Table) -> str:
    """The query of a table that is asked where it lies: steps that Power BI turns into SQL, nothing else."""
    columns = ", ".join(quoted(column.source) for column in table.columns)
    dataset = '[Data]{[Name = Dataset, Kind = "Schema"]}[Data]'
    return _let(
        [
            ("Published", f"GoogleBigQuery.Database([BillingProject = BillingProject]){{[Name = BillingProject]}}{dataset}"),
            ("Mart", f'Published{{[Name = "{table.mart}", Kind = "View"]}}[Data]'),
            ("Rows", f"Table.SelectColumns(Mart, {{{columns}}})"),
        ]
    )


def quoted(text: str) -> str:
    """A text in M."""
    return '"' + text.replace('"', '""') + '"'


def _typed(columns: Sequence[Column]) -> str:
    return ", ".join(f"{{{quoted(column.source)}, {_TYPES[column.kind]}}}" for column in columns)


def _empty(table: Table) -> str:
    fields = ", ".join(f"{column.source} = {_TYPES[column.kind].removeprefix('type ')}" for column in table.columns)
    return f"#table(type table [{fields}], {{}})"


def _let(steps: Sequence[tuple[str, str]]) -> str:
    body = ",\n".join(f"    {name} = {step}" for name, step in steps)
    return f"let\n{body}\nin\n    {steps[-1][0]}"
