"""The second step: build a candidate from what was landed, test it, and publish it as a version, or hold it for a person."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipeline import approval, files, metrics
from pipeline.clock import bank_day, offset_bounds
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, DataError, HeldError, InterruptedRunError, NeopulseError, PermanentError
from pipeline.settings import PROJECT, Settings
from pipeline.sources.landing import UNTOUCHED, Landing, read_landing
from pipeline.warehouse import choice
from pipeline.warehouse.base import DamagedStateError, Increment, Warehouse
from pipeline.warehouse.dbt_build import Build, Event, NodeResult, build
from pipeline.warehouse.publication import Candidate, Facts, TestSummary, UntestedError, Version

DBT_PROJECT = PROJECT / "dbt_project"
EXTERNAL_TABLES = ("external_countries", "external_exchange_rates")
FACTS = "external_facts.json"  # what served the external tables, as the extract tells it
ROOM_TO_RECORD = 5_000_000  # bytes
_CALLS = re.compile(r"(\w+)\s*\((?:\s*'(\w+)'\s*,\s*'neopulse')?")  # a macro's name, and that of what `dispatch` calls
_BUILT = 0.9  # of the step's progress; copying and publishing are the rest
_BROKEN_RULES = {
    "unique": "values of {model}.{column} that occur more than once: {count}",
    "not_null": "rows of {model} without {column}: {count}",
    "never_null": "rows of {model} without something that each must have: {count}",
    "accepted_values": "values of {model}.{column} that are not among the accepted ones: {count}",
    "relationships": "rows of {model} whose {column} is unknown on the other side: {count}",
}

_log = logging.getLogger(__name__)


def transform(
    context: StepContext, *, project: Path = DBT_PROJECT, tell_damage: Callable[[DamagedStateError], None] = lambda _damaged: None
) -> StepResult:
    """Build, test and publish: when this returns, readers see the new version. A damaged state is set aside, told, and built
    anew, once.

    Raises DataError where a model or a test failed; the state then stays to be looked at, and the next run builds it anew.
    Raises HeldError where the candidate looks unusual: it then waits, whole, for an admin.
    """
    landing_folder = context.settings.home / "landing"
    landing = read_landing(landing_folder)
    landing.verify()
    external = external_tables(landing_folder)
    warehouse = choice.warehouse(context.settings, project=project, run_id=context.run.id, is_to_end=context.cancelled)
    variables = run_variables(context.settings, landing, now=context.clock.now())

    def prepare() -> Increment:
        return warehouse.prepare(landing, external=external, variables=variables, full_refresh=context.run.full_refresh)

    try:
        increment, built, version = _built_and_published(context, warehouse, prepare, variables, landing, project)
    except DamagedStateError as damaged:
        context.guard()
        warehouse.set_aside()
        _log.warning("%s. It has been set aside; everything is built anew from the landed files", damaged.what)
        tell_damage(damaged)
        increment, built, version = _built_and_published(context, warehouse, prepare, variables, landing, project)
        increment = dataclasses.replace(increment, reason=f"{damaged.what}. It has been set aside: look at the disk")
    told = {"full_refresh": increment.full_refresh} | ({"why_full": increment.reason} if increment.full_refresh else {})
    detail = _detail(version, built) | told
    return StepResult(warehouse.name, landing.rows, sum(version.rows.values()), detail)


def _built_and_published(
    context: StepContext,
    warehouse: Warehouse,
    prepare: Callable[[], Increment],
    variables: Mapping[str, Any],
    landing: Landing,
    project: Path,
) -> tuple[Increment, Build, Version]:
    folder = _fresh_folder(context)
    with _leaving_room(folder, warehouse, context):
        context.guard()  # what is prepared ends whatever another run has begun: it has to be an earlier one
        increment = prepare()
        _log.info("Builds %s", f"everything: {increment.reason}" if increment.full_refresh else "on the last run")
        try:
            built = build(
                project,
                folder,
                variables={**variables, **increment.variables},
                environment=warehouse.environment(),
                watch=_Watcher(context.progress),
                full_refresh=increment.full_refresh,
            )
        except BaseException:
            warehouse.abandon()
            raise
        if any(result.status == "error" for result in built.results):
            landing.verify()  # files that went or changed while they were read are the cause, and no model has to be mended
        _refuse_failures(built, warehouse, safe=context.publications.in_words())
        warehouse.seal()
        version = _publish(context, warehouse, built, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return increment, built, version


def external_tables(landing_folder: Path) -> dict[str, Path]:
    """The landed external facts by table name."""
    paths = {name: landing_folder / f"{name}.parquet" for name in EXTERNAL_TABLES}
    for name, path in paths.items():
        if not path.exists():
            raise DataError(f"{name} has not been landed", where=str(path), safe=UNTOUCHED, next="neopulse run")
    return paths


def _fresh_folder(context: StepContext) -> Path:
    """An empty folder for what dbt writes and for the version to be; those of earlier runs go."""
    candidates = context.settings.home.absolute() / "candidates"
    shutil.rmtree(candidates, ignore_errors=True)
    return files.make_folder(candidates / str(context.run.id))


@contextmanager
def _leaving_room(folder: Path, warehouse: Warehouse, context: StepContext) -> Iterator[None]:
    """Give the disk back when the build has filled it, so that the run store can record what happened."""
    try:
        yield
    except (InterruptedRunError, HeldError):
        raise
    except Exception as error:
        if shutil.disk_usage(folder).free >= ROOM_TO_RECORD:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        warehouse.discard()
        raise PermanentError(
            "The disk filled up while the candidate was built",
            where=str(context.settings.home),
            safe=f"{context.publications.in_words()}; the candidate has been removed",
            next="make room, then neopulse run --from transform",
        ) from error


def run_variables(settings: Settings, landing: Landing, *, now: datetime) -> dict[str, Any]:
    """What dbt_project.yml declares under `vars`, as it is in a run at that moment."""
    today = bank_day(now, settings.zone)
    return {
        "current_bank_day": today.isoformat(),
        "as_of": pinned_day(settings.as_of, today),
        "bank_timezone": settings.bank_timezone,
        "inactivity_days": settings.inactivity_days,
        "activity_states": list(settings.activity_states),
        "activity_excluded_types": list(settings.activity_excluded_types),
        "activity_minimum_amount": settings.activity_minimum_amount,
        "held_out_percent": settings.held_out_percent,
        "source_name": landing.source,
        "bank_offset_minutes": list(offset_bounds(settings.zone)),
    }


def pinned_day(day: date | None, today: date) -> str:
    """The pinned as_of, or nothing; a day that is not over cannot be one."""
    if day is not None and day >= today:
        raise ConfigurationError(
            f"{day} is not over yet, so it cannot be the last day that counts",
            where="NEOPULSE_AS_OF",
            safe=UNTOUCHED,
            next="set NEOPULSE_AS_OF to an earlier day or leave it empty, then neopulse run --from transform",
        )
    return "" if day is None else day.isoformat()


def refuse_a_day_before_the_data(publication: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where as_of lies before the first transaction: only a pin can, and nothing would be published."""
    as_of, first_day = publication["as_of"], publication.get("first_day")
    if first_day is not None and as_of < first_day:
        raise ConfigurationError(
            f"{as_of} lies before {first_day}, the first day with a transaction: there would be no figure",
            where="NEOPULSE_AS_OF",
            safe="Nothing was published",
            next=f"set NEOPULSE_AS_OF to {first_day} or a later day, or leave it empty, then neopulse run --from transform",
        )


