"""The five steps of a run, and the arm that each one calls.

The arms are imported when their step begins: a command that runs nothing does not wait for what it would need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigurationError, NeopulseError

if TYPE_CHECKING:
    from pipeline.context import StepContext, StepResult
    from pipeline.notify.event import Event
    from pipeline.notify.outbox import Delivered
    from pipeline.settings import Settings
    from pipeline.sources.landing import Landing
    from pipeline.warehouse.publication import Version

STEPS = ("extract", "transform", "sheet", "activate", "notify")
ON_A_VERSION = STEPS[1:]  # these make or read a published version


def run_step(name: str, context: StepContext) -> StepResult:
    """Do one step; what it raises says how to recover."""
    return _ARMS[name](context)


def planned_act(name: str, settings: Settings) -> str:
    """What a step would read and write, in one line."""
    home = settings.home
    acts: dict[str, Callable[[], str]] = {
        "extract": lambda: f"{_extract_in_words(settings)} and land the shipped country facts in {home / 'landing'}",
        "transform": lambda: f"build and test a candidate with {settings.warehouse}, publish it in {_published_in(settings)}",
        "sheet": lambda: f"write the workbook {_workbook(settings)}",
        "activate": lambda: _activate_in_words(settings),
        "notify": lambda: f"put a mail to {', '.join(settings.mail_to)} into {home / 'outbox'}",
    }
    return acts[name]()


def planned_cost(settings: Settings) -> str:
    """What a full refresh would scan and cost, in one line; nothing where it costs nothing."""
    from pipeline.transform import DBT_PROJECT
    from pipeline.warehouse import choice

    return choice.warehouse(settings, project=DBT_PROJECT).estimate() if settings.warehouse != "duckdb" else ""


def demo_bank_is_there(settings: Settings) -> bool:
    """Whether the demo bank was generated, whole, in the size and with the seed of the settings."""
    from pipeline.sources.demo import FORMAT, MANIFEST

    try:
        made = json.loads((_demo_folder(settings) / MANIFEST).read_text(encoding="utf-8"))
        return bool(
            (made["format"], made["transactions"], made["seed"]) == (FORMAT, settings.demo_transactions, settings.demo_seed)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _extract(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.extract.countries import land_country_facts

    landing_folder = context.settings.home / "landing"
    facts = land_country_facts(landing_folder)
    landing = _landed(context, landing_folder)
    tables = {name: table.rows for name, table in landing.tables.items()}
    countries = {"service": facts.service, "rows": facts.rows, "as_of": facts.as_of}
    return StepResult(landing.source, landing.rows, landing.rows, {"tables": tables, "country_facts": countries})


def _landed(context: StepContext, landing_folder: Path) -> Landing:
    """The bank's tables, landed, or looked at where they are."""
    settings = context.settings
    if settings.warehouse == "bigquery":
        from pipeline import bigquery
        from pipeline.sources.bigquery import look

        return look(bigquery.connect(settings, run_id=context.run.id), settings, landing_folder, clock=context.clock)
    from pipeline.sources.files import land

    folder = settings.raw if settings.raw is not None else _demo_bank(context)
    return land(folder, landing_folder, source=settings.source_name, clock=context.clock, progress=context.progress)


def _demo_bank(context: StepContext) -> Path:
    """The folder of the demo bank, generated where it is not there in the size and with the seed of the settings."""
    from pipeline.sources.demo import generate

    settings, folder = context.settings, _demo_folder(context.settings)

    def progress(done: int, total: int) -> None:
        context.progress(done / max(total, 1), f"generating the demo bank: {done:,} of {total:,} transactions")

    if not demo_bank_is_there(settings):
        generate(folder, transactions=settings.demo_transactions, seed=settings.demo_seed, progress=progress)
    return folder


def _transform(context: StepContext) -> StepResult:
    from pipeline.transform import transform

    return transform(context)


