"""Publishing in BigQuery with a small dbt project: datasets, views and pointer, what fails, and what is left then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
import builds  # noqa: E402
from hand_made import facts  # noqa: E402
from histories import History  # noqa: E402
from stand_ins.bigquery.faults import Fault, job_inserts  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402

from pipeline.bigquery import connect  # noqa: E402
from pipeline.clock import FixedClock  # noqa: E402
from pipeline.context import StepContext, StepResult  # noqa: E402
from pipeline.errors import ConfigurationError, DataError, HeldError, NeopulseError, TransientError  # noqa: E402
from pipeline.extract.facts import land_facts  # noqa: E402
from pipeline.runs.records import StepState  # noqa: E402
from pipeline.runs.store import RunStore  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.sources.bigquery import look  # noqa: E402
from pipeline.transform import DBT_PROJECT, transform  # noqa: E402
from pipeline.warehouse import choice  # noqa: E402
from pipeline.warehouse.held import Held, HeldCandidates  # noqa: E402
from pipeline.warehouse.publication import Candidate, Publications, Version  # noqa: E402

NOW = datetime(2019, 5, 16, 12, tzinfo=UTC)
FILES = {
    "dbt_project.yml": """
name: neopulse
version: "1.0.0"
profile: neopulse
models:
  neopulse:
    +materialized: table
    warehouse: {+schema: warehouse}
    marts: {+schema: marts}
""",
    "macros/schemas.sql": "{% macro generate_schema_name(name, node) %}{{ target.schema }}_{{ name }}{% endmacro %}",
    "models/warehouse/dim_publication.sql": """
        select
            date_sub(cast('{{ var("current_bank_day") }}' as date), interval 1 day) as as_of,
            {{ var("inactivity_days") }} as inactivity_days,
            '{{ var("bank_timezone") }}' as bank_timezone,
            'COMPLETED' as activity_rule,
            '{{ var("source_name") }}' as source_name
    """,
    "models/warehouse/fct_users.sql": "select user_id, plan from `{{ target.project }}`.`{{ target.schema }}_raw`.users",
    "models/marts/mart_customers.sql": "select user_id, plan, 1 as number_of_accounts from {{ ref('fct_users') }}",
    "models/marts/mart_plans.sql": """
        {{ config(materialized='view') }}
        select plan, count(*) as customers from {{ ref('mart_customers') }} group by plan
    """,
    "models/marts/_marts.yml": """
models:
  - name: mart_customers
    description: Each customer.
    columns:
      - name: user_id
        data_type: string
        data_tests: [unique]
      - name: number_of_accounts
        data_type: integer
""",
}


@dataclass
class House:
    """A home, a bank in BigQuery, a dbt project, and the means to run extract and transform on them."""

    stand_in: StandIn
    home: Path
    project: Path
    given: dict[str, Any] = field(default_factory=dict)
    first: StepResult | None = None

    @property
    def settings(self) -> Settings:
        return bigquery_bank.settings(self.stand_in, self.home, **self.given)

    @property
    def publications(self) -> Publications:
        return choice.publications(self.settings)

    def bank(self, *plans: str) -> None:
        """Let the bank have one customer for each plan."""
        history = History()
        for number, plan in enumerate(plans, start=1):
            history.customer(number, opened=date(2019, 1, 1), plan=plan)
            history.active(number, date(2019, 2, number))
        bigquery_bank.load(stand_ins.client(self.stand_in, bigquery_bank.SOURCE_PROJECT), history.tables())

    def run(self, *plans: str) -> StepResult:
        """Look at a bank of these plans, build, test and publish."""
        if plans:
            self.bank(*plans)
        settings, store = self.settings, RunStore.open(self.settings.run_store_url, clock=FixedClock(NOW))
        lease = store.take_lease("this test", seconds=600)
        plan = (("transform", StepState.PENDING),)
        run = store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="transform")
        context = StepContext(
            settings,
            store,
            run,
            FixedClock(NOW),
            self.publications,
            lambda _fraction, _text: None,
            lambda: False,
            lambda: store.assert_held(lease),
        )
        try:
            land_facts(settings.home / "landing", settings, clock=FixedClock(NOW))
            look(connect(settings), settings, settings.home / "landing", clock=FixedClock(NOW))
            return transform(context, project=self.project)
        finally:
            store.release(lease)

    def shown(self, relation: str = "mart_plans", columns: str = "plan") -> set[Any]:
        """What a view of BigQuery shows."""
        found = bigquery_bank.rows(self.client, f"select {columns} from neopulse.{relation}")
        return {next(iter(row.values())) for row in found}

    def datasets(self) -> set[str]:
        """The datasets of versions."""
        names = {dataset.dataset_id for dataset in self.client.list_datasets()}
        return {name for name in names if name.startswith("neopulse_v")}

    @property
    def client(self) -> Any:
        """Somebody else, who asks BigQuery itself."""
        return stand_ins.client(self.stand_in, bigquery_bank.PROJECT)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def published_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that has published customers of two plans, for tests that publish nothing more."""
    with built(tmp_path_factory.mktemp("published")) as made:
        made.given = {"bigquery_labels": "team=growth"}
        made.first = made.run("STANDARD", "METAL")
        yield made


