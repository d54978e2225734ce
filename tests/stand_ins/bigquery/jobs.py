"""Jobs: queries, loads and copies, with the statistics and errors that the clients read back."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stand_ins.bigquery import sql
from stand_ins.bigquery.binding import Names
from stand_ins.bigquery.columns import Column, Row, from_rest, rest_parameter, to_rest
from stand_ins.bigquery.ddl import TEMPORARY_DATASET, copy_of
from stand_ins.bigquery.errors import ApiError, already_exists, invalid, not_found, not_in_the_stand_in
from stand_ins.bigquery.loads import load, partitioning, put, table_id
from stand_ins.bigquery.outcome import Outcome
from stand_ins.bigquery.session import Session, ViewCache
from stand_ins.bigquery.storage import TableId, Warehouse

ANONYMOUS_DATASET = "_anonymous"


@dataclass
class Job:
    """One job; it is done when the insert answers, unless it is told to seem to run for some polls more."""

    project: str
    id: str
    location: str
    configuration: dict[str, Any]
    created: dt.datetime
    user: str = "stand-in@example.iam.gserviceaccount.com"
    ended: dt.datetime | None = None
    error: ApiError | None = None
    columns: tuple[Column, ...] = ()
    rows: list[Row] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    destination: TableId | None = None
    loaded_rows: int = 0
    loaded_bytes: int = 0
    parent: str | None = None
    polls_to_go: int = 0
    cancelled: bool = False

    @property
    def kind(self) -> str:
        """query, load, copy or extract."""
        return next(name for name in ("query", "load", "copy", "extract") if name in self.configuration)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing was run."""
        return bool(self.configuration.get("dryRun"))

    @property
    def statement_type(self) -> str:
        """The type of the one statement, or SCRIPT."""
        return self.outcomes[0].statement_type if len(self.outcomes) == 1 else "SCRIPT"

    @property
    def processed(self) -> int:
        """Bytes processed by all statements."""
        return sum(outcome.cost.processed for outcome in self.outcomes)

    @property
    def billed(self) -> int:
        """Bytes billed for all statements; nothing for a dry run."""
        return 0 if self.is_dry_run else sum(outcome.cost.billed for outcome in self.outcomes)

    @property
    def affected(self) -> int | None:
        """Rows that DML changed, or None where there was none."""
        counts = [outcome.affected for outcome in self.outcomes if outcome.is_dml]
        return sum(counts) if counts else None

    def poll(self) -> bool:
        """Whether the job is done, counting one look at it."""
        if self.polls_to_go > 0:
            self.polls_to_go -= 1
            return False
        return True


