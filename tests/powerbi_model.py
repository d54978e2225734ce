"""The committed semantic model over an exported star, as the evaluator of DAX takes it: from the files alone."""

from __future__ import annotations

from pathlib import Path

import dax
import pyarrow.parquet as pq
import tmdl_text
from tmdl_text import Object

PROJECT = Path(__file__).resolve().parents[1]
POWERBI = PROJECT / "integrations" / "powerbi"
DEFINITION = POWERBI / "neopulse.SemanticModel" / "definition"


def committed() -> Object:
    """Every object of the committed model."""
    return tmdl_text.read(DEFINITION)


def relationships(root: Object) -> tuple[tuple[dax.Column, dax.Column], ...]:
    """Many and one of each relationship, as (table, column)."""
    return tuple(
        (_place(one.properties["fromColumn"]), _place(one.properties["toColumn"])) for one in root.of("relationship").values()
    )


def _place(text: str) -> dax.Column:
    table, _, column = text.partition(".")
    return table.strip("'"), column.strip("'")


def measures(root: Object) -> dict[str, Object]:
    """Every measure of every table by name; raises AssertionError where two share one."""
    found = [(name, measure) for table in root.of("table").values() for name, measure in table.of("measure").items()]
    assert len(dict(found)) == len(found)
    return dict(found)


def over(star: Path, *, culture: str = "en-US", address: str = "http://localhost:8501") -> dax.Model:
    """The model over the files of one export."""
    root = committed()
    tables = {}
    for name, table in root.of("table").items():
        rows = pq.read_table(star / f"{name.lower()}.parquet")
        if name == "Publication":
            rows = rows.append_column("app_address", [[address] * rows.num_rows])
        sources = {one.properties["sourceColumn"]: column for column, one in table.of("column").items()}
        tables[name] = dax.columns_of(rows, sources)
    texts = {name: measure.expression for name, measure in measures(root).items()}
    return dax.Model(tables, texts, relationships(root), culture)


def role(name: str) -> dax.Role:
    """A role of the committed model."""
    found = committed().of("role")[name]
    return dax.Role({table: one.expression for table, one in found.of("tablePermission").items()})
