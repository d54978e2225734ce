"""The REST protocol of BigQuery v2: which path means what, and the resources in the answers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stand_ins.bigquery.binding import Names
from stand_ins.bigquery.columns import UTC, Column, from_rest, rest_row, to_rest
from stand_ins.bigquery.errors import ApiError, invalid, not_found
from stand_ins.bigquery.jobs import ANONYMOUS_DATASET, Job, Jobs, as_rest, is_hidden, milliseconds
from stand_ins.bigquery.loads import json_value, partitioning
from stand_ins.bigquery.session import Session, ViewCache, output_columns
from stand_ins.bigquery.storage import Dataset, Relation, TableId, Warehouse

DEFAULT_PAGE = 10_000


@dataclass(frozen=True)
class Request:
    """One parsed request: the path below /bigquery/v2, the query string's values, the JSON body, the uploaded bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    data: bytes = b""
    revision: str = ""  # of the header If-Match

    def flag(self, name: str) -> bool:
        """A boolean of the query string."""
        return self.query.get(name, "false").lower() == "true"


class Protocol:
    """Answers requests from the warehouse and its jobs."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.jobs = Jobs(warehouse)

    def answer(self, request: Request) -> Any:
        """The JSON of the answer, None for an empty one. Raises ApiError."""
        for method, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                with self.warehouse.lock:
                    return handler(self, request, *found.groups())
        raise not_found("URL", f"{request.method} {request.path}")

    # projects and datasets

    def _projects(self, _request: Request) -> Any:
        return {"kind": "bigquery#projectList", "projects": [], "totalItems": 0}

    def _list_datasets(self, request: Request, project: str) -> Any:
        listed = [kept for kept in self.warehouse.datasets(project) if not is_hidden(kept.name)]
        page, token = _page(listed, request)
        entries = [
            {
                "kind": "bigquery#dataset",
                "id": f"{project}:{kept.name}",
                "datasetReference": {"projectId": project, "datasetId": kept.name},
                "labels": kept.labels,
                "location": kept.location,
            }
            for kept in page
        ]
        return {"kind": "bigquery#datasetList", "datasets": entries} | token

    def _insert_dataset(self, request: Request, project: str) -> Any:
        reference = request.body["datasetReference"]
        made = self.warehouse.create_dataset(reference.get("projectId", project), reference["datasetId"])
        return self._change_dataset(made, request.body)

    def _get_dataset(self, _request: Request, project: str, name: str) -> Any:
        return _dataset_resource(self.warehouse.dataset(project, name))

    def _patch_dataset(self, request: Request, project: str, name: str) -> Any:
        found = self.warehouse.dataset(project, name)
        _refuse_another_revision(request, _dataset_resource(found)["etag"])
        return self._change_dataset(found, request.body)

    def _change_dataset(self, dataset: Dataset, body: Mapping[str, Any]) -> Any:
        if "description" in body:
            dataset.description = body["description"]
        if "labels" in body:
            dataset.labels = _patched_labels(dataset.labels, body["labels"])
        if "location" in body:
            dataset.location = body["location"] or dataset.location
        if "access" in body:
            dataset.access = body["access"] or []
        if "defaultTableExpirationMs" in body:
            value = body["defaultTableExpirationMs"]
            dataset.default_expiration_milliseconds = int(value) if value else None
        dataset.modified = self.warehouse.clock()
        return _dataset_resource(dataset)

    def _delete_dataset(self, request: Request, project: str, name: str) -> Any:
        self.warehouse.drop_dataset(project, name, with_contents=request.flag("deleteContents"))

    def _list_routines(self, _request: Request, project: str, name: str) -> Any:
        self.warehouse.dataset(project, name)
        return {"routines": []}

    def _list_models(self, _request: Request, project: str, name: str) -> Any:
        self.warehouse.dataset(project, name)
        return {"models": []}

    # tables

    def _list_tables(self, request: Request, project: str, dataset: str) -> Any:
        relations = self.warehouse.relations(project, dataset)
        page, token = _page(relations, request)
        entries = [_listed_table(relation) for relation in page]
        return {"kind": "bigquery#tableList", "tables": entries, "totalItems": len(relations)} | token

    def _get_table(self, _request: Request, project: str, dataset: str, table: str) -> Any:
        if dataset == ANONYMOUS_DATASET:
            return _result_table(self.jobs.get(project, table))
        return self._table_resource(self.warehouse.relation(TableId(project, dataset, table)))

    def _insert_table(self, request: Request, project: str, dataset: str) -> Any:
        body = request.body
        now = self.warehouse.clock()
        table = TableId(project, dataset, body["tableReference"]["tableId"])
        columns = tuple(from_rest(entry) for entry in (body.get("schema") or {}).get("fields", ()))
        relation = Relation(table, "TABLE", columns, created=now, modified=now)
        if body.get("view"):
            relation.kind, relation.query = "VIEW", body["view"]["query"]
            relation.columns = self._view_columns(project, relation.query)
        relation.partitioning = partitioning(body)
        relation.clustering = tuple((body.get("clustering") or {}).get("fields", ()))
        self._change_table(relation, {name: value for name, value in body.items() if name not in {"schema", "view"}})
        self.warehouse.create(relation)
        return self._table_resource(relation)

    def _view_columns(self, project: str, query: str) -> tuple[Column, ...]:
        session = Session(self.warehouse, Names(project), ViewCache())
        return output_columns(session.analyze(session.bind(query)))

    def _patch_table(self, request: Request, project: str, dataset: str, table: str) -> Any:
        relation = self.warehouse.relation(TableId(project, dataset, table))
        _refuse_another_revision(request, self._table_resource(relation)["etag"])
        self._change_table(relation, request.body)
        return self._table_resource(relation)

    def _change_table(self, relation: Relation, body: Mapping[str, Any]) -> None:
        if "description" in body:
            relation.description = body["description"]
        if "friendlyName" in body:
            relation.friendly_name = body["friendlyName"]
        if "labels" in body:
            relation.labels = _patched_labels(relation.labels, body["labels"])
        if "expirationTime" in body:
            relation.expires = _moment(body["expirationTime"])
        if body.get("requirePartitionFilter") is not None:
            relation.require_partition_filter = bool(body["requirePartitionFilter"])
        by_time = body.get("timePartitioning") or {}
        if by_time.get("requirePartitionFilter") is not None:
            relation.require_partition_filter = bool(by_time["requirePartitionFilter"])
        if "clustering" in body:
            relation.clustering = tuple((body["clustering"] or {}).get("fields", ()))
        if (body.get("view") or {}).get("query"):
            relation.query = body["view"]["query"]
            relation.columns = self._view_columns(relation.id.project, relation.query or "")
        if (body.get("schema") or {}).get("fields"):
            self._change_schema(relation, tuple(from_rest(entry) for entry in body["schema"]["fields"]))
        relation.modified = self.warehouse.clock()

    def _change_schema(self, relation: Relation, columns: tuple[Column, ...]) -> None:
        """New descriptions, and new columns at the end; anything else is refused as BigQuery refuses it."""
        given = {column.name.lower(): column for column in columns}
        for column in relation.columns:
            if column.name.lower() not in given:
                raise invalid(
                    f"Provided Schema does not match Table {relation.id.colon_path}. Field {column.name} is missing in new schema"
                )
            fresh = given[column.name.lower()]
            if fresh.type != column.type:
                raise invalid(
                    f"Provided Schema does not match Table {relation.id.colon_path}. "
                    f"Field {column.name} has changed type from {column.type} to {fresh.type}"
                )
        added = [column for column in columns if column.name.lower() not in {kept.name.lower() for kept in relation.columns}]
        kept = tuple(_described(column, given[column.name.lower()]) for column in relation.columns)
        if added and relation.kind != "VIEW":
            rows = [(*row, *(None for _ in added)) for row in self.warehouse.rows(relation)]
            relation.columns = (*kept, *added)
            modified = relation.partitions_modified
            self.warehouse.write(relation, rows, touched=set())
            relation.partitions_modified = modified
        relation.columns = (*kept, *added)

    def _delete_table(self, _request: Request, project: str, dataset: str, table: str) -> Any:
        relation = self.warehouse.relation(TableId(project, dataset, table))
        self.warehouse.drop(relation.id)

    def _table_resource(self, relation: Relation) -> dict[str, Any]:
        made = _listed_table(relation) | {
            "kind": "bigquery#table",
            "etag": f"{relation.version} {relation.modified.timestamp()}",
            "selfLink": f"/bigquery/v2/projects/{relation.id.project}/datasets/{relation.id.dataset}/tables/{relation.id.table}",
            "schema": {"fields": [to_rest(column) for column in relation.columns]},
            "lastModifiedTime": milliseconds(relation.modified),
            "location": self.warehouse.dataset(relation.id.project, relation.id.dataset).location,
        }
        if relation.description is not None:
            made["description"] = relation.description
        if relation.kind != "VIEW":
            size = str(sum(self.warehouse.sizes(relation).values()))
            made |= {"numRows": str(len(self.warehouse.rows(relation))), "numBytes": size, "numLongTermBytes": "0"}
        return made

    # rows

    def _list_rows(self, request: Request, project: str, dataset: str, table: str) -> Any:
        columns, rows = self._rows_of(project, dataset, table)
        wanted = request.query.get("selectedFields")
        if wanted:
            names = {name.strip().lower() for name in wanted.split(",")}
            places = [place for place, column in enumerate(columns) if column.name.lower() in names]
            columns, rows = tuple(columns[place] for place in places), [tuple(row[place] for place in places) for row in rows]
        page, token = _page(rows, request, token_name="pageToken")
        made = {"kind": "bigquery#tableDataList", "totalRows": str(len(rows))} | token
        return made | {"rows": [rest_row(columns, row, int64_timestamps=_int64(request)) for row in page]}

    def _rows_of(self, project: str, dataset: str, table: str) -> tuple[tuple[Column, ...], list[Any]]:
        if dataset == ANONYMOUS_DATASET:
            job = self.jobs.get(project, table)
            return job.columns, job.rows
        relation = self.warehouse.relation(TableId(project, dataset, table))
        if relation.kind == "VIEW":
            raise invalid(f"Cannot list a table of type VIEW: {relation.id.colon_path}")
        return relation.columns, self.warehouse.rows(relation)

    def _insert_rows(self, request: Request, project: str, dataset: str, table: str) -> Any:
        relation = self.warehouse.relation(TableId(project, dataset, table))
        added = [
            tuple(json_value(column, row["json"].get(column.name)) for column in relation.columns) for row in request.body["rows"]
        ]
        kept = list(self.warehouse.rows(relation))
        self.warehouse.write(relation, [*kept, *added], touched=set(relation.partition_ids(added)))
        return {"kind": "bigquery#tableDataInsertAllResponse"}

    # jobs

    def _insert_job(self, request: Request, project: str) -> Any:
        job = self.jobs.insert(project, request.body, request.data)
        return as_rest(job, done=job.polls_to_go == 0)

    def _get_job(self, _request: Request, project: str, name: str) -> Any:
        job = self.jobs.get(project, name)
        return as_rest(job, done=job.poll())

    def _list_jobs(self, request: Request, project: str) -> Any:
        state = request.query.get("stateFilter", "").upper()
        listed = [job for job in self.jobs.list(project) if state in ("", _state(job))]
        page, token = _page(listed, request)
        entries = [as_rest(job, done=_state(job) == "DONE") | {"state": _state(job)} for job in page]
        return {"kind": "bigquery#jobList", "jobs": entries} | token

    def _cancel_job(self, _request: Request, project: str, name: str) -> Any:
        job = self.jobs.cancel(project, name)
        return {"kind": "bigquery#jobCancelResponse", "job": as_rest(job, done=True)}

    def _delete_job(self, _request: Request, project: str, name: str) -> Any:
        self.jobs.get(project, name)

    def _query_results(self, request: Request, project: str, name: str) -> Any:
        job = self.jobs.get(project, name)
        done = job.poll()
        if done and job.error is not None:
            raise job.error
        return self._results(job, request, done=done)

    def _query(self, request: Request, project: str) -> Any:
        """jobs.query: a job and its first page in one call."""
        body = dict(request.body)
        configuration: dict[str, Any] = {"query": {name: body[name] for name in QUERY_FIELDS if name in body}}
        for name in ("dryRun", "labels", "jobTimeoutMs"):
            if name in body:
                configuration[name] = body[name]
        resource = {"configuration": configuration, "jobReference": {"projectId": project, "location": body.get("location")}}
        job = self.jobs.insert(project, resource)
        if job.error is not None:
            raise job.error
        query = {"maxResults": str(body["maxResults"])} if body.get("maxResults") is not None else {}
        if (body.get("formatOptions") or {}).get("useInt64Timestamp"):
            query["formatOptions.useInt64Timestamp"] = "true"
        return self._results(job, replace(request, query=query), done=True) | {"queryId": job.id}

    def _results(self, job: Job, request: Request, *, done: bool) -> dict[str, Any]:
        made: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": {"projectId": job.project, "jobId": job.id, "location": job.location},
            "jobComplete": done,
        }
        if not done:
            return made
        page, token = _page(job.rows, request, token_name="pageToken")
        made |= {
            "schema": {"fields": [to_rest(column) for column in job.columns]},
            "totalRows": str(len(job.rows)),
            "totalBytesProcessed": str(job.processed),
            "totalBytesBilled": str(job.billed),
            "statementType": job.statement_type if job.outcomes else "",
            "cacheHit": False,
        }
        if job.affected is not None:
            made["numDmlAffectedRows"] = str(job.affected)
        if request.query.get("maxResults") != "0":
            made |= {"rows": [rest_row(job.columns, row, int64_timestamps=_int64(request)) for row in page]} | token
        return made


QUERY_FIELDS = (
    "query",
    "useLegacySql",
    "defaultDataset",
    "maximumBytesBilled",
    "queryParameters",
    "parameterMode",
    "useQueryCache",
)

Handler = Callable[..., Any]

PROJECT = r"/projects/([^/]+)"
DATASETS = PROJECT + r"/datasets"
DATASET = DATASETS + r"/([^/]+)"
TABLE = DATASET + r"/tables/([^/]+)"
JOBS = PROJECT + r"/jobs"
JOB = JOBS + r"/([^/]+)"

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", r"/projects", Protocol._projects),
    ("GET", DATASETS, Protocol._list_datasets),
    ("POST", DATASETS, Protocol._insert_dataset),
    ("GET", DATASET, Protocol._get_dataset),
    ("PATCH", DATASET, Protocol._patch_dataset),
    ("PUT", DATASET, Protocol._patch_dataset),
    ("DELETE", DATASET, Protocol._delete_dataset),
    ("GET", DATASET + r"/routines", Protocol._list_routines),
    ("GET", DATASET + r"/models", Protocol._list_models),
    ("GET", DATASET + r"/tables", Protocol._list_tables),
    ("POST", DATASET + r"/tables", Protocol._insert_table),
    ("GET", TABLE, Protocol._get_table),
    ("PATCH", TABLE, Protocol._patch_table),
    ("PUT", TABLE, Protocol._patch_table),
    ("DELETE", TABLE, Protocol._delete_table),
    ("GET", TABLE + r"/data", Protocol._list_rows),
    ("POST", TABLE + r"/insertAll", Protocol._insert_rows),
    ("POST", JOBS, Protocol._insert_job),
    ("GET", JOBS, Protocol._list_jobs),
    ("GET", JOB, Protocol._get_job),
    ("DELETE", JOB + r"/delete", Protocol._delete_job),
    ("POST", JOB + r"/cancel", Protocol._cancel_job),
    ("POST", PROJECT + r"/queries", Protocol._query),
    ("GET", PROJECT + r"/queries/([^/]+)", Protocol._query_results),
]


def _page(items: Any, request: Request, *, token_name: str = "nextPageToken") -> tuple[list[Any], dict[str, str]]:
    """The page that a request asks for, and the token of the next one under the name that the method uses."""
    start = int(request.query.get("pageToken") or request.query.get("startIndex") or 0)
    size = int(request.query.get("maxResults") or DEFAULT_PAGE)
    page = list(items[start : start + size])
    return page, {token_name: str(start + size)} if start + size < len(items) else {}


def _state(job: Job) -> str:
    return "RUNNING" if job.polls_to_go else "DONE"


def _refuse_another_revision(request: Request, etag: str) -> None:
    """Raise 412 where the change was meant for what it is no more."""
    if request.revision not in ("", etag):
        raise ApiError(412, "conditionNotMet", "Precondition check failed.")


def _int64(request: Request) -> bool:
    return request.flag("formatOptions.useInt64Timestamp")


def _moment(value: Any) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(int(value) / 1000, UTC) if value else None


def _patched_labels(labels: Mapping[str, str], given: Mapping[str, str | None] | None) -> dict[str, str]:
    """Labels after a patch: null takes one away."""
    merged = {**labels, **(given or {})}
    return {name: value for name, value in merged.items() if value is not None}


def _described(column: Column, fresh: Column) -> Column:
    children = {child.name.lower(): child for child in fresh.fields}
    fields = tuple(_described(child, children.get(child.name.lower(), child)) for child in column.fields)
    return replace(column, description=fresh.description, fields=fields, policy_tags=fresh.policy_tags)


def _dataset_resource(dataset: Dataset) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kind": "bigquery#dataset",
        "id": f"{dataset.project}:{dataset.name}",
        "etag": str(dataset.modified.timestamp()),
        "datasetReference": {"projectId": dataset.project, "datasetId": dataset.name},
        "labels": dataset.labels,
        "access": dataset.access,
        "creationTime": milliseconds(dataset.created),
        "lastModifiedTime": milliseconds(dataset.modified),
        "location": dataset.location,
    }
    if dataset.description is not None:
        made["description"] = dataset.description
    if dataset.default_expiration_milliseconds is not None:
        made["defaultTableExpirationMs"] = str(dataset.default_expiration_milliseconds)
    return made


def _listed_table(relation: Relation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kind": "bigquery#table",
        "id": relation.id.colon_path,
        "tableReference": relation.id.as_reference(),
        "type": relation.kind,
        "creationTime": milliseconds(relation.created),
        "labels": relation.labels,
    }
    if relation.friendly_name is not None:
        made["friendlyName"] = relation.friendly_name
    if relation.expires is not None:
        made["expirationTime"] = milliseconds(relation.expires)
    if relation.kind == "VIEW":
        made["view"] = {"query": relation.query, "useLegacySql": False}
    if relation.partitioning is not None:
        made |= relation.partitioning.as_rest()
        if relation.require_partition_filter:
            made["requirePartitionFilter"] = True
            if "timePartitioning" in made:
                made["timePartitioning"]["requirePartitionFilter"] = True
    if relation.clustering:
        made["clustering"] = {"fields": list(relation.clustering)}
    return made


def _result_table(job: Job) -> dict[str, Any]:
    """The table without a name of its own that holds a query's result."""
    table = TableId(job.project, ANONYMOUS_DATASET, job.id)
    return {
        "kind": "bigquery#table",
        "id": table.colon_path,
        "tableReference": table.as_reference(),
        "type": "TABLE",
        "schema": {"fields": [to_rest(column) for column in job.columns]},
        "numRows": str(len(job.rows)),
        "numBytes": "0",
        "creationTime": milliseconds(job.created),
        "location": job.location,
    }
