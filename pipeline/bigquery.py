"""BigQuery as neopulse calls it: one client, each job labelled, limited in bytes and time, and errors in words.

The client library is imported when the first connection is made: whoever builds with DuckDB needs not have it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.addresses import is_loopback
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.settings import PREFIX, Settings

if TYPE_CHECKING:
    from google.cloud import bigquery

SCOPES = ("https://www.googleapis.com/auth/bigquery", "https://www.googleapis.com/auth/cloud-platform")
RETRY_SECONDS = 120.0
REQUEST_SECONDS = 120.0  # for one answer: the library itself would wait for ever for a service that never gives one
APPLICATION = "neopulse"
TIB = 2**40
AGAIN = "then neopulse run"
LOOK_SECONDS = 1.0
CANCEL_SECONDS = 5.0  # for an answer; it is asked again
CONTENT = "content"  # label of a loaded table
_PASSING_REASONS = (
    *("quotaExceeded", "rateLimitExceeded", "backendError", "internalError", "badGateway"),
    *("jobRateLimitExceeded", "jobBackendError", "jobInternalError"),
)
_OF_THE_DAY = "Custom quota exceeded"
# In what dbt quotes of the client library: an answer of 429 or 5xx, the reason of a job that failed, a connection that was cut.
_PASSING_WORDS = re.compile(
    rf"(429|50[0234]) |.*\breason: ({'|'.join(_PASSING_REASONS)})\b|.*(Exceeded rate limits|last exception: |Connection aborted)"
)
_ROLES = "Job User and User on the project, Data Viewer on the source (docs/bigquery.md)"


@dataclass(frozen=True)
class Limits:
    """What every job carries: its labels, the bytes it may be billed for (0: any number) and the seconds it may take."""

    labels: Mapping[str, str]
    maximum_bytes: int
    seconds: int


class BigQuery:
    """A connection to one project; `location` is that of every dataset it makes and every job it runs.

    Where `is_to_end` says so, the job that is waited for is cancelled, and InterruptedRunError is raised.
    """

    def __init__(
        self,
        client: bigquery.Client,
        *,
        location: str,
        limits: Limits,
        storage_reads: bool = False,
        is_to_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._location = location
        self._limits = limits
        self._storage_reads = storage_reads
        self._is_to_end = is_to_end

    @property
    def project(self) -> str:
        """The project that pays for the jobs and holds the datasets."""
        return str(self._client.project)

    def execute(self, sql: str) -> None:
        """Run statements that change something, to their end."""
        with errors_in_words():
            self._finished(self._started(sql))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of one query."""
        with errors_in_words():
            return [dict(row.items()) for row in self._finished(self._started(sql))]

    def bytes_of(self, sql: str) -> int:
        """The bytes that a query would scan; nothing is run and nothing is billed."""
        from google.cloud import bigquery

        with errors_in_words():
            config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=dict(self._limits.labels))
            return int(self._started(sql, config).total_bytes_processed or 0)

    def table(self, name: str) -> bigquery.Table | None:
        """What is known of `dataset.table`, with or without a project before it; None where there is none."""
        from google.api_core.exceptions import NotFound

        with errors_in_words():
            try:
                return self._client.get_table(self._qualified(name), **_patience())
            except NotFound:
                return None

    def number_of_rows(self, name: str) -> int:
        """The rows of the table or view `dataset.table`; none where it is not there."""
        found = self.table(name)
        if found is None or found.table_type == "TABLE":
            return int(found.num_rows or 0) if found is not None else 0
        return int(self.rows(f"select count(*) as number_of_rows from `{self._qualified(name)}`")[0]["number_of_rows"])

    def tables(self, dataset: str) -> list[str]:
        """The names of a dataset's tables and views; none where there is no such dataset."""
        from google.api_core.exceptions import NotFound

        with errors_in_words():
            try:
                return sorted(item.table_id for item in self._client.list_tables(self._qualified(dataset), **_patience()))
            except NotFound:
                return []

    def datasets(self, beginning: str) -> list[str]:
        """The names of the project's datasets that begin so."""
        with errors_in_words():
            found = self._client.list_datasets(**_patience())
            return sorted(item.dataset_id for item in found if item.dataset_id.startswith(beginning))

    def make_dataset(self, name: str, *, description: str) -> None:
        """Make a dataset unless it is there; raises ConfigurationError where it is there in another location."""
        from google.cloud import bigquery

        with errors_in_words():
            dataset = bigquery.Dataset(self._qualified(name))
            dataset.location, dataset.description = self._location, description
            dataset.labels = {"application": APPLICATION}
            made = self._client.create_dataset(dataset, exists_ok=True, **_patience())
        if (made.location or self._location).upper() != self._location.upper():
            raise ConfigurationError(
                f"The dataset {name} lies in {made.location}, not in {self._location}",
                where=f"{PREFIX}BIGQUERY_LOCATION",
                safe="Nothing was written",
                next=f"set {PREFIX}BIGQUERY_LOCATION={made.location} or another {PREFIX}BIGQUERY_PREFIX, {AGAIN}",
            )

    def let_views_read(self, *, reader: str, dataset: str) -> None:
        """Let whoever may read the views of one dataset read through them what lies in another."""
        from google.cloud import bigquery

        views = {"dataset": {"projectId": self.project, "datasetId": reader}, "targetTypes": ["VIEWS"]}
        with errors_in_words():
            found = self._client.get_dataset(self._qualified(dataset), **_patience())
            changed = bigquery.Dataset(found.reference)  # without a revision: a change whose answer was lost is made again
            changed.access_entries = [*found.access_entries, bigquery.AccessEntry(entity_type="dataset", entity_id=views)]
            self._client.update_dataset(changed, ["access_entries"], **_patience())

    def drop_dataset(self, name: str) -> None:
        """Remove a dataset with all its tables, if it is there."""
        with errors_in_words():
            self._client.delete_dataset(self._qualified(name), delete_contents=True, not_found_ok=True, **_patience())

    def copy_tables(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Copy tables and what views show, each `(from, to)` as `dataset.table`; a table that is there is replaced."""
        with errors_in_words():
            places = [(self._qualified(one), self._qualified(other)) for one, other in pairs]
            for place, started in [(place, self._copying(*place)) for place in places]:
                jobs = itertools.chain([started], (self._copying(*place) for _ in itertools.count()))
                _once_more(lambda jobs=jobs: self._finished(next(jobs)))  # type: ignore[misc]

    def _copying(self, one: str, other: str) -> Any:
        from google.cloud import bigquery

        if self._client.get_table(one, **_patience()).table_type != "TABLE":
            return self._started(f"create or replace table `{other}` as select * from `{one}`")
        config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE", **self._limits_of_a_job())
        return self._inserted(
            lambda job_id: self._client.copy_table(
                one, other, job_id=job_id, job_config=config, location=self._location, **_patience()
            )
        )

    def load_parquet(self, path: Path, table: str) -> None:
        """Make `dataset.table` what a Parquet file says; where it already is, nothing is done."""
        from google.cloud import bigquery

        content = hashlib.sha256(path.read_bytes()).hexdigest()[:40]
        found = self.table(table)
        if found is not None and (found.labels or {}).get(CONTENT) == content:
            return
        with errors_in_words():
            _once_more(lambda: self._finished(self._loading(path, table)))
            labelled = bigquery.Table(self._qualified(table))  # without a revision: a change whose answer was lost is made again
            labelled.labels = {CONTENT: content}
            self._client.update_table(labelled, ["labels"], **_patience())

    def _loading(self, path: Path, table: str) -> Any:
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE", **self._limits_of_a_job())

        def insert(job_id: str) -> Any:
            with path.open("rb") as content:
                return self._client.load_table_from_file(
                    content,
                    self._qualified(table),
                    job_id=job_id,
                    job_config=config,
                    location=self._location,
                    timeout=REQUEST_SECONDS,
                )

        return self._inserted(insert)

    def _inserted(self, insert: Callable[[str], Any]) -> Any:
        """The job that `insert` makes of an id; where an answer was lost and the call was made again, that of the first call."""
        from google.api_core.exceptions import Conflict

        job_id = f"{APPLICATION}_{uuid.uuid4().hex}"
        try:
            return insert(job_id)
        except Conflict:
            return self._client.get_job(job_id, location=self._location, **_patience())

    def pages(self, name: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The Arrow schema of the table or view `dataset.table`, and all its rows, page by page."""
        with errors_in_words():
            batches = self._all_rows(name).to_arrow_iterable(
                bqstorage_client=self._storage_client() if self._storage_reads else None
            )
            first = next(batches, None)
            if first is None:
                return self._all_rows(name).to_arrow(create_bqstorage_client=False).schema, iter(())
        return first.schema, _chained(first, batches)

    def _all_rows(self, name: str) -> Any:
        found = self._client.get_table(self._qualified(name), **_patience())
        if found.table_type == "TABLE":
            return self._client.list_rows(found, **_patience())
        query = f"select * from `{self._qualified(name)}`"
        return self._finished(self._started(query))

    def _storage_client(self) -> Any:
        try:
            from google.cloud import bigquery_storage  # type: ignore[attr-defined,unused-ignore]
        except ImportError:
            raise ConfigurationError(
                "Storage API reads need the package google-cloud-bigquery-storage",
                where=f"{PREFIX}BIGQUERY_STORAGE_READS",
                next="pip install google-cloud-bigquery-storage, or turn the setting off",
            ) from None
        return bigquery_storage.BigQueryReadClient(credentials=self._client._credentials)

    def _limits_of_a_job(self) -> dict[str, Any]:
        return {"labels": dict(self._limits.labels), "job_timeout_ms": self._limits.seconds * 1000}

    def cancel(self, which: Callable[[Mapping[str, str]], bool]) -> list[Any]:
        """Cancel our jobs that wait or run and have such labels, and return them: they do not end with whoever began them."""
        with errors_in_words():
            states = ("pending", "running")
            found = [job for state in states for job in self._client.list_jobs(state_filter=state, **_patience())]
            jobs = [job for job in found if which(getattr(job, "labels", None) or {})]
            refused: list[Exception] = []
            for job in jobs:
                try:
                    job.cancel(**_patience())
                except Exception as error:  # the others are to end as well
                    refused.append(error)
            if refused:
                raise refused[0]
        return jobs

    def see_end(self, jobs: Iterable[Any], *, clock: Clock) -> None:
        """Wait until jobs have ended, however; raises TransientError where one does not."""
        until = clock.passed() + RETRY_SECONDS
        with errors_in_words():
            for job in jobs:
                while not job.done(**_patience()):
                    if clock.passed() >= until:
                        raise TransientError("A cancelled job goes on", where=f"BigQuery, {job.job_id}", next="neopulse run")
                    clock.sleep(LOOK_SECONDS)

    def _query_config(self) -> bigquery.QueryJobConfig:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(**self._limits_of_a_job())
        if self._limits.maximum_bytes:
            config.maximum_bytes_billed = self._limits.maximum_bytes
        return config

    def _started(self, sql: str, config: Any = None) -> Any:
        from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

        return self._client.query(
            sql,
            job_config=config or self._query_config(),
            location=self._location,
            job_retry=DEFAULT_JOB_RETRY.with_timeout(RETRY_SECONDS),
            **_patience(),
        )

    def _finished(self, job: Any) -> Any:
        with self._ending(job):
            return job.result(timeout=self._limits.seconds, retry=_patience()["retry"])

    @contextmanager
    def _ending(self, job: Any) -> Iterator[None]:
        """Within the block the job ends soon after the run is to end."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                if self._is_to_end():
                    with suppress(Exception):  # again in a second
                        shortly = {"retry": _patience()["retry"].with_timeout(CANCEL_SECONDS), "timeout": CANCEL_SECONDS}
                        self._client.cancel_job(job.job_id, location=job.location, **shortly)

        watching = threading.Thread(target=watch, name="ends a job", daemon=True)
        watching.start()
        try:
            yield
        except Exception as error:
            if self._is_to_end():
                raise InterruptedRunError("The run was stopped") from error
            raise
        finally:
            over.set()
            watching.join()

    def _qualified(self, name: str) -> str:
        """The name with the project before it, unless another one stands there."""
        return name if name.count(".") >= 2 else f"{self.project}.{name}"


def _patience() -> dict[str, Any]:
    """How long a call waits for its answer, and is tried again while the service asks to wait; the library's own ten minutes of
    that are a person's morning."""
    from google.cloud.bigquery import DEFAULT_RETRY

    return {"retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS), "timeout": REQUEST_SECONDS}


def _once_more(act: Callable[[], Any]) -> Any:
    """Do what a job does, again where the job failed for a reason that passes; only of queries the library does so by itself."""
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

    return DEFAULT_JOB_RETRY.with_timeout(RETRY_SECONDS)(act)()


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    with errors_in_words():
        yield from rest


def connect(settings: Settings, *, run_id: int | None = None, is_to_end: Callable[[], bool] = lambda: False) -> BigQuery:
    """A connection as the settings say; raises ConfigurationError where the library or the credentials are missing."""
    try:
        from google.api_core.client_options import ClientOptions
        from google.cloud import bigquery
    except ImportError:
        raise ConfigurationError(
            "The warehouse bigquery needs packages that are not installed",
            where=f"{PREFIX}WAREHOUSE",
            next="pip install -e '.[bigquery]' in neopulse's folder (docs/bigquery.md), or set NEOPULSE_WAREHOUSE=duckdb",
        ) from None
    with errors_in_words():
        client = bigquery.Client(
            project=settings.bigquery_project,
            credentials=_credentials(settings),
            location=settings.bigquery_location,
            client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint) if settings.bigquery_endpoint else None,
        )
    limits = Limits(job_labels(settings, run_id), settings.bigquery_maximum_bytes, settings.bigquery_job_seconds)
    return BigQuery(
        client,
        location=settings.bigquery_location,
        limits=limits,
        storage_reads=settings.bigquery_storage_reads,
        is_to_end=is_to_end,
    )


def job_labels(settings: Settings, run_id: int | None) -> dict[str, str]:
    """The labels of a job: those of the settings, the application, whose datasets it is about, and the run."""
    given = dict(label.split("=", 1) for label in settings.bigquery_labels)
    return given | own_labels(settings) | ({} if run_id is None else {"run": str(run_id)})


def own_labels(settings: Settings) -> dict[str, str]:
    """What every job that is about these datasets is labelled with: jobs of another prefix never have the same."""
    prefix = settings.bigquery_prefix
    label = prefix.lower()[:50]  # a label has no capitals, and 63 characters
    if label != prefix:
        label += "-" + hashlib.sha256(prefix.encode()).hexdigest()[:12]
    return {"application": APPLICATION, "prefix": label}


def _credentials(settings: Settings) -> Any:
    import google.auth
    from google.auth import impersonated_credentials
    from google.oauth2 import credentials, service_account

    if settings.bigquery_endpoint and is_loopback(settings.bigquery_endpoint):
        return credentials.Credentials(token="loopback")  # type: ignore[no-untyped-call]
    if settings.bigquery_credentials is not None:
        own = _from_key_file(settings.bigquery_credentials, service_account.Credentials)
    else:
        own, _ = google.auth.default(scopes=list(SCOPES))
    if not settings.bigquery_impersonate:
        return own
    return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
        source_credentials=own, target_principal=settings.bigquery_impersonate, target_scopes=list(SCOPES)
    )