class _Watcher:
    """Turns the events of a build into the step's progress and into lines of the run's log."""

    def __init__(self, progress: Callable[[float | None, str], None]) -> None:
        self._progress = progress
        self._begun = self._ended = 0
        self._fraction: float | None = None
        self._text = "dbt reads the project"

    def __call__(self, events: Sequence[Event]) -> None:
        for event in events:
            self._count(event)
            _tell(event)
        self._progress(self._fraction, self._text)  # with no event too: it raises when the run is to end

    def _count(self, event: Event) -> None:
        if event.ended:
            self._ended += 1
            self._fraction = _BUILT * self._ended / max(event.total, self._ended)
        elif event.node:
            self._begun += 1
            self._text = f"{self._begun} of {event.total}: {event.node}"


def _tell(event: Event) -> None:
    if event.level in ("warn", "error"):
        _log.log(logging.WARNING if event.level == "warn" else logging.ERROR, "%s", event.text)
    elif event.ended and event.kind == "model":
        _log.info("%s: %.1f s", event.node, event.seconds)


def _refuse_failures(built: Build, warehouse: Warehouse, *, safe: str) -> None:
    """Raise the first failure in the order of the build, which is the cause where others follow from it."""
    failed = [result for result in built.results if result.status in ("error", "fail")]
    if not failed:
        return
    first = failed[0]
    if first.kind == "test" and first.model == "dim_publication":
        warehouse.publication_facts()  # why the data has no last day, where that is what the test has found
    refused = warehouse.refusal(first.message) if first.status == "error" else None
    if refused is not None:
        raise type(refused)(f"At {first.name}: {refused.what}", where=refused.where, safe=safe, next=refused.next)
    raise _test_failed(first, built, safe=safe) if first.kind == "test" else _not_built(first, safe=safe)


