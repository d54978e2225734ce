"""The stand-in for BigQuery, asked by the real client: answers, bytes, refusals, loads, DML, faults."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

from google.api_core import exceptions  # noqa: E402
from google.cloud import bigquery  # noqa: E402
from stand_ins.bigquery import checks, google_sql  # noqa: E402
from stand_ins.bigquery.errors import ApiError  # noqa: E402
from stand_ins.bigquery.faults import Fault, job_inserts  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402

from pipeline.warehouse.base import UNUSABLE  # noqa: E402

MEBIBYTES_10 = 10 * 1024 * 1024
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bank(clock: Clock) -> Iterator[StandIn]:
    with running(clock=clock) as stand_in:
        stand_ins.client(stand_in).create_dataset("bank")
        yield stand_in


@pytest.fixture
def client(bank: StandIn) -> bigquery.Client:
    return stand_ins.client(bank)


def run(client: bigquery.Client, sql: str, **settings: Any) -> bigquery.QueryJob:
    job = client.query(sql, job_config=bigquery.QueryJobConfig(**settings))
    job.result()
    return job


def rows(client: bigquery.Client, sql: str, **settings: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql, job_config=bigquery.QueryJobConfig(**settings)).result()]


def payments(client: bigquery.Client, options: str = "") -> None:
    """Three days, four rows: (1, ada, 1 Jan), (2, bea, 1 Jan), (3, ada, 2 Jan), (4, null, 3 Jan)."""
    run(
        client,
        f"""
        create table bank.payments partition by paid_on cluster by customer {options} as
        select 1 as id, 'ada' as customer, date '2024-01-01' as paid_on, numeric '10.5' as amount
        union all select 2, 'bea', date '2024-01-01', 20
        union all select 3, 'ada', date '2024-01-02', 30.25
        union all select 4, null, date '2024-01-03', 40
        """,
    )


# --- values --------------------------------------------------------------------------------------------------------


def test_every_type_comes_back_as_it_was_asked_for(client: bigquery.Client) -> None:
    sql = """
        select 7 as whole, -0.25 as fraction, numeric '-1.000000001' as money, bignumeric '0.5' as exact, true as flag,
            'é' as text, b'\\x00\\xff' as bytes, date '1969-12-31' as day, time '01:02:03.000004' as moment_of_day,
            datetime '2024-02-29 01:02:03' as local, timestamp '1969-12-31 23:59:59.999999+00' as moment,
            [1, 2] as listed, struct('x' as a, 2 as b) as nested, cast(null as int64) as missing
    """
    expected = (
        7,
        -0.25,
        Decimal("-1.000000001"),
        Decimal("0.5"),
        True,
        "é",
        b"\x00\xff",
        dt.date(1969, 12, 31),
        dt.time(1, 2, 3, 4),
        dt.datetime(2024, 2, 29, 1, 2, 3),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        [1, 2],
        {"a": "x", "b": 2},
        None,
    )
    assert rows(client, sql) == [expected]
    run(client, f"create table bank.kinds as {sql}")
    assert [tuple(row) for row in client.list_rows("bank.kinds")] == [expected]


def test_values_are_googles_and_not_duckdbs(client: bigquery.Client) -> None:
    # from the documentation: halves away from zero, whole units between moments, ISO weeks begin on Monday, greatest of null
    sql = """
        select cast(2.5 as int64), timestamp_diff(timestamp '2024-01-02 01:00:00', timestamp '2024-01-01 23:00:00', day),
            date_trunc(date '2024-01-07', isoweek), greatest(1, null), safe_cast('1.5' as int64), concat('a', null)
    """
    assert rows(client, sql) == [(3, 0, dt.date(2024, 1, 1), None, None, None)]


def test_a_column_without_a_name_is_numbered(client: bigquery.Client) -> None:
    job = client.query("select 1, 2 as two, 3")
    assert [field.name for field in job.result().schema] == ["f0_", "two", "f1_"]


def test_no_rows_have_columns_all_the_same(client: bigquery.Client) -> None:
    answer = client.query("select 1 as one, date '2024-01-01' as day limit 0").result()
    assert [(field.name, field.field_type) for field in answer.schema] == [("one", "INTEGER"), ("day", "DATE")]
    assert list(answer) == []


def test_pages_hold_every_row_once(client: bigquery.Client) -> None:
    sql = "select n from unnest(generate_array(1, 25)) as n"
    assert [row[0] for row in client.query(sql).result(page_size=10)] == list(range(1, 26))
    run(client, f"create table bank.numbers as {sql}")
    assert [row[0] for row in client.list_rows("bank.numbers", page_size=10)] == list(range(1, 26))


def test_parameters_are_values_and_not_text(client: bigquery.Client) -> None:
    parameters = [
        bigquery.ScalarQueryParameter("name", "STRING", "o'neill"),
        bigquery.ArrayQueryParameter("days", "DATE", [dt.date(2024, 1, 1)]),
    ]
    answer = rows(client, "select @name, date '2024-01-01' in unnest(@days)", query_parameters=parameters)
    assert answer == [("o'neill", True)]


def test_both_engines_say_alike_why_no_transaction_can_be_used(client: bigquery.Client) -> None:
    duck = duckdb.connect()
    duck.execute("create schema bank")
    tables = {
        "bank.raw": "select '12/1/2010' as created_date union all select '13/1/2010' union all select null",
        "bank.staging": "select 'b' as rejection_reason union all select 'a' union all select 'b' union all select null",
    }
    for name, rows_of_it in tables.items():
        duck.execute(f"create table {name} as {rows_of_it}")
        run(client, f"create table {name} as {rows_of_it}")
    asked = UNUSABLE.format(raw="bank.raw", staging="bank.staging")
    assert rows(client, asked) == duck.execute(asked).fetchall() == [("b", 2, "12/1/2010"), ("a", 1, "12/1/2010")]


def test_a_view_follows_its_tables(client: bigquery.Client) -> None:
    payments(client)
    run(client, "create view bank.sums as select customer, sum(amount) as amount from bank.payments group by customer")
    run(client, "create view bank.largest as select max(amount) as amount from bank.sums")
    assert rows(client, "select amount from bank.largest") == [(Decimal("40.75"),)]
    run(client, "delete from bank.payments where id = 3")
    assert rows(client, "select amount from bank.largest") == [(Decimal("40"),)]


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select nothing from bank.payments", "Unrecognized name: nothing at [1:8]"),
        ("selec 1", 'Syntax error: Unexpected identifier "selec" at [1:1]'),
        (
            "select id from bank.payments where id = customer",
            "No matching signature for operator = for argument types: INT64, STRING",
        ),
        ("select id::int64 from bank.payments", "Syntax error"),
        ("update bank.payments set id = 1", "UPDATE must have a WHERE clause"),
        ("select 1 / 0", "division by zero"),
        ("select id, id from bank.payments", "Found duplicate(s): id"),
        ("select max_by(id, amount) from bank.payments", "The stand-in cannot run MAX_BY"),
        ("select approx_count_distinct(id) from bank.payments", "The stand-in cannot run APPROX_COUNT_DISTINCT"),
        (
            "select one.id from bank.payments as one left join bank.payments as two on one.id < two.id and two.id = 3",
            "LEFT OUTER JOIN cannot be used without a condition that is an equality of fields from both sides of the join.",
        ),
        ("call bank.procedure()", "The BigQuery stand-in does not do this"),
    ],
)
def test_wrong_sql_is_refused_with_googles_text(client: bigquery.Client, sql: str, text: str) -> None:
    payments(client)
    with pytest.raises(exceptions.BadRequest) as refusal:
        rows(client, sql)
    assert text in str(refusal.value)
    assert "invalidQuery" in str(refusal.value)


def test_what_is_not_there_is_404(client: bigquery.Client) -> None:
    for ask in (
        lambda: client.get_dataset("nowhere"),
        lambda: client.get_table("bank.nothing"),
        lambda: rows(client, "select * from bank.nothing"),
        lambda: client.get_job("no-such-job"),
        lambda: list(client.list_tables("nowhere")),
    ):
        with pytest.raises(exceptions.NotFound):
            ask()


def test_no_token_is_401_and_a_denied_path_403(bank: StandIn, client: bigquery.Client) -> None:
    import requests

    assert requests.get(f"{bank.url}/bigquery/v2/projects/project-one/datasets", timeout=10).status_code == 401
    bank.faults.deny("/datasets/bank")
    with pytest.raises(exceptions.Forbidden):
        client.get_dataset("bank")


def test_a_job_id_serves_once(client: bigquery.Client) -> None:
    schema = [bigquery.SchemaField("a", "INT64")]
    settings = bigquery.LoadJobConfig(schema=schema)
    client.load_table_from_json([{"a": 1}], "bank.loaded", job_id="load-1", job_config=settings).result()
    with pytest.raises(exceptions.Conflict):
        client.load_table_from_json([{"a": 1}], "bank.loaded", job_id="load-1", job_config=settings).result()
    assert client.get_job("load-1").output_rows == 1
    assert [tuple(row) for row in client.list_rows("bank.loaded")] == [(1,)]


# --- bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "bytes_processed"),
    [
        ("select id from bank.payments", 4 * 8),
        ("select customer from bank.payments", 3 * (2 + 3)),  # null is nothing
        ("select * from bank.payments", 4 * (8 + 8 + 16) + 15),
        ("select count(*) from bank.payments", 0),
        ("select id from bank.payments where paid_on = '2024-01-01'", 2 * (8 + 8)),
        ("select id from bank.payments where paid_on between '2024-01-02' and '2024-01-03'", 2 * (8 + 8)),
        ("select id from bank.payments where paid_on in ('2024-01-03', '2025-01-01')", 8 + 8),
        ("select id from bank.payments where paid_on >= date_sub(date '2024-01-05', interval 2 day)", 8 + 8),
        (
            "select id from bank.payments where (paid_on >= '2024-01-01' and paid_on < '2024-01-02') or paid_on is null"
            " or (paid_on > '2024-01-02' and paid_on <= '2024-01-04')",
            3 * (8 + 8),
        ),
        ("select id from bank.payments where (paid_on >= '2024-01-03' and id > 1) or paid_on is null", 4 * (8 + 8)),
        ("select id from bank.payments where paid_on > (select min(paid_on) from bank.payments)", 4 * (8 + 8)),
        ("with p as (select * from bank.payments) select id from p where paid_on < '2024-01-02'", 2 * (8 + 8)),
        ("select a.id from bank.payments a join bank.payments b on a.id = b.id", 4 * 8),  # once, however often it is named
        ("select id from (select *, row_number() over (order by amount) n from bank.payments)", 4 * 8),
    ],
)
def test_bytes_are_those_of_the_columns_and_partitions_read(client: bigquery.Client, sql: str, bytes_processed: int) -> None:
    payments(client)
    dry = client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True))
    assert dry.total_bytes_processed == bytes_processed
    real = run(client, sql)
    assert real.total_bytes_processed == bytes_processed
    assert real.total_bytes_billed == (MEBIBYTES_10 if bytes_processed else 0)


@pytest.mark.parametrize("grain", ["day", "month", "year"])
def test_partitions_reach_from_the_first_to_the_last_day_of_the_calendar(client: bigquery.Client, grain: str) -> None:
    query = "select day, 1 as one from unnest([date '0001-01-01', date '2024-02-29', date '9999-12-31']) as day"
    by = "day" if grain == "day" else f"date_trunc(day, {grain})"
    client.query(f"create table bank.ends partition by {by} as {query}").result()
    for day in (dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)):
        job = client.query(f"select one from bank.ends where day = date '{day}'")
        assert ([row.one for row in job.result()], job.total_bytes_processed) == ([1], 16)


def test_a_filter_on_a_view_reaches_the_partitions_below(client: bigquery.Client) -> None:
    payments(client)
    run(client, "create view bank.named as select id, customer, paid_on as day from bank.payments where customer is not null")
    job = run(client, "select id from bank.named where day = '2024-01-02'")
    assert job.total_bytes_processed == 8 + 8 + (2 + 3)
    assert [table.table_id for table in job.referenced_tables] == ["payments"]


def test_a_query_above_its_limit_is_not_run(client: bigquery.Client) -> None:
    payments(client)
    text = "Query exceeded limit for bytes billed: 1000. 10485760 or higher required."
    with pytest.raises(exceptions.GoogleAPICallError, match=re.escape(text)) as refusal:
        run(client, "create table bank.copied as select id from bank.payments", maximum_bytes_billed=1000)
    assert "bytesBilledLimitExceeded" in str(refusal.value)
    with pytest.raises(exceptions.NotFound):
        client.get_table("bank.copied")


def test_a_required_partition_filter_is_required(client: bigquery.Client) -> None:
    payments(client, "options (require_partition_filter = true)")
    text = (
        "Cannot query over table 'project-one.bank.payments' without a filter over column(s) 'paid_on' "
        "that can be used for partition elimination"
    )
    for sql in (
        "select id from bank.payments",
        "select id from bank.payments where id = 1",
        "delete from bank.payments where id = 1",
    ):
        with pytest.raises(exceptions.BadRequest) as refusal:
            run(client, sql)
        assert text in str(refusal.value)
    assert rows(client, "select id from bank.payments where paid_on = '2024-01-02'") == [(3,)]


# --- writing -------------------------------------------------------------------------------------------------------


def test_merge_updates_inserts_and_deletes_each_row_once(client: bigquery.Client) -> None:
    payments(client)
    job = run(
        client,
        """
        merge into bank.payments as kept
        using (select 1 as id, 'eve' as customer, date '2024-01-01' as paid_on, 1 as amount
            union all select 9, 'fay', date '2024-01-09', 9) as fresh
        on kept.id = fresh.id
        when matched then update set customer = fresh.customer, amount = kept.amount + fresh.amount
        when not matched then insert (id, customer, paid_on, amount) values (id, customer, paid_on, amount)
        when not matched by source and kept.paid_on > '2024-01-02' then delete
        """,
    )
    assert rows(client, "select id, customer, amount from bank.payments order by id") == [
        (1, "eve", Decimal("11.5")),
        (2, "bea", Decimal("20")),
        (3, "ada", Decimal("30.25")),
        (9, "fay", Decimal("9")),
    ]
    assert job.num_dml_affected_rows == 3
    assert (job.dml_stats.inserted_row_count, job.dml_stats.updated_row_count, job.dml_stats.deleted_row_count) == (1, 1, 1)


def test_two_source_rows_for_one_target_row_are_refused(client: bigquery.Client) -> None:
    payments(client)
    with pytest.raises(exceptions.BadRequest, match="must match at most one source row for each target row"):
        run(
            client,
            """
            merge into bank.payments as kept using (select 1 as id union all select 1) as fresh on kept.id = fresh.id
            when matched then update set amount = 0
            """,
        )
    assert rows(client, "select amount from bank.payments where id = 1") == [(Decimal("10.5"),)]


def test_partitions_know_when_they_were_written(client: bigquery.Client, clock: Clock) -> None:
    payments(client)
    clock.now += dt.timedelta(hours=1)
    run(client, "insert into bank.payments (id, paid_on) values (5, '2024-01-02')")
    found = rows(
        client,
        """
        select partition_id, total_rows, last_modified_time from bank.INFORMATION_SCHEMA.PARTITIONS
        where table_name = 'payments' order by partition_id
        """,
    )
    assert found == [("20240101", 2, NOON), ("20240102", 2, clock.now), ("20240103", 1, NOON)]


def test_a_script_has_variables_and_temporary_tables(client: bigquery.Client) -> None:
    payments(client)
    job = run(
        client,
        """
        declare days array<date>;
        declare lowest int64 default 2;
        create temp table fresh as select * from bank.payments where id >= lowest;
        set (days) = (select as struct array_agg(distinct paid_on) from fresh);
        merge into bank.payments as kept using (select 7 as id, date '2024-01-03' as paid_on) as made on false
        when not matched by source and kept.paid_on in unnest(days) then delete
        when not matched then insert (id, paid_on) values (id, paid_on);
        """,
    )
    assert job.statement_type == "SCRIPT"
    assert rows(client, "select id from bank.payments") == [(7,)]


def test_a_failed_transaction_leaves_nothing(client: bigquery.Client) -> None:
    payments(client)
    with pytest.raises(exceptions.BadRequest):
        run(client, "begin transaction; delete from bank.payments where true; select 1 / 0; commit transaction;")
    assert rows(client, "select count(*) from bank.payments") == [(4,)]


def test_a_table_keeps_what_it_was_created_with(client: bigquery.Client, clock: Clock) -> None:
    run(
        client,
        """
        create table bank.described (amount numeric(18, 4) not null options (description = 'euros'), day date)
        partition by date_trunc(day, month) cluster by amount
        options (description = 'a table', labels = [('owner', 'tests')], require_partition_filter = true,
            expiration_timestamp = timestamp '2024-05-02 00:00:00')
        """,
    )
    table = client.get_table("bank.described")
    amount = table.schema[0]
    assert (amount.field_type, amount.precision, amount.scale, amount.mode, amount.description) == (
        "NUMERIC",
        18,
        4,
        "REQUIRED",
        "euros",
    )
    assert (table.time_partitioning.type_, table.time_partitioning.field, table.clustering_fields) == ("MONTH", "day", ["amount"])
    assert (table.description, table.labels, table.require_partition_filter) == ("a table", {"owner": "tests"}, True)
    clock.now += dt.timedelta(days=1)
    with pytest.raises(exceptions.NotFound):
        client.get_table("bank.described")


def test_a_table_is_not_replaced_by_one_partitioned_otherwise(client: bigquery.Client) -> None:
    payments(client)
    with pytest.raises(exceptions.BadRequest, match="Cannot replace a table with a different partitioning spec"):
        run(client, "create or replace table bank.payments as select 1 as id")


def test_files_are_loaded_by_both_kinds_of_upload(client: bigquery.Client) -> None:
    import pandas

    frame = pandas.DataFrame({"id": [1, 2], "name": ["x", None], "day": [dt.date(2024, 1, 1), None]})
    client.load_table_from_dataframe(frame, "bank.frame").result()
    text = b'id,name,day\n1,"x, y",2024-01-01\n2,"",\n3,,2024-01-03\n'
    schema = [bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("name", "STRING"), bigquery.SchemaField("day", "DATE")]
    settings = bigquery.LoadJobConfig(schema=schema, skip_leading_rows=1, source_format="CSV")
    for _ in range(2):
        settings.write_disposition = "WRITE_TRUNCATE"
        client.load_table_from_file(io.BytesIO(text), "bank.csv", job_config=settings).result()
    assert [tuple(row) for row in client.list_rows("bank.frame")] == [(1, "x", dt.date(2024, 1, 1)), (2, None, None)]
    assert [tuple(row) for row in client.list_rows("bank.csv")] == [
        (1, "x, y", dt.date(2024, 1, 1)),
        (2, "", None),
        (3, None, dt.date(2024, 1, 3)),
    ]


def test_a_file_that_does_not_fit_writes_nothing(client: bigquery.Client) -> None:
    settings = bigquery.LoadJobConfig(schema=[bigquery.SchemaField("id", "INT64")], source_format="CSV")
    with pytest.raises(exceptions.BadRequest, match="Could not parse 'x' as INT64 for field id"):
        client.load_table_from_file(io.BytesIO(b"1\nx\n"), "bank.csv", job_config=settings).result()
    with pytest.raises(exceptions.NotFound):
        client.get_table("bank.csv")


def test_a_copy_and_a_clone_are_tables_of_their_own(client: bigquery.Client) -> None:
    payments(client)
    client.copy_table("bank.payments", "bank.copied").result()
    run(client, "create or replace table bank.cloned clone bank.payments")
    run(client, "truncate table bank.payments")
    assert rows(client, "select (select count(*) from bank.copied), (select count(*) from bank.cloned)") == [(4, 4)]
    assert client.get_table("bank.cloned").time_partitioning.field == "paid_on"


# --- faults --------------------------------------------------------------------------------------------------------


def test_a_fault_before_the_call_changes_nothing_and_one_after_it_has_taken_effect(
    bank: StandIn, client: bigquery.Client
) -> None:
    def create(name: str) -> Any:
        return client.create_table(bigquery.Table(f"project-one.bank.{name}", []), retry=None)

    bank.faults.add(Fault(status=503))
    with pytest.raises(exceptions.ServiceUnavailable):
        create("before")
    bank.faults.add(Fault(status=0, after=True))
    with pytest.raises((ConnectionError, OSError)):
        create("after")
    assert [table.table_id for table in client.list_tables("bank")] == ["after"]


def test_the_client_tries_again_after_a_quota_answer(bank: StandIn, client: bigquery.Client) -> None:
    bank.faults.add(Fault(status=429, matches=job_inserts))
    assert rows(client, "select 1") == [(1,)]
    assert [call.status for call in bank.calls if call.job_kind == "query"] == [429, 200]


def test_calls_are_recorded_with_what_they_asked(bank: StandIn, client: bigquery.Client) -> None:
    payments(client)
    run(client, "select id from bank.payments", labels={"step": "transform"})
    call = [call for call in bank.calls if call.job_kind == "query"][-1]
    assert (call.method, call.status, call.bytes_processed, call.labels) == ("POST", 200, 32, {"step": "transform"})


def test_a_job_can_seem_to_run_and_be_cancelled(bank: StandIn, client: bigquery.Client) -> None:
    bank.protocol.jobs.seeming_to_run = 1000
    job = client.query("select 1", job_id="slow", job_retry=None)
    assert not job.done()
    client.cancel_job("slow")
    assert client.get_job("slow").error_result["reason"] == "stopped"


# --- without a server ----------------------------------------------------------------------------------------------


def test_a_statement_can_be_checked_without_rows() -> None:
    tables = {"project.bank.payments": {"id": "INT64", "paid_on": "DATE"}}
    columns = checks.analyze("select paid_on, count(*) as payments from bank.payments group by paid_on", tables)
    assert [(column.name, column.type) for column in columns] == [("paid_on", "DATE"), ("payments", "INT64")]
    with pytest.raises(ApiError, match="Unrecognized name: amount"):
        checks.analyze("select amount from bank.payments", tables)


def test_the_compiled_module_is_kept_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(google_sql.CACHE_VARIABLE, "/somewhere/else")
    assert str(google_sql.cache_folder()) == "/somewhere/else"