@contextmanager
def built(folder: Path) -> Iterator[House]:
    project = folder / "project"
    for name, text in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(DBT_PROJECT / "profiles.yml", project)
    with running() as stand_in, builds.quick_children():
        yield House(stand_in, folder / "home", project)


def pointer_moves(method: str, path: str, body: Any) -> bool:
    """The one statement that makes another version current."""
    return job_inserts(method, path, body) and "current_version` as select" in str(body)


def test_a_version_is_a_dataset_of_its_own_that_stable_views_and_the_app_show_alike(published_house: House) -> None:
    house, result = published_house, published_house.first
    version = house.publications.current()
    assert version is not None
    assert result is not None
    assert (result.service, version.name, version.source, version.as_of) == ("bigquery", "v0001", "BigQuery", date(2019, 5, 15))
    assert house.datasets() == {"neopulse_v0001"}
    assert house.shown() == {"STANDARD", "METAL"}
    assert house.shown("current_version", "version") == {"v0001"}
    with duckdb.connect(version.database, read_only=True) as file:
        assert file.execute("select user_id, plan from marts.mart_customers order by 1").fetchall() == [
            ("user_1", "STANDARD"),
            ("user_2", "METAL"),
        ]
        kinds = dict(file.execute("select column_name, data_type from information_schema.columns").fetchall())
    assert kinds["number_of_accounts"] == "INTEGER"  # as the model declares it, not the one integer type that BigQuery has
    assert kinds["as_of"] == "DATE"


