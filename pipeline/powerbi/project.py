"""The whole project: every file of the PBIP by its path; written into a folder, or compared with what is there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigurationError
from pipeline.powerbi import power_query, theme
from pipeline.powerbi.model import Model
from pipeline.powerbi.report import Report
from pipeline.powerbi.tmdl import lineage
from pipeline.powerbi.words import Words
from pipeline.settings import PROJECT

# The European Economic Area, Switzerland and the United Kingdom: where such a bank has its customers.
COUNTRIES = (
    *("AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU"),
    *("IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
)
_COUNTRY = re.compile(r"[A-Z]{2}|unknown")
_ITEMS = "https://developer.microsoft.com/json-schemas/fabric"
_IGNORED = "# what Power BI Desktop keeps for itself: its cache of the rows, and how its windows stand\n.pbi/\n"
_KEPT_BY_DESKTOP = (  # its cache, where it draws the tables, and the themes that it adds to the report
    re.compile(r"[^/]+/\.pbi/.+"),
    re.compile(r"neopulse\.SemanticModel/diagramLayout\.json"),
    re.compile(r"neopulse\.Report/StaticResources/SharedResources/.+"),
)
_OURS = ("neopulse.SemanticModel", "neopulse.Report")


@dataclass(frozen=True)
class Options:
    """What may differ between two banks: where rows come from, where the app is, the countries with a role, the language.

    A `folder` makes Parquet files the source; the list of customers is then imported, for files cannot be asked.
    """

    folder: str = ""
    project: str = ""
    dataset: str = "neopulse"
    app: str = "http://localhost:8501"
    countries: tuple[str, ...] = COUNTRIES
    language: str = "en"


def home(checkout: Path = PROJECT) -> Path:
    """Where the project lies in a checkout; raises ConfigurationError where the program was installed without one."""
    if not (checkout / "pyproject.toml").is_file():
        raise ConfigurationError(
            "No checkout of neopulse is here, so the project has no place of its own",
            where="DIR",
            safe="nothing was written",
            next="neopulse powerbi generate DIR",
        )
    return checkout / "integrations" / "powerbi"


def project(options: Options) -> dict[str, str]:
    """Every file by its path with slashes; the same options give the same text, wherever and whenever.

    Raises ConfigurationError where a country is no country.
    """
    _refuse_no_country(options.countries)
    words = Words(PROJECT / "dbt_project", PROJECT / "streamlit_app")
    colours = theme.palette(PROJECT / "streamlit_app" / ".streamlit" / "config.toml")
    parameters = power_query.parameters(
        folder=options.folder, project=options.project, dataset=options.dataset, app=options.app.rstrip("/")
    )
    model = Model(words, parameters, direct=not options.folder, countries=tuple(sorted(set(options.countries))))
    report = Report(words, colours, options.language)
    content = _shell()
    content |= {f"neopulse.SemanticModel/definition/{path}": text for path, text in model.files().items()}
    content |= {f"neopulse.Report/definition/{path}": _json(part) for path, part in report.files().items()}
    content[f"neopulse.Report/StaticResources/RegisteredResources/{theme.NAME}"] = _json(theme.theme(colours))
    return content


def write(folder: Path, content: dict[str, str]) -> None:
    """Write the files into a folder, and remove what an earlier generation left there."""
    files.make_folder(folder, named_by="DIR")
    with files.asked_for(folder):
        for path, text in content.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(target, text)
        for path in _left_over(folder, content):
            (folder / path).unlink()
        for name in _OURS:
            _remove_empty(folder / name)


def drift(folder: Path, content: dict[str, str]) -> list[str]:
    """What of a folder differs from the files: each path with what is wrong; nothing where it is as generated."""
    wrong = [f"{path} is missing" for path in content if not (folder / path).is_file()]
    wrong += [f"{path} is not generated" for path in _left_over(folder, content)]
    there = [path for path in content if (folder / path).is_file()]
    return wrong + [f"{path} differs" for path in there if (folder / path).read_text(encoding="utf-8") != content[path]]


def _left_over(folder: Path, content: dict[str, str]) -> list[str]:
    """Files of the project that are not among the generated ones; what Desktop keeps is its own."""
    found = [path for name in _OURS for path in sorted((folder / name).rglob("*")) if path.is_file()]
    paths = [path.relative_to(folder).as_posix() for path in found]
    return [path for path in paths if path not in content and not any(kept.fullmatch(path) for kept in _KEPT_BY_DESKTOP)]


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)


def _shell() -> dict[str, str]:
    """The files around model and report."""
    shortcut = {
        "$schema": f"{_ITEMS}/pbip/pbipProperties/1.0.0/schema.json",
        "version": "1.0",
        "artifacts": [{"report": {"path": "neopulse.Report"}}],
        "settings": {"enableAutoRecovery": True},
    }
    model = {"$schema": f"{_ITEMS}/item/semanticModel/definitionProperties/1.0.0/schema.json", "version": "4.2", "settings": {}}
    report = {
        "$schema": f"{_ITEMS}/item/report/definitionProperties/2.0.0/schema.json",
        "version": "4.0",
        "datasetReference": {"byPath": {"path": "../neopulse.SemanticModel"}},
    }
    return {
        "neopulse.pbip": _json(shortcut),
        **{f"{name}/.gitignore": _IGNORED for name in _OURS},
        "neopulse.SemanticModel/definition.pbism": _json(model),
        "neopulse.SemanticModel/.platform": _platform("SemanticModel"),
        "neopulse.Report/definition.pbir": _json(report),
        "neopulse.Report/.platform": _platform("Report"),
    }


def _platform(kind: str) -> str:
    return _json(
        {
            "$schema": f"{_ITEMS}/gitIntegration/platformProperties/2.0.0/schema.json",
            "metadata": {"type": kind, "displayName": "neopulse"},
            "config": {"version": "2.0", "logicalId": lineage("item", kind)},
        }
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _refuse_no_country(countries: Sequence[str]) -> None:
    wrong = [country for country in countries if not _COUNTRY.fullmatch(country)]
    if wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)}: not the code of a country", where="--country", next="give codes such as FR"
        )
