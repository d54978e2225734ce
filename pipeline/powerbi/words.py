"""The words of the project: the registry's, the models', the app's, and beside them those of texts.yml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import app_texts, metrics
from pipeline.metrics import Metric
from pipeline.powerbi.shapes import Column, Table
from pipeline.powerbi.star import SEGMENTS

_TEXTS = Path(__file__).with_name("texts.yml")
CULTURES = {"en": "en-US", "fr": "fr-FR"}


@dataclass(frozen=True)
class Words:
    """Where the words are: the dbt project, and the folder of the app with its catalogues."""

    dbt_project: Path
    app: Path

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """The models of the dbt project as its yml files declare them, by name."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted((self.dbt_project / "models").rglob("*__models.yml")):
            for model in app_texts.read_yaml(path)["models"]:
                found[model["name"]] = model
        return found

    @cached_property
    def registry(self) -> dict[str, Metric]:
        """Every metric that the models declare, as a published version has them."""
        nodes = {
            name: {
                "name": name,
                "config": model.get("config", {}),
                "columns": {column["name"]: column for column in model.get("columns", [])},
            }
            for name, model in self.models.items()
        }
        return metrics.from_manifest({"nodes": nodes})

    @cached_property
    def texts(self) -> dict[str, dict[str, Any]]:
        """The content of texts.yml."""
        content: dict[str, dict[str, Any]] = app_texts.read_yaml(_TEXTS)
        return content

    def of_the_app(self, area: str, name: str, language: str) -> str:
        """A text of the app's catalogues; raises KeyError where there is none of that name."""
        found = app_texts.text(self.app, area, name, language)
        if found is None:
            raise KeyError(f"{area}.{name}")
        return found

    def report(self, name: str, language: str) -> str:
        """A title of the report that the app does not have."""
        return str(self.texts["report"][name][language])

    def table_caption(self, table: Table, language: str) -> str:
        """What a table is called."""
        return str(self.texts["tables"][table.name][language][0])

    def table_description(self, table: Table, language: str) -> str:
        """What a table holds."""
        return str(self.texts["tables"][table.name][language][1])

    def column_caption(self, table: Table, column: Column, language: str) -> str:
        """What a column that readers see is called; the dimensions as the app calls them."""
        if language == "en":
            return column.name
        own = self._column(table, column).get(language)
        dimension = column.source.removeprefix("transaction_")
        if own is None and (dimension in SEGMENTS or dimension != column.source):
            return self.of_the_app("common", f"dimensions.{dimension}", language)
        if own is None:
            raise KeyError(f"texts.yml has no caption of {table.name}.{column.source} in {language}")
        return str(own)

    def column_description(self, table: Table, column: Column, language: str) -> str:
        """What a column that readers see means; English from the model's documentation, where that has it."""
        own = self._column(table, column).get("about", {}).get(language)
        if own is not None:
            return str(own)
        documented = {one["name"]: one for one in self.models[table.mart].get("columns", [])}
        if language != "en" or column.source not in documented:
            raise KeyError(f"texts.yml does not say what {table.name}.{column.source} means in {language}")
        return " ".join(str(documented[column.source]["description"]).split())

    def _column(self, table: Table, column: Column) -> dict[str, Any]:
        found: dict[str, Any] = self.texts["columns"].get(f"{table.name}.{column.source}", {})
        return found

    def measure_caption(self, name: str, metric: str, language: str) -> str:
        """What a measure is called: by the registry where it is a metric's."""
        if metric:
            return self.registry[metric].label[language]
        return name if language == "en" else str(self.texts["measures"][name][language][0])

    def measure_description(self, name: str, metric: str, language: str) -> str:
        """What a measure means, likewise."""
        if metric:
            return self.registry[metric].definition[language]
        own = self.texts["measures"][name][language]
        return str(own if language == "en" else own[1])
