"""The five steps of a run, and the arm that each one calls.

The arms are imported when their step begins: a command that runs nothing does not wait for what it would need.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import telling
from pipeline.errors import ConfigurationError, HeldError, InterruptedRunError, NeopulseError

if TYPE_CHECKING:
    from pipeline.context import StepContext, StepResult
    from pipeline.notify.delivery import Delivered
    from pipeline.notify.event import Event, Rows
    from pipeline.runs.records import Step
    from pipeline.settings import Settings
    from pipeline.sheets.base import Sheet
    from pipeline.sources.landing import Landing
    from pipeline.warehouse.publication import Version

STEPS = ("extract", "transform", "sheet", "activate", "notify")
ON_A_VERSION = STEPS[1:]  # these make or read a published version

_log = logging.getLogger(__name__)


def run_step(name: str, context: StepContext) -> StepResult:
    """Do one step; what it raises says how to recover."""
    return _ARMS[name](context)


def planned_cost(settings: Settings) -> str:
    """What a full refresh would scan and cost, in one line; nothing where it costs nothing."""
    from pipeline.transform import DBT_PROJECT
    from pipeline.warehouse import choice

    return choice.warehouse(settings, project=DBT_PROJECT).estimate() if settings.warehouse != "duckdb" else ""


def demo_bank_is_there(settings: Settings) -> bool:
    """Whether the demo bank was generated, whole, in the size and with the seed of the settings."""
    from pipeline.sources.demo import FORMAT, MANIFEST

    try:
        made = json.loads((demo_folder(settings) / MANIFEST).read_text(encoding="utf-8"))
        return bool(
            (made["format"], made["transactions"], made["seed"]) == (FORMAT, settings.demo_transactions, settings.demo_seed)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _extract(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.extract.facts import land_facts

    landing_folder = context.settings.home / "landing"
    facts = land_facts(landing_folder, context.settings, clock=context.clock, look=context.guard)
    landing = _landed(context, landing_folder)
    tables = {name: table.rows for name, table in landing.tables.items()}
    return StepResult(landing.source, landing.rows, landing.rows, {"tables": tables, **facts})


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

    settings, folder = context.settings, demo_folder(context.settings)

    def progress(done: int, total: int) -> None:
        context.progress(done / max(total, 1), f"generating the demo bank: {done:,} of {total:,} transactions")

    if not demo_bank_is_there(settings):
        generate(folder, transactions=settings.demo_transactions, seed=settings.demo_seed, progress=progress)
    return folder


def _transform(context: StepContext) -> StepResult:
    from pipeline import approval
    from pipeline.transform import transform

    def tell_damage(damaged: NeopulseError) -> None:
        _announce_damage(context, damaged)

    result = transform(context, tell_damage=tell_damage) if context.run.approves is None else approval.publish(context)
    _look_at_rules(context)
    return result


def _announce_damage(context: StepContext, damaged: NeopulseError) -> None:
    """Tell the recipients in a message of its own, for whatever becomes of the run; what goes wrong with it costs no build."""
    from pipeline.notify.event import Notice

    run = context.run.id
    notice = Notice("damaged", f"run-{run}-damaged", {"run": run, "what": damaged.what, "where": damaged.where})
    now, version = context.clock.now(), context.publications.readable_current()
    try:
        delivered = _deliver(context, telling.notice_of(notice, now, context.settings, version, run_id=run))
    except InterruptedRunError:
        raise
    except Exception as error:
        _log.warning("The damage could not be told: %s", error, exc_info=error)
        return
    if delivered.waits is not None:
        _log.warning("The message of the damage waits, the worker will deliver it: %s", delivered.waits)


def _look_at_rules(context: StepContext) -> None:
    """What goes wrong with a rule never undoes a publication; the worker looks again."""
    try:
        telling.look_at_rules(_current(context), context.settings, context.store, context.clock, guard=context.guard)
    except InterruptedRunError:
        raise
    except Exception as error:
        _log.warning("The rules on figures could not be looked at: %s", error, exc_info=error)


def _sheet(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.marts import reader
    from pipeline.sheets import held
    from pipeline.sheets.layout import tabs

    version = _current(context)
    context.progress(None, "reading the marts")
    content = tabs(reader(version), language=context.settings.language)
    written = _sheet_of(context).write(content, at=version.published_at)
    rows = sum(len(tab.rows) for tab in content)
    holding = held.of_tabs(content, reader(version).registry).to_json()
    return StepResult(written.service, rows, written.rows, {"location": written.location, "tabs": written.tabs, "held": holding})


def _sheet_of(context: StepContext) -> Sheet:
    """What keeps the sheet, by the settings."""
    settings = context.settings
    if settings.google_sheets_id:
        from pipeline.sheets.google import GoogleSheet
        from pipeline.sheets.google_calls import connect
        from pipeline.sheets.google_changes import Snapshots

        calls = connect(settings, clock=context.clock, look=lambda: _look(context))
        snapshots = Snapshots(settings.home / "sheet" / "google.json", settings.google_sheets_id)
        return GoogleSheet(calls, snapshots, guard=context.guard, progress=context.progress)
    from pipeline.sheets.workbook import WorkbookSheet

    return WorkbookSheet(workbook(settings), guard=context.guard)


def _activate(context: StepContext) -> StepResult:
    from pipeline import activation
    from pipeline.context import StepResult

    arms = activation.Activation(
        settings=context.settings,
        store=context.store,
        clock=context.clock,
        version=_current(context),
        run_id=context.run.id,
        attempt=f"run-{_first_run(context)}",
        who=context.run.requested_by,
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
    """The run with which the work began that this one goes on with."""
    return context.store.chain(context.run)[-1].id


def _notify(context: StepContext) -> StepResult:
    from pipeline.context import StepResult
    from pipeline.marts import reader
    from pipeline.notify.event import SyncCounts, success

    version, done = _current(context), _steps_done(context)
    told = {name: step.detail for name, step in done.items()}
    reading = reader(version)
    tail = reading.thin_tail()
    event = success(
        version,
        reading.headline(),
        run_id=context.run.id,
        thin=tail and tail.to_json(),
        sheet=told.get("sheet", {}).get("location", ""),
        syncs=tuple(SyncCounts.of(counts) for counts in told.get("activate", {}).get("syncs", ())),
        rows=_rows(done, version),
        seconds=_seconds_so_far(context),
        links=telling.links(context.settings),
    )
    delivered = _deliver(context, event)
    detail = {"location": delivered.location, "recipients": delivered.recipients, "delivery": delivered.key}
    if delivered.waits is None:
        return StepResult(delivered.service, 1, int(delivered.is_new), {**detail, "sent_before": not delivered.is_new})
    _log.warning("The message waits, the worker will deliver it: %s", delivered.waits)
    return StepResult(delivered.service, 1, 0, {**detail, "waits_because": delivered.waits.what, "next": delivered.waits.next})


def _steps_done(context: StepContext) -> dict[str, Step]:
    """The steps that were done for this run and tell something, in it or in the runs that it resumes."""
    as_it_is = context.store.run(context.run.id)
    earliest_first = reversed(context.store.chain(as_it_is))
    return {step.name: step for run in earliest_first for step in run.steps if step.detail}


def _rows(done: Mapping[str, Step], version: Version) -> Rows:
    """Rows in, out and rejected, as far as this run had to do with them."""
    from pipeline.marts import reader
    from pipeline.notify.event import Rows

    read = done["extract"].rows_in if "extract" in done else None
    written = done["sheet"].rows_out if "sheet" in done else None
    if read is None:
        return Rows(None, None, written)
    problems = reader(version).data_quality().to_pylist()
    rejected = sum(problem["rows_affected"] for problem in problems if problem["disposition"] == "rejected")
    return Rows(read, rejected, written)


def _seconds_so_far(context: StepContext) -> float:
    return round((context.clock.now() - context.run.started_at).total_seconds(), 1)


def _deliver(context: StepContext, event: Event) -> Delivered:
    return telling.deliver(event, context.settings, context.store, context.clock, guard=context.guard)


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


def demo_folder(settings: Settings) -> Path:
    """Where the demo bank is generated."""
    return settings.home / "demo"


def workbook(settings: Settings) -> Path:
    """The file of the sheet where no spreadsheet of Google's is set."""
    return settings.home / "sheet" / "neopulse.xlsx"