def _sheet(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.marts import reader
    from pipeline.sheets.layout import tabs
    from pipeline.sheets.workbook import WorkbookSheet

    version = _current(context)
    context.progress(None, "reading the marts")
    content = tabs(reader(version), language=context.settings.language)
    written = WorkbookSheet(_workbook(context.settings), guard=context.guard).write(content, at=version.published_at)
    rows = sum(len(tab.rows) for tab in content)
    return StepResult(written.service, rows, written.rows, {"location": written.location, "tabs": written.tabs})


def _activate(context: StepContext) -> StepResult:
    from pipeline import activation
    from pipeline.context import StepResult

    arms = activation.Activation(
        settings=context.settings,
        store=context.store,
        clock=context.clock,
        version=_current(context),
        run_id=context.run.id,
        first_run_id=_first_run(context),
        look=lambda: _look(context),
        guard=context.guard,
        progress=context.progress,
    )
    context.progress(None, "comparing with what the destination has")
    results = arms.arm().run()
    detail = {"location": activation.location(context.settings), "syncs": [result.to_json() for result in results]}
    return StepResult(arms.service, sum(result.rows_in for result in results), sum(result.rows_out for result in results), detail)


def _look(context: StepContext) -> None:
    """Raise InterruptedRunError once the run is to end; asks nobody as long as it is not."""
    if context.cancelled():
        context.guard()


def _first_run(context: StepContext) -> int:
    """The run that this one resumes, and that one, back to the first."""
    run = context.run
    while run.resumes is not None:
        run = context.store.run(run.resumes)
    return run.id


def _notify(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.marts import reader
    from pipeline.notify.event import SyncCounts, success

    version, told = _current(context), _told_by_steps(context)
    event = success(
        version,
        reader(version).headline(),
        run_id=context.run.id,
        sheet=told.get("sheet", {}).get("location", ""),
        syncs=tuple(SyncCounts.of(counts) for counts in told.get("activate", {}).get("syncs", ())),
        links=_links(context.settings),
    )
    delivered = _deliver(context, event)
    detail = {"location": delivered.location, "recipients": delivered.recipients, "sent_before": not delivered.is_new}
    return StepResult(delivered.service, 1, int(delivered.is_new), detail)


def _told_by_steps(context: StepContext) -> dict[str, Mapping[str, Any]]:
    """The details of the steps that were done for this run, in it or in the runs that it resumes."""
    run = context.store.run(context.run.id)
    told = {step.name: step.detail for step in run.steps if step.detail}
    while run.resumes is not None:
        run = context.store.run(run.resumes)
        told = {step.name: step.detail for step in run.steps if step.detail} | told
    return told


def _deliver(context: StepContext, event: Event) -> Delivered:
    from pipeline.notify.outbox import Outbox

    settings = context.settings
    outbox = Outbox(settings.home / "outbox", context.store, guard=context.guard)
    return outbox.deliver(event, sender=settings.mail_from, recipients=settings.mail_to, language=settings.language)


def _links(settings: Settings) -> dict[str, str]:
    return {"app": f"http://localhost:{settings.port}"}


def _current(context: StepContext) -> Version:
    version = context.publications.current()
    if version is None:
        raise ConfigurationError(
            "Nothing has been published yet, so there is nothing to send",
            where=str(context.publications.folder),
            safe="Nothing was sent",
            next="neopulse run",
        )
    return version


def _extract_in_words(settings: Settings) -> str:
    if settings.warehouse == "bigquery":
        return f"look at the bank's tables in {settings.bigquery_source}"
    return f"land the bank's tables in {settings.raw}" if settings.raw else f"land {_demo_bank_in_words(settings)}"


def _activate_in_words(settings: Settings) -> str:
    from pipeline.activation import in_words

    return in_words(settings)


def _published_in(settings: Settings) -> str:
    home = str(settings.home / "versions")
    if settings.warehouse != "bigquery":
        return home
    return f"{home} and in the datasets {settings.bigquery_prefix}_v.... of {settings.bigquery_project}"


def _demo_bank_in_words(settings: Settings) -> str:
    size = f"{settings.demo_transactions:,} transactions, seed {settings.demo_seed}"
    return f"the demo bank ({size}, in {_demo_folder(settings)})"


def _demo_folder(settings: Settings) -> Path:
    return settings.home / "demo"


def _workbook(settings: Settings) -> Path:
    return settings.home / "sheet" / "neopulse.xlsx"


def announce_failure(context: StepContext, step: str, error: NeopulseError) -> None:
    """Tell the recipients that a run failed at that step."""
    from pipeline.notify.event import failure

    source, version = context.settings.source_name, context.publications.current()
    links = _links(context.settings)
    event = failure(step, error, run_id=context.run.id, at=context.clock.now(), source=source, version=version, links=links)
    _deliver(context, event)


_ARMS: Mapping[str, Callable[[StepContext], StepResult]] = {
    "extract": _extract,
    "transform": _transform,
    "sheet": _sheet,
    "activate": _activate,
    "notify": _notify,
}
