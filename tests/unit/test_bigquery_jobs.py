"""What becomes of a job whose answer was lost, that failed for a reason that passes, or that nobody waits for any more."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from google.cloud.bigquery.job.base import _error_result_to_exception  # noqa: E402
from stand_ins.bigquery.errors import ApiError  # noqa: E402
from stand_ins.bigquery.faults import Fault, job_inserts  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402

from pipeline.bigquery import BigQuery, connect, refusal  # noqa: E402
from pipeline.clock import FixedClock  # noqa: E402
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.warehouse.bigquery import BigQueryWarehouse  # noqa: E402
from pipeline.warehouse.bigquery_versions import BigQueryVersions  # noqa: E402

NOON = datetime(2026, 5, 16, 12, tzinfo=UTC)
PASSES = ApiError(500, "backendError", "Error encountered during execution. Retrying may solve the problem.")


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as made:
        made.warehouse.create_dataset(bigquery_bank.PROJECT, "neopulse_raw")
        yield made


@pytest.fixture
def settings(stand_in: StandIn, tmp_path: Path) -> Settings:
    return bigquery_bank.settings(stand_in, tmp_path)


@pytest.fixture
def connection(settings: Settings) -> BigQuery:
    return connect(settings, run_id=1)


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    path = tmp_path / "countries.parquet"
    pa.parquet.write_table(pa.table({"alpha_2": ["FR", "DE"]}), path)
    return path


def version(name: str) -> Any:
    return SimpleNamespace(name=name, as_of=date(2026, 5, 15), published_at=NOON)


def is_copy(method: str, path: str, body: Any) -> bool:
    return job_inserts(method, path, body) and "copy" in body["configuration"]


def is_patch(method: str, _path: str, _body: Any) -> bool:
    return method == "PATCH"


def test_a_copy_whose_answer_was_lost_is_the_one_that_was_begun(stand_in: StandIn, connection: BigQuery) -> None:
    connection.execute("create table neopulse_raw.one as select 1 as number")
    stand_in.faults.add(Fault(status=503, after=True, matches=is_copy))
    connection.copy_tables([("neopulse_raw.one", "neopulse_raw.other")])
    assert connection.rows("select number from neopulse_raw.other") == [{"number": 1}]
    assert len([job for job in stand_in.protocol.jobs.list(bigquery_bank.PROJECT) if job.kind == "copy"]) == 1


def test_a_change_whose_answer_was_lost_is_made_once_more(stand_in: StandIn, connection: BigQuery, countries: Path) -> None:
    connection.make_dataset("neopulse", description="")
    for _ in range(2):
        stand_in.faults.add(Fault(status=503, after=True, matches=is_patch))
    connection.load_parquet(countries, "neopulse_raw.countries")
    connection.let_views_read(reader="neopulse", dataset="neopulse_raw")
    assert len(stand_in.warehouse.dataset(bigquery_bank.PROJECT, "neopulse_raw").access) == 1


def test_a_load_and_a_copy_that_failed_for_a_passing_reason_are_done_again(
    stand_in: StandIn, connection: BigQuery, countries: Path
) -> None:
    stand_in.protocol.jobs.failing = [("'load'", PASSES), ("'copy'", PASSES)]
    connection.load_parquet(countries, "neopulse_raw.countries")
    connection.copy_tables([("neopulse_raw.countries", "neopulse_raw.others")])
    assert connection.number_of_rows("neopulse_raw.others") == 2
    assert stand_in.protocol.jobs.failing == []


def test_a_load_that_was_refused_once_is_tried_by_the_next_run(stand_in: StandIn, connection: BigQuery, countries: Path) -> None:
    stand_in.protocol.jobs.failing = [("'load'", ApiError(403, "accessDenied", "Access Denied: Table countries"))]
    with pytest.raises(ConfigurationError, match="does not allow it"):
        connection.load_parquet(countries, "neopulse_raw.countries")
    connection.load_parquet(countries, "neopulse_raw.countries")
    assert connection.number_of_rows("neopulse_raw.countries") == 2


def test_every_job_has_a_time_limit_at_the_service(stand_in: StandIn, connection: BigQuery, countries: Path) -> None:
    connection.load_parquet(countries, "neopulse_raw.countries")
    connection.copy_tables([("neopulse_raw.countries", "neopulse_raw.others")])
    connection.rows("select 1 as one")
    jobs = stand_in.protocol.jobs.list(bigquery_bank.PROJECT)
    assert {job.kind: job.configuration["jobTimeoutMs"] for job in jobs} == dict.fromkeys(("query", "copy", "load"), "3600000")


def test_jobs_that_runs_of_these_datasets_left_are_cancelled_and_no_others(stand_in: StandIn, settings: Settings) -> None:
    jobs = stand_in.protocol.jobs
    jobs.seeming_to_run = 1000
    others = bigquery_bank.settings(stand_in, settings.home, bigquery_prefix="somebody_else")
    for whose, run_id in ((settings, 7), (settings, 8), (others, 7), (settings, None)):
        connect(whose, run_id=run_id)._started("select 1")
    begun = [job.id for job in reversed(jobs.list(bigquery_bank.PROJECT))]

    def cancelled() -> list[bool]:
        return [jobs.get(bigquery_bank.PROJECT, name).cancelled for name in begun]

    warehouse = BigQueryWarehouse(connect(settings, run_id=7), settings, project=settings.home, run_id=7)
    warehouse.abandon()
    assert cancelled() == [True, False, False, False]
    warehouse._end_what_earlier_runs_left()
    assert cancelled() == [True, True, False, False]


def test_one_job_that_may_not_be_cancelled_keeps_no_other_from_it(stand_in: StandIn, connection: BigQuery) -> None:
    jobs = stand_in.protocol.jobs
    jobs.seeming_to_run = 1000
    for _ in range(3):
        connection._started("select 1")
    stand_in.faults.add(Fault(status=403, times=1, matches=lambda _method, path, _body: path.endswith("/cancel")))
    with pytest.raises(ConfigurationError, match="told to fail here"):
        connection.cancel(lambda labels: labels["run"] == "1")
    assert sorted(job.cancelled for job in jobs.list(bigquery_bank.PROJECT)) == [False, True, True]


def test_a_job_that_is_waited_for_ends_with_the_run(
    stand_in: StandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.bigquery.LOOK_SECONDS", 0.05)
    stand_in.protocol.jobs.seeming_to_run = 1_000_000
    connection, begun = connect(settings, run_id=1, is_to_end=lambda: True), time.monotonic()
    with pytest.raises(InterruptedRunError):
        connection.rows("select 1 as one")
    assert [job.cancelled for job in stand_in.protocol.jobs.list(bigquery_bank.PROJECT)] == [True]
    assert time.monotonic() - begun < 5


def test_a_job_that_is_cancelled_and_goes_on_holds_the_next_run_up(stand_in: StandIn, connection: BigQuery) -> None:
    stand_in.protocol.jobs.seeming_to_run = 10_000
    job = connection._started("select 1")
    with pytest.raises(TransientError, match="goes on"):
        connection.see_end([job], clock=FixedClock(NOON))


def test_a_service_that_never_answers_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.bigquery.REQUEST_SECONDS", 0.1)
    monkeypatch.setattr("pipeline.bigquery.RETRY_SECONDS", 0.2)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connection, begun = connect(settings.model_copy(update={"bigquery_endpoint": address})), time.monotonic()
        with pytest.raises(TransientError, match="cannot be reached"):
            connection.tables("neopulse_raw")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (str(_error_result_to_exception(PASSES.as_error_proto(), [PASSES.as_error_proto()])), TransientError),
        ("503 POST https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs: Service unavailable.", TransientError),
        ("Timeout of 600.0s exceeded, last exception: 503 GET https://bigquery.googleapis.com: Try again", TransientError),
        ("Exceeded rate limits: too many table update operations for this table.", TransientError),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))", TransientError),
        ("Operation did not complete within the designated timeout of 3600 seconds.", PermanentError),
        ("Custom quota exceeded: Your usage exceeded the custom quota for QueryUsagePerDay, set by your a…", ConfigurationError),
        ("Syntax error: Unexpected identifier at [500:1]", None),
        ("Column 500 of the contract is missing", None),
    ],
)
def test_what_dbt_quotes_of_an_outage_is_no_fault_of_the_model(said: str, kind: type[NeopulseError] | None) -> None:
    refused = refusal(f"Database Error in model fct_users (models/fct_users.sql)\n  {said}")
    assert (refused and type(refused)) == kind


def test_what_others_keep_beside_the_stable_views_stays(connection: BigQuery) -> None:
    versions = BigQueryVersions(lambda: connection, prefix="neopulse", keep=2)
    for number, name in ((1, "mart_old"), (2, "mart_new")):
        connection.make_dataset(f"neopulse_v000{number}", description="")
        connection.execute(f"create table neopulse_v000{number}.{name} as select 1 as number")
    connection.make_dataset("neopulse", description="")
    versions.make_current(version("v0001"))
    connection.execute("create table neopulse.notes as select 'ours' as note")
    connection.execute("create view neopulse.analysis as select number from `bank-analytics.neopulse.mart_old`")
    versions.make_current(version("v0002"))
    assert connection.tables("neopulse") == ["analysis", "current_version", "mart_new", "notes"]