def _test_failed(test: NodeResult, built: Build, *, safe: str) -> UntestedError:
    counts = Counter(result.status for result in built.tests)
    failed = counts["fail"] + counts["error"]
    return UntestedError(
        f"{failed} of {len(built.tests)} tests failed; the first is {test.name}: {_in_words(test)}",
        where=f"{test.file}; the rows in question are those of {test.compiled_file}",
        safe=safe,
        next="mend the data or the model, then neopulse run --from transform",
    )


def _in_words(test: NodeResult) -> str:
    if test.status == "error":
        return _reason(test.message)
    own = "rows that break “{description}”: {count}" if test.description else "rows that break it: {count}"
    known = {"model": test.model, "column": test.column, "description": test.description, "count": test.failures}
    return _BROKEN_RULES.get(test.rule, own).format(**known)


def _not_built(node: NodeResult, *, safe: str) -> NeopulseError:
    what = f"The {node.kind} {node.name} could not be built: {_reason(node.message)}"
    if "Out of Memory" in node.message:
        again = "raise NEOPULSE_MEMORY_LIMIT, then neopulse run --from transform"
        return PermanentError(what, where="NEOPULSE_MEMORY_LIMIT", safe=safe, next=again)
    again = "mend the data or the model, then neopulse run --from transform"
    return DataError(what, where=node.file, safe=safe, next=again)


def _reason(message: str) -> str:
    """The engine's reason, without dbt's heading above it and the advice and the code below; the log has it all."""
    heading, _, rest = message.partition("\n")
    lines = [line.strip() for line in (rest or heading).splitlines()]
    return " ".join(lines[: lines.index("")] if "" in lines else lines)


def _publish(context: StepContext, warehouse: Warehouse, built: Build, folder: Path) -> Version:
    row = warehouse.publication_facts()
    refuse_a_day_before_the_data(row)
    context.progress(_BUILT, "copying the marts into a new version")
    target = files.make_folder(folder / "version")
    rows = warehouse.copy_readable(target, orders=_orders(built.manifest), types=_types(built.manifest))
    files.write_json(target / "metrics.json", metrics.write(metrics.from_manifest(built.manifest)))
    files.write_json(target / "models.json", _models(built.manifest))
    files.write_json(target / FACTS, _who_served(context.settings.home / "landing"))
    files.write_json(target / "tests.json", [_test(result) for result in built.tests])
    files.write_json(target / "timings.json", [_timing(result) for result in built.results])
    facts = _facts(context, row, built, rows)
    candidate = Candidate(
        target,
        facts,
        lease_token=context.run.lease_token,
        started_at=context.run.started_at,
    )
    approval.hold_where_unusual(context, candidate)
    context.progress(None, "publishing")
    version = context.publications.publish(candidate, clock=context.clock, guard=context.guard)
    approval.note(context, version)
    _log.info("Version %s is current: as of %s, %d tests held", version.name, version.as_of, version.tests.total)
    return version


