"""The metric registry: what every number means, read from the `meta` of the dbt models that make it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "fr")
UNITS = ("customers", "share", "ratio", "days", "transactions", "usd")


@dataclass(frozen=True)
class Metric:
    """One number the bank talks about.

    `label` and `definition` by language; `unit` one of UNITS (a share is a fraction of one); `model` and `column` say
    where it stands; `sql` is the compiled text of that model.
    """

    name: str
    label: Mapping[str, str]
    definition: Mapping[str, str]
    unit: str
    model: str
    column: str
    sql: str = ""


def from_manifest(manifest: Mapping[str, Any]) -> dict[str, Metric]:
    """Every metric that the models of a dbt manifest declare under `config.meta.metrics`, by name.

    Raises ValueError where a metric is declared twice or lacks a language or a unit: the project is then wrong.
    """
    metrics: dict[str, Metric] = {}
    for node in manifest["nodes"].values():
        for declared in node.get("config", {}).get("meta", {}).get("metrics", []):
            metric = Metric(
                name=declared["name"],
                label=_both(declared, "label"),
                definition=_both(declared, "definition"),
                unit=declared["unit"],
                model=node["name"],
                column=declared["column"],
                sql=node.get("compiled_code") or "",
            )
            _refuse_wrong(metric, metrics, node["columns"])
            metrics[metric.name] = metric
    return metrics


def write(metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    """The registry as JSON content."""
    return [dataclasses.asdict(metrics[name]) for name in sorted(metrics)]


def read(path: Path) -> dict[str, Metric]:
    """The registry of a published version, from its metrics.json."""
    known = {field.name for field in dataclasses.fields(Metric)}  # a newer neopulse may tell more
    return {
        told["name"]: Metric(**{name: value for name, value in told.items() if name in known})
        for told in json.loads(path.read_text(encoding="utf-8"))
    }


def _both(declared: Mapping[str, Any], key: str) -> Mapping[str, str]:
    texts: dict[str, str] = {language: " ".join(declared[key][language].split()) for language in LANGUAGES}
    return texts


def _refuse_wrong(metric: Metric, metrics: Mapping[str, Metric], columns: Mapping[str, Any]) -> None:
    if metric.name in metrics:
        raise ValueError(f"the metric {metric.name} is declared in {metrics[metric.name].model} and in {metric.model}")
    if metric.unit not in UNITS:
        raise ValueError(f"the metric {metric.name} has the unit {metric.unit}, not one of {', '.join(UNITS)}")
    if metric.column not in columns:
        raise ValueError(f"the metric {metric.name} names the column {metric.column}, which {metric.model} does not have")