def _from_key_file(path: Path, credentials: Any) -> Any:
    try:
        return credentials.from_service_account_file(str(path), scopes=list(SCOPES))
    except OSError as error:
        what = f"The key file of the service account cannot be read: {error.strerror}"
    except (ValueError, KeyError):  # their text may quote the key
        what = "The key file is not that of a service account"
    raise ConfigurationError(what, where=f"{PREFIX}BIGQUERY_CREDENTIALS={path}", next="neopulse check") from None


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Whatever the client raises becomes an error that says what to do."""
    try:
        yield
    except NeopulseError:
        raise
    except Exception as error:
        translated = in_words(error)
        if translated is None:
            raise
        raise translated from error


def in_words(error: Exception) -> NeopulseError | None:
    """An error of the client library or of signing in, by how one recovers; None for any other."""
    import concurrent.futures

    import requests
    from google.api_core import exceptions
    from google.auth import exceptions as signing_in

    unanswered = requests.exceptions.ConnectionError | requests.exceptions.Timeout
    if isinstance(error, signing_in.TransportError | unanswered | exceptions.RetryError):
        return TransientError(f"BigQuery cannot be reached: {_first_line(error)}", where="BigQuery", next="neopulse run")
    if isinstance(error, signing_in.GoogleAuthError):
        return _not_signed_in(_first_line(error))
    if isinstance(error, concurrent.futures.TimeoutError):
        return _took_too_long()
    if not isinstance(error, exceptions.GoogleAPICallError):
        return None
    return said_by_bigquery(str(error.message), reason=_reason(error), status=int(error.code or 0))


def said_by_bigquery(message: str, *, reason: str = "", status: int = 0) -> NeopulseError:
    """An answer of the service in our words; `reason` is its own short word, where it gave one."""
    text = message.strip().splitlines()[0].removesuffix(".") if message.strip() else "no reason given"
    if "limit for bytes billed" in text or reason == "bytesBilledLimitExceeded":
        return ConfigurationError(
            f"A query would cost more than allowed: {text}",
            where=f"{PREFIX}BIGQUERY_MAXIMUM_BYTES",
            next=f"neopulse run --dry-run shows the estimate; raise {PREFIX}BIGQUERY_MAXIMUM_BYTES, {AGAIN}",
        )
    if _OF_THE_DAY in text:
        return ConfigurationError(
            f"What the project may scan in a day is used up: {text}",
            where="BigQuery, the project's custom quota",
            next="raise the quota, or wait until midnight in California, then neopulse run",
        )
    if reason in _PASSING_REASONS or status == 429 or status >= 500:
        return TransientError(f"BigQuery asks to wait: {text}", where="BigQuery", next="neopulse run")
    if reason == "stopped" or "timed out" in text:
        return _took_too_long()
    if status == 401:
        return _not_signed_in(text)
    if status == 403 or reason in ("accessDenied", "billingNotEnabled", "policyViolation"):
        return ConfigurationError(f"BigQuery does not allow it: {text}", where="BigQuery", next=f"grant {_ROLES}, {AGAIN}")
    if status == 404 or reason == "notFound":
        return ConfigurationError(
            f"BigQuery does not find it: {text}",
            where=f"{PREFIX}BIGQUERY_SOURCE, {PREFIX}BIGQUERY_PROJECT, {PREFIX}BIGQUERY_LOCATION",
            next=f"neopulse check lists the tables that are read; mend the settings, {AGAIN}",
        )
    return PermanentError(
        f"BigQuery gave up: {text}", where="BigQuery", next="the run's log; mend the model or the table, " + AGAIN
    )


def refusal(message: str) -> NeopulseError | None:
    """What dbt quotes of the service, where no model has to be mended: rights, limits, quotas; None for anything else."""
    reasons = {
        "limit for bytes billed": "bytesBilledLimitExceeded",
        "Access Denied": "accessDenied",
        "Quota exceeded": "quotaExceeded",
        _OF_THE_DAY: "quotaExceeded",
        "Not found: Dataset": "notFound",
        "Job timed out": "stopped",
        "did not complete within the designated timeout": "stopped",
    }
    for line in map(str.strip, message.splitlines()):
        for words, reason in reasons.items():
            if words in line:
                return said_by_bigquery(line, reason=reason)
        if _PASSING_WORDS.match(line):
            return said_by_bigquery(line, reason="backendError")
    return None


def _not_signed_in(reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"BigQuery does not know who asks: {reason}",
        where=f"{PREFIX}BIGQUERY_CREDENTIALS",
        next=f"set {PREFIX}BIGQUERY_CREDENTIALS to a key file, or gcloud auth application-default login, {AGAIN}",
    )


def _took_too_long() -> PermanentError:
    return PermanentError(
        "A job took longer than it may",
        where=f"{PREFIX}BIGQUERY_JOB_SECONDS",
        next=f"raise {PREFIX}BIGQUERY_JOB_SECONDS or give the project more slots, {AGAIN}",
    )


def _reason(error: Any) -> str:
    errors: Sequence[Mapping[str, Any]] = error.errors or ()
    return str(errors[0].get("reason", "")) if errors else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