def test_a_candidate_whose_test_fails_is_shown_nowhere(published_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house, broken = published_house, published_house.project.with_name("broken")
    shutil.copytree(house.project, broken)
    (broken / "models/warehouse/fct_users.sql").write_text("select 'one' as user_id, 'ULTRA' as plan from unnest([1, 2])")
    monkeypatch.setattr(house, "project", broken)
    with pytest.raises(DataError, match="more than once: 1"):
        house.run("ULTRA", "ULTRA")
    assert house.datasets() == {"neopulse_v0001"}
    assert house.shown() == {"STANDARD", "METAL"}
    current = house.publications.current()
    assert current is not None
    assert current.name == "v0001"


class State:
    """What a build leaves in the state of BigQuery, without a build; candidates of it, held and published."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clock = FixedClock(NOW)
        for dataset in ("neopulse_marts", "neopulse_warehouse"):
            house.client.create_dataset(dataset)

    def candidate(self, run_id: int, *plans: str) -> Candidate:
        """The state as a run left it, and the app's copy of it."""
        each = " union all ".join(f"select '{plan}' as plan, 1 as customers" for plan in plans)
        bigquery_bank.rows(self.house.client, f"create or replace table neopulse_marts.mart_plans as {each}")
        folder = self.house.home / "candidates" / str(run_id) / "version"
        folder.mkdir(parents=True)
        (folder / "published.duckdb").write_text(f"data of run {run_id}")
        self.clock.sleep(60)
        return Candidate(folder, facts(run_id, rows={"mart_plans": len(plans)}), lease_token=run_id, started_at=self.clock.now())

    def publish(self, candidate: Candidate) -> Version:
        return self.house.publications.publish(candidate, clock=self.clock, guard=lambda: None)

    def hold(self, candidate: Candidate) -> Held:
        return HeldCandidates(self.house.publications).hold(candidate, [], clock=self.clock, guard=lambda: None)

    def approve(self, held: Held, run_id: int) -> Version:
        self.clock.sleep(60)
        return HeldCandidates(self.house.publications).publish(
            held,
            self.house.home / "candidates" / str(run_id),
            lease_token=run_id,
            started_at=self.clock.now(),
            clock=self.clock,
            guard=lambda: None,
        )

    def held_datasets(self) -> set[str]:
        names = {dataset.dataset_id for dataset in self.house.client.list_datasets()}
        return {name for name in names if "_held_" in name}


def test_a_held_candidate_is_published_as_it_was_held_whatever_was_built_since(house: House) -> None:
    state = State(house)
    state.publish(state.candidate(1, "STANDARD"))
    held = state.hold(state.candidate(2, "METAL", "ULTRA"))
    assert (state.held_datasets(), house.datasets()) == ({"neopulse_held_2"}, {"neopulse_v0001"})
    assert house.shown() == {"STANDARD"}
    state.candidate(3, "BROKEN")  # the next run builds in the state, and fails
    assert state.approve(held, 4).name == "v0002"
    assert house.shown() == {"METAL", "ULTRA"}
    assert house.shown("current_version", "version") == {"v0002"}
    assert (state.held_datasets(), house.datasets()) == (set(), {"neopulse_v0001", "neopulse_v0002"})


def test_a_rejected_candidate_leaves_no_dataset_and_neither_does_one_that_is_overtaken(house: House) -> None:
    state = State(house)
    state.publish(state.candidate(1, "STANDARD"))
    state.hold(state.candidate(2, "METAL"))
    HeldCandidates(house.publications).reject(2)
    assert (state.held_datasets(), HeldCandidates(house.publications).waiting()) == (set(), [])
    state.hold(state.candidate(3, "METAL"))
    shutil.rmtree(house.home / "held")  # a crash came before the folder was in place
    state.publish(state.candidate(4, "PREMIUM"))
    assert state.held_datasets() == set()
    assert house.shown() == {"PREMIUM"}


def test_an_approval_that_bigquery_refuses_leaves_the_candidate_waiting(house: House) -> None:
    state = State(house)
    state.publish(state.candidate(1, "STANDARD"))
    held = state.hold(state.candidate(2, "METAL"))
    house.stand_in.faults.add(Fault(status=403, times=1, matches=pointer_moves))
    with pytest.raises(ConfigurationError, match="told to fail here"):
        state.approve(held, 3)
    assert house.shown() == {"STANDARD"}
    assert [waiting.run_id for waiting in HeldCandidates(house.publications).waiting()] == [2]
    assert state.approve(held, 4).name == "v0003"
    assert house.shown() == {"METAL"}


@pytest.mark.proof
def test_a_build_whose_columns_changed_waits_and_its_approval_survives_a_later_build_that_failed(house: House) -> None:
    house.run("STANDARD")
    (house.project / "models/marts/mart_customers.sql").write_text(
        "select user_id, plan, 1 as number_of_accounts, 'x' as tier from {{ ref('fct_users') }}"
    )
    with pytest.raises(HeldError, match=r"the column mart_customers.tier \(VARCHAR\) is new since v0001"):
        house.run("METAL")
    (house.project / "models/warehouse/fct_users.sql").write_text("select 'one' as user_id, 'ULTRA' as plan from unnest([1, 2])")
    with pytest.raises(DataError, match="more than once: 1"):
        house.run()
    assert house.shown() == {"STANDARD"}
    [held] = HeldCandidates(house.publications).waiting()
    HeldCandidates(house.publications).publish(
        held, house.home / "candidates" / "4", lease_token=4, started_at=NOW, clock=FixedClock(NOW), guard=lambda: None
    )
    assert house.shown() == house.shown("mart_customers") == {"METAL"}
    assert house.shown("mart_customers", "tier") == {"x"}


def test_all_views_move_by_the_one_statement_that_moves_the_pointer(house: House) -> None:
    house.run("STANDARD")
    house.stand_in.faults.add(Fault(status=403, times=100, matches=pointer_moves))
    with pytest.raises(ConfigurationError, match="told to fail here"):
        house.run("METAL")
    assert house.datasets() == {"neopulse_v0001", "neopulse_v0002"}
    assert house.shown() == house.shown("mart_customers") == {"STANDARD"}  # made ready for both versions, they follow the pointer
    current = house.publications.current()
    assert current is not None
    assert current.name == "v0001"
    bigquery_bank.rows(house.client, "create or replace table neopulse.current_version as select 'v0002' as version")
    assert house.shown() == house.shown("mart_customers") == {"METAL"}


@pytest.mark.proof
def test_a_rollback_shows_the_version_before_and_the_next_run_goes_on_from_the_highest_number(house: House) -> None:
    house.run("STANDARD")
    house.run("METAL")
    house.publications.rollback("v0001")
    assert (house.shown(), house.shown("current_version", "version")) == ({"STANDARD"}, {"v0001"})
    house.run("PREMIUM")
    assert (house.shown(), house.shown("current_version", "version")) == ({"PREMIUM"}, {"v0003"})


@pytest.mark.proof
def test_old_versions_go_and_a_lost_home_takes_no_number_twice(house: House) -> None:
    house.given = {"versions_kept": 2}
    for plan in ("STANDARD", "METAL", "PREMIUM"):
        house.run(plan)
    assert house.datasets() == {"neopulse_v0002", "neopulse_v0003"}
    shutil.rmtree(house.home)
    house.run("ULTRA")
    assert house.datasets() == {"neopulse_v0003", "neopulse_v0004"}
    assert house.shown() == {"ULTRA"}


def test_a_table_that_is_too_long_for_the_app_stays_in_bigquery_and_says_where(house: House) -> None:
    from pipeline.warehouse.duckdb import ReadOnlyDuckDB

    house.given = {"bigquery_read_copy_rows": 2}
    house.run("STANDARD", "METAL", "METAL")
    version = house.publications.current()
    assert version is not None
    assert version.rows["mart_customers"] == 3
    file = ReadOnlyDuckDB(version.database)
    assert file.query("select count(*) as plans from marts.mart_plans")["plans"].to_pylist() == [2]
    with pytest.raises(ConfigurationError, match=r"mart_customers has 3 rows and stays in BigQuery") as caught:
        file.query("select * from marts.mart_customers")
    assert caught.value.where == "bank-analytics.neopulse.mart_customers"
    file.close()


def test_every_job_carries_its_labels_and_its_limits(published_house: House) -> None:
    queries = [call for call in published_house.stand_in.calls if call.job_kind == "query" and call.labels.get("application")]
    assert {call.labels["team"] for call in queries} == {"growth"}
    assert {call.labels.get("run") for call in queries} <= {"1", "2", None}
    assert len(queries) > 15


@pytest.mark.parametrize(
    ("trouble", "given", "error", "words", "where"),
    [
        ("denied", {}, ConfigurationError, "does not allow it", "BigQuery"),
        pytest.param(
            "no table",
            {},
            ConfigurationError,
            "no table transactions",
            "bank-source.bank_raw.transactions",
            marks=pytest.mark.proof,
        ),
        pytest.param(
            "no dataset",
            {"bigquery_source": "bank-source.elsewhere"},
            ConfigurationError,
            "no table users",
            "bank-source.elsewhere",
            marks=pytest.mark.proof,
        ),
        pytest.param(
            "too many bytes",
            {"bigquery_maximum_bytes": 1000},
            ConfigurationError,
            "cost more than allowed",
            "BIGQUERY_MAXIMUM_BYTES",
            marks=pytest.mark.proof,
        ),
        pytest.param(
            "another location",
            {"bigquery_location": "US"},
            ConfigurationError,
            "lies in EU, not in US",
            "BIGQUERY_LOCATION",
            marks=pytest.mark.proof,
        ),
        pytest.param("no column", {}, DataError, "has no column user_id", "bank-source.bank_raw.users", marks=pytest.mark.proof),
        pytest.param("not reached", {}, TransientError, "BigQuery", "BigQuery", marks=pytest.mark.proof),
    ],
)
def test_what_goes_wrong_is_said_once_and_clearly_and_readers_keep_their_version(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    given: dict[str, Any],
    error: type[NeopulseError],
    words: str,
    where: str,
) -> None:
    monkeypatch.setattr("pipeline.bigquery.RETRY_SECONDS", 2.0)
    house.run("STANDARD")
    house.given = given
    source = stand_ins.client(house.stand_in, bigquery_bank.SOURCE_PROJECT)
    if trouble == "denied":
        house.stand_in.faults.deny("/datasets/bank_raw")
    if trouble == "no table":
        source.delete_table("bank-source.bank_raw.transactions")
    if trouble == "no column":
        source.query("create or replace table bank_raw.users as select 1 as id").result()
    if trouble == "not reached":
        house.stand_in.faults.add(Fault(status=429, times=1000))
    with pytest.raises(error, match=words) as caught:
        house.run()
    assert where in caught.value.where
    assert caught.value.next
    house.stand_in.faults.denied.clear()
    house.stand_in.faults.script.clear()
    house.given = {}
    assert house.shown() == {"STANDARD"}
    current = house.publications.current()
    assert current is not None
    assert current.name == "v0001"


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("Query exceeded limit for bytes billed: 1. 10485760 or higher required.", "NEOPULSE_BIGQUERY_MAXIMUM_BYTES"),
        pytest.param(
            "Access Denied: Table bank-core:raw.users: User does not have permission to query table.",
            "BigQuery",
            marks=pytest.mark.proof,
        ),
    ],
)
def test_what_the_service_refuses_in_the_middle_of_a_build_is_no_fault_of_the_model(house: House, said: str, where: str) -> None:
    def makes_users(method: str, path: str, body: Any) -> bool:
        return job_inserts(method, path, body) and "fct_users" in str(body)

    house.stand_in.faults.add(Fault(status=403, times=100, message=said, matches=makes_users))
    with pytest.raises(ConfigurationError, match="At fct_users") as caught:
        house.run("STANDARD")
    assert (caught.value.where, caught.value.safe) == (where, "Nothing has been published yet")