class Jobs:
    """Every job of the stand-in, and how a new one is run.

    Each of the `failing` is how the next job fails whose configuration holds that text, once it was taken.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.seeming_to_run = 0
        self.failing: list[tuple[str, ApiError]] = []
        self._jobs: dict[tuple[str, str], Job] = {}
        self._names = itertools.count(1)
        self._views = ViewCache()

    def get(self, project: str, name: str) -> Job:
        """The job. Raises 404."""
        if (project, name) not in self._jobs:
            raise not_found("Job", f"{project}:EU.{name}")
        return self._jobs[project, name]

    def list(self, project: str) -> list[Job]:
        """The jobs of a project, newest first."""
        return [job for job in reversed(self._jobs.values()) if job.project == project]

    def insert(self, project: str, resource: Mapping[str, Any], data: bytes = b"") -> Job:
        """Run a job. A failure is kept in the job; only a taken id, or an error of a dry run, is raised."""
        reference = resource.get("jobReference", {})
        name = reference.get("jobId") or f"job_{next(self._names)}"
        location = reference.get("location") or "EU"
        if (project, name) in self._jobs:
            raise already_exists("Job", f"{project}:{location}.{name}")
        job = Job(project, name, location, dict(resource["configuration"]), created=self.warehouse.clock())
        job.polls_to_go = self.seeming_to_run
        with self.warehouse.lock:
            self._run(job, data)
        if job.is_dry_run and job.error is not None:
            raise job.error
        if not job.is_dry_run:
            self._jobs[project, name] = job
        return job

    def _run(self, job: Job, data: bytes) -> None:
        runs = {"query": self._run_query, "load": self._run_load, "copy": self._run_copy}
        try:
            self._fail(job)
            if job.kind not in runs:
                raise not_in_the_stand_in(f"{job.kind} jobs")
            runs[job.kind](job, data)
        except ApiError as error:
            job.error = error
        job.ended = self.warehouse.clock()

    def _fail(self, job: Job) -> None:
        for entry in self.failing:
            if entry[0] in str(job.configuration):
                self.failing.remove(entry)
                raise entry[1]

    def _run_query(self, job: Job, _data: bytes) -> None:
        configuration = job.configuration["query"]
        if configuration.get("useLegacySql", True) is True:
            raise not_in_the_stand_in("legacy SQL: set useLegacySql to false")
        session = self._session(job, configuration)
        try:
            job.outcomes = sql.run(session, configuration["query"])
        finally:
            self._drop_temporary(session)
        last = next((outcome for outcome in reversed(job.outcomes) if outcome.statement_type == "SELECT"), None)
        if last is not None:
            job.columns, job.rows = last.columns, last.rows
            self._keep_result(job, configuration)
        elif job.outcomes[-1].target is not None:
            job.destination = job.outcomes[-1].target

    def _session(self, job: Job, configuration: Mapping[str, Any]) -> Session:
        default = configuration.get("defaultDataset")
        dataset = (default.get("projectId", job.project), default["datasetId"]) if default else None
        limit = configuration.get("maximumBytesBilled")
        named, positional = query_parameters(configuration)
        return Session(
            self.warehouse,
            Names(job.project, dataset),
            self._views,
            parameters=named,
            positional=positional,
            maximum_bytes_billed=int(limit) if limit is not None else None,
            dry_run=job.is_dry_run,
            session_name=job.id.replace("-", "_"),
        )

    def _drop_temporary(self, session: Session) -> None:
        for table in session.naming.temporary.values():
            if self.warehouse.find(table) is not None:
                self.warehouse.drop(table)

    def _keep_result(self, job: Job, configuration: Mapping[str, Any]) -> None:
        """A SELECT writes to the table it was given, or to one without a name of its own."""
        given = configuration.get("destinationTable")
        if given is None or job.is_dry_run:
            job.destination = TableId(job.project, ANONYMOUS_DATASET, job.id)
            return
        job.destination = table_id(given)
        put(self.warehouse, job.destination, job.columns, job.rows, configuration, default="WRITE_EMPTY")

    def _run_load(self, job: Job, data: bytes) -> None:
        configuration = job.configuration["load"]
        if configuration.get("sourceUris"):
            raise not_in_the_stand_in("loading from Cloud Storage")
        job.destination = table_id(configuration["destinationTable"])
        job.loaded_bytes = len(data)
        job.loaded_rows = load(self.warehouse, configuration, data)

    def _run_copy(self, job: Job, _data: bytes) -> None:
        configuration = job.configuration["copy"]
        sources = configuration.get("sourceTables") or [configuration["sourceTable"]]
        originals = [self.warehouse.relation(table_id(source)) for source in sources]
        if any(original.kind == "VIEW" for original in originals):
            raise invalid("Copying a view is not possible")
        job.destination = table_id(configuration["destinationTable"])
        rows = [row for original in originals for row in self.warehouse.rows(original)]
        if self.warehouse.find(job.destination) is None:
            self.warehouse.dataset(job.destination.project, job.destination.dataset)
            self.warehouse.create(copy_of(originals[0], job.destination, self.warehouse.clock()), rows)
            return
        given = dict(configuration)
        if originals[0].partitioning is not None:
            given |= originals[0].partitioning.as_rest()
        put(self.warehouse, job.destination, originals[0].columns, rows, given, default="WRITE_EMPTY")

    def cancel(self, project: str, name: str) -> Job:
        """Stop a job that still seems to run; one that is done stays as it is."""
        job = self.get(project, name)
        if job.polls_to_go > 0:
            job.polls_to_go, job.cancelled = 0, True
            job.error = ApiError(400, "stopped", "Job execution was cancelled: User requested cancellation")
        return job


def query_parameters(configuration: Mapping[str, Any]) -> tuple[dict[str, tuple[Column, Any]], list[tuple[Column, Any]]]:
    """Named and positional parameters of a query."""
    given = configuration.get("queryParameters") or []
    read = [(entry.get("name", ""), _parameter(entry)) for entry in given]
    if configuration.get("parameterMode", "").upper() == "POSITIONAL" or any(not name for name, _ in read):
        return {}, [parameter for _, parameter in read]
    return dict(read), []


def _parameter(entry: Mapping[str, Any]) -> tuple[Column, Any]:
    column = _parameter_column(entry.get("name", ""), entry["parameterType"])
    return column, rest_parameter(column, entry.get("parameterValue", {}))


def _parameter_column(name: str, kind: Mapping[str, Any]) -> Column:
    if kind["type"].upper() == "ARRAY":
        return replace(_parameter_column(name, kind["arrayType"]), mode="REPEATED")
    if kind["type"].upper() == "STRUCT":
        fields = tuple(_parameter_column(child["name"], child["type"]) for child in kind["structTypes"])
        return Column(name, "STRUCT", fields=fields)
    return from_rest({"name": name, "type": kind["type"]})


def is_hidden(dataset: str) -> bool:
    """Whether a dataset is the stand-in's own and in no listing."""
    return dataset in {ANONYMOUS_DATASET, TEMPORARY_DATASET}


