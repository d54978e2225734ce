"""`neopulse export` and `neopulse powerbi`: what other tools read, and the Power BI project that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import ConfigurationError
from pipeline.stop import EndInOrder

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from pipeline.settings import Settings
    from pipeline.warehouse.publication import Version

    Read = TypeVar("Read")

STAR = "powerbi"
RUNS_TOLD = 1000


@click.command()
@click.argument("name", required=False)
@click.argument("target", type=click.Path(path_type=Path), required=False)
def export(name: str | None, target: Path | None) -> None:
    """Write published rows into files for other tools.

    `neopulse export` lists what there is; `neopulse export mart_customers FILE.parquet` (or .csv) writes one of them;
    `neopulse export powerbi DIR` writes the tables that the Power BI project reads, as Parquet. Every export is noted down in
    the audit log; where that cannot be, there is no file. Nothing is withheld: whoever may type this sees every customer.
    """
    if name is None:
        _list()
        return
    if target is None:
        raise click.UsageError(f"where to? neopulse export {name} " + ("DIR" if name == STAR else f"{name}.parquet"))
    with EndInOrder():
        if name == STAR:
            _export_star(target)
        else:
            _export_relation(name, target)


def _list() -> None:
    from pipeline import cli
    from pipeline.answers import columns
    from pipeline.exports.relations import names

    found = _read(cli._settings(), names)
    rows = [{"name": STAR, "rows": "", "what": "a folder: the tables of the Power BI project"}]
    rows += [{"name": name, "rows": f"{count:,}", "what": ".parquet or .csv"} for name, count in found.items()]
    click.echo("\n".join(columns(rows)))


def _export_relation(name: str, target: Path) -> None:
    from pipeline import cli
    from pipeline.clock import SystemClock
    from pipeline.exports.relations import export_relation

    settings = cli._settings()
    store = cli._run_store(settings)

    def write(version: Version) -> tuple[str, int]:
        def note(rows: int) -> None:
            after = {"form": target.suffix.lower().lstrip("."), "rows": rows, "version": version.name, "file": str(target)}
            store.audit(cli._user(), "export", name, after=after)

        return version.name, export_relation(version, name, target, note=note, clock=SystemClock())

    version, rows = _read(settings, write)
    click.echo(f"{target}: {rows:,} rows of {name}, version {version}")


def _export_star(folder: Path) -> None:
    from pipeline import cli
    from pipeline.clock import SystemClock
    from pipeline.exports.star import export_star

    settings = cli._settings()
    store = cli._run_store(settings)
    runs = store.runs(RUNS_TOLD)

    def write(version: Version) -> dict[str, Any]:
        def note(rows: int) -> None:
            after = {"form": "parquet", "rows": rows, "version": version.name, "folder": str(folder.absolute())}
            store.audit(cli._user(), "export", STAR, after=after)

        return export_star(version, folder, runs=runs, note=note, clock=SystemClock())

    manifest = _read(settings, write)
    rows = sum(table["rows"] for table in manifest["tables"].values())
    click.echo(f"{folder / manifest['folder']}: {rows:,} rows, version {manifest['version']}, as of {manifest['as_of']}")


def _read(settings: Settings, reading: Callable[[Version], Read]) -> Read:
    from pipeline import cli

    found = cli._publications(settings).read_current(reading)
    if found is None:
        raise ConfigurationError(
            "Nothing has been published yet", where=str(settings.home), next="neopulse demo, or neopulse run"
        )
    return found


@click.group()
def powerbi() -> None:
    """The Power BI project: a semantic model (TMDL) and a report (PBIR) in one folder (docs/power-bi.md)."""


@powerbi.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--check", is_flag=True, help="Write nothing; end with 1 where the files differ from what would be written.")
@click.option(
    "--export-folder", metavar="PATH", default="", help="Read the Parquet files there, as Power BI sees them; not BigQuery."
)
@click.option("--project", metavar="ID", default="", help="Google Cloud project that pays and holds the datasets.")
@click.option("--dataset", metavar="NAME", default="neopulse", show_default=True, help="Dataset of the stable views.")
@click.option("--app", "address", metavar="URL", default="http://localhost:8501", show_default=True, help="Where links lead.")
@click.option(
    "--country", "countries", multiple=True, metavar="CODE", help="A role for this country; again for more.  [EEA, CH, GB]"
)
@click.option("--language", type=click.Choice(("en", "fr")), default="en", show_default=True, help="Of the report's titles.")
def generate(
    folder: Path | None,
    check: bool,
    export_folder: str,
    project: str,
    dataset: str,
    address: str,
    countries: tuple[str, ...],
    language: str,
) -> None:
    """Write the project into DIR, from the registry and the words and colours of the app.

    In a checkout DIR is integrations/powerbi unless named; elsewhere it has to be named.
    Never edit what it writes: the next time replaces it. What Power BI Desktop keeps for itself stays: .pbi, diagramLayout.json
    and StaticResources/SharedResources.
    """
    from pipeline.powerbi import project as projects

    options = projects.Options(export_folder, project, dataset, address, countries or projects.COUNTRIES, language)
    target = folder or projects.home()
    content = projects.project(options)
    if not check:
        projects.write(target, content)
        click.echo(f"{target}: {len(content)} files; open {target / 'neopulse.pbip'} in Power BI Desktop")
        return
    wrong = projects.drift(target, content)
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        click.echo("next: neopulse powerbi generate, with the options that it was written with", err=True)
        raise SystemExit(1)
    click.echo(f"{target}: all {len(content)} files are as they would be written")