def _who_served(landing_folder: Path) -> Any:
    """What served the facts from outside the bank; nothing where an older neopulse landed them."""
    try:
        return json.loads((landing_folder / FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _facts(context: StepContext, row: Mapping[str, Any], built: Build, rows: Mapping[str, int]) -> Facts:
    return Facts(
        run_id=context.run.id,
        as_of=row["as_of"],
        source=row["source_name"],
        inactivity_days=row["inactivity_days"],
        activity_rule=row["activity_rule"],
        bank_timezone=row["bank_timezone"],
        tests=_summary(built),
        rows=rows,
        transactions=int(row.get("transactions") or 0),
    )


def _summary(built: Build) -> TestSummary:
    counts = Counter(result.status for result in built.tests)
    return TestSummary(
        passed=counts["pass"], failed=counts["fail"] + counts["error"], warned=counts["warn"], total=len(built.tests)
    )


def _test(result: NodeResult) -> dict[str, Any]:
    fields = ("name", "model", "column", "description", "status", "failures", "seconds")
    return {field: getattr(result, field) for field in fields}


def _orders(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The order in which a relation's rows are read best, where its model names one."""
    nodes = (node for node in manifest["nodes"].values() if node["resource_type"] == "model")
    return {node["name"]: node["meta"]["read_order"] for node in nodes if "read_order" in node["meta"]}


def _types(manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The type of each column that a model declares, by model."""
    nodes = (node for node in manifest["nodes"].values() if node["resource_type"] == "model")
    return {
        node["name"]: {name: column["data_type"] for name, column in node["columns"].items() if column.get("data_type")}
        for node in nodes
    }


def _timing(result: NodeResult) -> dict[str, str]:
    """When a node was built or tested; what a run's time went into is found by laying these side by side."""
    return {field: getattr(result, field) for field in ("name", "kind", "started_at", "ended_at")}


def _models(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every model as the Definitions page shows it, with the names of what it is made from."""
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return [
        {
            "name": node["name"],
            "schema": node["config"]["schema"],
            "description": node["description"],
            "columns": {name: column["description"] for name, column in node["columns"].items()},
            "depends_on": sorted(parent.split(".", 2)[2] for parent in node["depends_on"]["nodes"]),
            "sql": node.get("compiled_code") or "",
            "written": _written(node, manifest.get("macros", {})),
        }
        for node in sorted(nodes, key=lambda node: str(node["name"]))
    ]


def _written(node: Mapping[str, Any], macros: Mapping[str, Any]) -> str:
    """A digest of a model as its author wrote it, with the macros that it names: another one, another calculation.

    Those that the text names, not those that dbt saw called: which branch is taken depends on whether a run builds everything.
    """
    own = {macro["name"]: str(macro["macro_sql"]) for key, macro in macros.items() if key.startswith("macro.neopulse.")}
    text = str(node.get("raw_code") or "")
    digest = hashlib.sha256(text.encode())
    seen, to_see = set[str](), [text]
    while to_see:
        named = {name for names in _CALLS.findall(to_see.pop()) for name in names if name}
        new = {name for name in own if name not in seen and (name in named or name.partition("__")[2] in named)}
        seen |= new
        to_see += [own[name] for name in new]
    for name in sorted(seen):
        digest.update(own[name].encode())
    return digest.hexdigest()[:16]


def _detail(version: Version, built: Build) -> dict[str, Any]:
    return {
        "version": version.name,
        "as_of": version.as_of.isoformat(),
        "models": sum(result.kind == "model" for result in built.results),
        "tests": version.tests.total,
        "tests_warned": version.tests.warned,
        **({"nobody_active": True} if version.rows.get("mart_activity_gaps") == 0 else {}),
    }