# --- resources -----------------------------------------------------------------------------------------------------


def milliseconds(moment: dt.datetime) -> str:
    """A moment as REST writes it."""
    return str(round(moment.timestamp() * 1000))


def as_rest(job: Job, *, done: bool) -> dict[str, Any]:
    """The Job resource."""
    configuration = {**job.configuration, "jobType": job.kind.upper()}
    if job.kind == "query" and job.destination is not None:
        configuration["query"] = {"destinationTable": job.destination.as_reference(), **configuration["query"]}
    status: dict[str, Any] = {"state": "DONE" if done or job.is_dry_run else "RUNNING"}
    if done and job.error is not None:
        status |= {"errorResult": job.error.as_error_proto(), "errors": [job.error.as_error_proto()]}
    reference = {"projectId": job.project, "jobId": job.id, "location": job.location}
    return {
        "kind": "bigquery#job",
        "id": f"{job.project}:{job.location}.{job.id}",
        "etag": job.id,
        "selfLink": f"/bigquery/v2/projects/{job.project}/jobs/{job.id}?location={job.location}",
        "jobReference": {} if job.is_dry_run else reference,
        "user_email": job.user,
        "configuration": configuration,
        "status": status,
        "statistics": statistics(job, done=done),
    }


def statistics(job: Job, *, done: bool) -> dict[str, Any]:
    """The statistics of a job."""
    made: dict[str, Any] = {"creationTime": milliseconds(job.created), "startTime": milliseconds(job.created)}
    if not done and not job.is_dry_run:
        return made
    if job.ended is not None and not job.is_dry_run:
        made["endTime"] = milliseconds(job.ended)
    if job.kind == "query":
        slots = str(1 + job.processed // 1_000_000)
        made |= {"totalBytesProcessed": str(job.processed), "totalSlotMs": slots, "query": _query_statistics(job, slots)}
        if len(job.outcomes) > 1:
            made["numChildJobs"] = str(len(job.outcomes))
    if job.kind == "load":
        made["load"] = {
            "inputFiles": "1",
            "inputFileBytes": str(job.loaded_bytes),
            "outputRows": str(job.loaded_rows),
            "outputBytes": str(job.loaded_bytes),
            "badRecords": "0",
        }
    return made


def _query_statistics(job: Job, slots: str) -> dict[str, Any]:
    tables = list(dict.fromkeys(table for outcome in job.outcomes for table in outcome.cost.parts))
    made: dict[str, Any] = {
        "statementType": job.statement_type,
        "totalBytesProcessed": str(job.processed),
        "totalBytesBilled": str(job.billed),
        "totalSlotMs": slots,
        "cacheHit": False,
        "billingTier": 1,
        "referencedTables": [table.as_reference() for table in tables],
        "totalPartitionsProcessed": str(
            sum(len({part for part, _ in parts}) for o in job.outcomes for parts in o.cost.parts.values())
        ),
    }
    if job.is_dry_run or job.columns:
        columns = job.columns or (job.outcomes[-1].columns if job.outcomes else ())
        made["schema"] = {"fields": [to_rest(column) for column in columns]}
    if job.is_dry_run:
        made["totalBytesProcessedAccuracy"] = "PRECISE"
    if job.affected is not None and not job.is_dry_run:
        made["numDmlAffectedRows"] = str(job.affected)
        made["dmlStats"] = {
            "insertedRowCount": str(sum(outcome.inserted for outcome in job.outcomes)),
            "updatedRowCount": str(sum(outcome.updated for outcome in job.outcomes)),
            "deletedRowCount": str(sum(outcome.deleted for outcome in job.outcomes)),
        }
    if len(job.outcomes) == 1:
        made |= _ddl_statistics(job.outcomes[0])
    return made


def _ddl_statistics(outcome: Outcome) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if outcome.ddl_operation is not None:
        made["ddlOperationPerformed"] = outcome.ddl_operation
        if outcome.target is not None:
            made["ddlTargetTable"] = outcome.target.as_reference()
        if outcome.target_dataset is not None:
            made["ddlTargetDataset"] = {"projectId": outcome.target_dataset[0], "datasetId": outcome.target_dataset[1]}
    return made


__all__ = ["Job", "Jobs", "as_rest", "is_hidden", "partitioning"]