def announce_failure(context: StepContext, step: str, error: NeopulseError) -> None:
    """Tell the recipients that a run failed at that step, or that its candidate waits for an admin and why."""
    from pipeline.notify.event import failure

    if isinstance(error, HeldError):
        _announce_held(context, error)
        return
    about: dict[str, Any] = {
        "run_id": context.run.id,
        "at": context.clock.now(),
        "source": context.settings.source_name,
        "version": context.publications.readable_current(),
        "seconds": _seconds_so_far(context),
        "links": telling.links(context.settings),
    }
    delivered = _deliver(context, failure(step, error, **about))
    if delivered.waits is not None:
        _log.warning("The message of the failure waits, the worker will deliver it: %s", delivered.waits)


def _announce_held(context: StepContext, error: HeldError) -> None:
    from pipeline.notify.event import Notice

    notice = Notice(
        "held", f"run-{context.run.id}-held", {"run": context.run.id, "replaced": ", ".join(error.replaced)}, error.reasons
    )
    event = telling.notice_of(
        notice, context.clock.now(), context.settings, context.publications.readable_current(), run_id=context.run.id
    )
    delivered = _deliver(context, event)
    if delivered.waits is not None:
        _log.warning("The message of the held candidate waits, the worker will deliver it: %s", delivered.waits)


_ARMS: Mapping[str, Callable[[StepContext], StepResult]] = {
    "extract": _extract,
    "transform": _transform,
    "sheet": _sheet,
    "activate": _activate,
    "notify": _notify,
}