def test_a_load_whose_answer_was_lost_is_not_done_again(house: House, tmp_path: Path) -> None:
    connection, facts = connect(house.settings), tmp_path / "facts.parquet"
    connection.make_dataset("neopulse_raw", description="")
    pa.parquet.write_table(pa.table({"alpha_2": ["FR", "DE"]}), facts)
    house.stand_in.faults.add(
        Fault(status=503, after=True, matches=lambda method, path, _body: "/upload/" in path and method != "GET")
    )
    connection.load_parquet(facts, "neopulse_raw.facts")
    connection.load_parquet(facts, "neopulse_raw.facts")
    assert bigquery_bank.rows(house.client, "select count(*) as countries from neopulse_raw.facts") == [{"countries": 2}]
    pa.parquet.write_table(pa.table({"alpha_2": ["FR"]}), facts)
    connection.load_parquet(facts, "neopulse_raw.facts")
    pa.parquet.write_table(pa.table({"alpha_2": ["FR", "DE"]}), facts)  # what it said before
    connection.load_parquet(facts, "neopulse_raw.facts")
    assert bigquery_bank.rows(house.client, "select count(*) as countries from neopulse_raw.facts") == [{"countries": 2}]
    house.client.delete_table("bank-analytics.neopulse_raw.facts")
    connection.load_parquet(facts, "neopulse_raw.facts")
    assert bigquery_bank.rows(house.client, "select count(*) as countries from neopulse_raw.facts") == [{"countries": 2}]
