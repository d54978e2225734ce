"""The transform step on a small dbt project of its own: what is built, what is refused, what is left behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import builds
import damage
import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipeline import files, metrics
from pipeline.clock import FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, DataError, HeldError, InterruptedRunError, PermanentError
from pipeline.extract.exchange_rates import COLUMNS as RATES
from pipeline.runs.records import StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sources.landing import Fingerprint, LandedTable, Landing
from pipeline.sources.schema import RAW_TABLES
from pipeline.transform import DBT_PROJECT, refuse_a_day_before_the_data, transform
from pipeline.warehouse.base import DamagedStateError
from pipeline.warehouse.duckdb import DuckDBWarehouse, ReadOnlyDuckDB
from pipeline.warehouse.held import HeldCandidates
from pipeline.warehouse.publication import Publications, UntestedError

NOW = datetime(2019, 5, 16, 22, 30, tzinfo=UTC)  # 17 May in Paris
FACTS = {"country_facts": {"service": "shipped snapshot", "rows": 1, "as_of": "2026-07-21"}}
PROJECT_FILE = """
name: neopulse
version: "1.0.0"
profile: neopulse
models:
  neopulse:
    +materialized: table
    warehouse: {+schema: warehouse}
    marts: {+schema: marts}
"""
MODELS = {
    "macros/schemas.sql": "{% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}",
    "models/warehouse/dim_publication.sql": """
        select
            cast('{{ var("current_bank_day") }}' as date) - 1 as as_of,
            {{ var("inactivity_days") }} as inactivity_days,
            '{{ var("bank_timezone") }}' as bank_timezone,
            '{{ var("activity_states") | join(" or ") }}' as activity_rule,
            '{{ var("source_name") }}' as source_name,
            (select count(*) from raw.users) * 100 as transactions
    """,
    "models/warehouse/fct_large.sql": "select md5(range::varchar) as text from range(20) order by text",
    "models/warehouse/fct_plans.sql": "select user_id, plan from raw.users -- after {{ ref('fct_large') }}",
    "models/warehouse/rejected_rows.sql": "select user_id from {{ ref('fct_plans') }} where plan is null",
    "models/marts/mart_customers.sql": """
        select plan, user_id, (select count(*) from raw.notifications) as notifications
        from {{ ref('fct_plans') }} where plan is not null
    """,
    "models/marts/_marts.yml": """
models:
  - name: mart_customers
    description: Each customer with a plan.
    config:
      meta:
        metrics:
          - name: customers
            column: user_id
            unit: customers
            label: {en: Customers, fr: Clients}
            definition: {en: Who has a plan., fr: Qui a une offre.}
    columns:
      - name: user_id
        description: Who.
        data_tests: [unique, not_null]
      - name: plan
        data_tests:
          - accepted_values: {arguments: {values: [STANDARD, METAL]}, config: {severity: warn}}
""",
}


LARGE = "select md5(range::varchar) as text from range(2000000) order by text"
SLOW = "select count(distinct range) as numbers from range(100000000000)"
PASSES = ("unique_mart_customers_user_id", "not_null_mart_customers_user_id")
WARNS = "accepted_values_mart_customers_plan__STANDARD__METAL"


@dataclass
class House:
    """A home with landed tables, a dbt project, and the means to run the step on both."""

    home: Path
    project: Path
    store: RunStore
    publications: Publications
    told: list[str] = field(default_factory=list)

    def land(self, *users: tuple[str, str | None]) -> None:
        """Land users with their plans, and nothing else."""
        landing = self.home / "landing"
        landing.mkdir(parents=True, exist_ok=True)
        columns: dict[str, list[Any]] = {name: [None] * len(users) for name in RAW_TABLES["users"].columns}
        columns |= {
            "user_id": [user for user, _ in users],
            "plan": [plan for _, plan in users],
            "birth_year": [1980] * len(users),
        }
        pa.parquet.write_table(pa.table(columns), landing / "users.parquet")
        pa.parquet.write_table(pa.table({"alpha_2": ["FR"], "population": [68]}), landing / "external_countries.parquet")
        (landing / "external_facts.json").write_text(json.dumps(FACTS))
        pa.parquet.write_table(RATES.empty_table(), landing / "external_exchange_rates.parquet")
        table = LandedTable("users", (Fingerprint.of(landing / "users.parquet"),), len(users), tuple(columns))
        Landing("files", NOW, {"users": table}).write(landing)

    def model(self, name: str, sql: str) -> None:
        """Put a file into the dbt project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql)

    def transform(
        self,
        *,
        stop_at: str | None = None,
        once: tuple[str, Callable[[], object]] | None = None,
        full_refresh: bool = False,
        tell_damage: Callable[[DamagedStateError], None] = lambda _damaged: None,
        **given: Any,
    ) -> StepResult:
        """Run the step as a run of its own; when its progress says so, somebody ends it (`stop_at`) or acts (`once`)."""
        to_do = [once] if once else []
        settings = Settings(home=self.home, threads=1, memory_limit="80MB", **given)
        lease = self.store.take_lease("this test", seconds=60)
        plan = (("transform", StepState.PENDING),)
        run = self.store.start_run(
            lease, trigger="cli", requested_by="ada", plan=plan, first_step="transform", full_refresh=full_refresh
        )

        def progress(_fraction: float | None, text: str) -> None:
            self.told.append(text)
            if to_do and to_do[0][0] in text:
                to_do.pop()[1]()
            if stop_at is not None and stop_at in text:
                raise InterruptedRunError("The run was stopped")

        clock, guard = FixedClock(NOW), lambda: self.store.assert_held(lease)
        context = StepContext(settings, self.store, run, clock, self.publications, progress, lambda: False, guard)
        try:
            return transform(context, project=self.project, tell_damage=tell_damage)
        finally:
            self.store.release(lease)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(NOW))
    house = House(home, project, store, Publications(home, keep=5))
    shutil.copy(DBT_PROJECT / "profiles.yml", project)
    for name, content in {"dbt_project.yml": PROJECT_FILE, **MODELS}.items():
        house.model(name, content)
    house.land(("user_1", "STANDARD"), ("user_2", "GOLD"), ("user_3", None))
    with builds.quick_children():
        yield house


def test_a_build_whose_tests_hold_becomes_a_version_with_all_it_needs(house: House) -> None:
    files.make_folder(house.home / "candidates" / "0")  # a failed run left it
    house.model("models/warehouse/fct_large.sql", LARGE)  # does not fit into the memory that it may have
    result = house.transform()
    version = house.publications.current()
    assert version is not None
    assert (version.as_of, version.source, version.bank_timezone) == (date(2019, 5, 16), "files", "Europe/Paris")
    assert (version.inactivity_days, version.activity_rule) == (90, "COMPLETED")
    assert version.rows == {"mart_customers": 2, "dim_publication": 1, "rejected_rows": 1}
    assert (version.tests.passed, version.tests.warned, version.tests.total) == (2, 1, 3)
    assert (result.service, result.rows_in, result.rows_out) == ("duckdb", 3, 4)
    assert sorted(path.name for path in version.folder.iterdir()) == [
        *("external_facts.json", "metrics.json", "models.json", "published.duckdb", "tests.json", "timings.json", "version.json")
    ]
    assert json.loads((version.folder / "external_facts.json").read_text()) == FACTS
    assert list((house.home / "candidates").iterdir()) == []
    _holds_what_readers_may_see(version.database)
    _tells_about_tests_models_and_metrics(version.folder)
    assert "5 of 8: mart_customers" in house.told or "4 of 8: mart_customers" in house.told


def _holds_what_readers_may_see(database: Path) -> None:
    reader = ReadOnlyDuckDB(database)
    relations = "select table_schema || '.' || table_name as name from information_schema.tables order by all"
    assert reader.query(relations)["name"].to_pylist() == [
        *("marts.mart_customers", "warehouse.dim_publication", "warehouse.rejected_rows")
    ]
    rows = reader.query("select * from marts.mart_customers where plan = $plan", {"plan": "GOLD"})
    assert rows.to_pylist() == [{"plan": "GOLD", "user_id": "user_2", "notifications": 0}]
    reader.close()


def _tells_about_tests_models_and_metrics(folder: Path) -> None:
    tests = {test["name"]: test for test in json.loads((folder / "tests.json").read_text())}
    assert {name: test["status"] for name, test in tests.items()} == {**dict.fromkeys(PASSES, "pass"), WARNS: "warn"}
    assert (tests[WARNS]["model"], tests[WARNS]["column"], tests[WARNS]["failures"]) == ("mart_customers", "plan", 1)
    timings = {node["name"]: node for node in json.loads((folder / "timings.json").read_text())}
    assert timings["fct_plans"]["kind"] == "model"
    assert timings["fct_plans"]["started_at"] < timings["fct_plans"]["ended_at"] <= timings["mart_customers"]["started_at"]
    models = {model["name"]: model for model in json.loads((folder / "models.json").read_text())}
    assert models["mart_customers"]["description"] == "Each customer with a plan."
    assert models["mart_customers"]["columns"]["user_id"] == "Who."
    assert models["mart_customers"]["depends_on"] == ["fct_plans"]
    assert 'from "state"."warehouse"."fct_plans"' in models["mart_customers"]["sql"]
    assert metrics.read(folder / "metrics.json")["customers"].label["fr"] == "Clients"


@pytest.mark.proof
def test_a_bank_that_lost_much_of_what_was_published_waits_for_a_person(house: House) -> None:
    house.transform()
    house.land(("user_1", "STANDARD"), ("user_2", "METAL"))
    with pytest.raises(HeldError) as held:
        house.transform(full_refresh=True)
    assert held.value.what == (
        "The candidate of run 2 waits for approval: 33% of the transactions that v0001 counted are gone, "
        "more than the 10% allowed"
    )
    assert [waiting.facts.transactions for waiting in HeldCandidates(house.publications).waiting()] == [200]
    current = house.publications.current()
    assert current is not None
    assert current.transactions == 300
    house.transform(full_refresh=True, largest_shrink=0.34)
    assert house.publications.current().transactions == 200  # type: ignore[union-attr]


def test_a_failing_test_keeps_the_candidate_from_readers_and_says_what_is_wrong(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.land(("user_1", "STANDARD"), ("user_1", "METAL"), ("user_1", "METAL"), ("user_2", "METAL"))
    with pytest.raises(UntestedError) as refusal:
        house.transform()
    error = refusal.value
    assert error.what == (
        "1 of 3 tests failed; the first is unique_mart_customers_user_id: "
        "values of mart_customers.user_id that occur more than once: 1"
    )
    assert error.where.startswith("models/marts/_marts.yml; the rows in question are those of ")
    assert Path(error.where.split(" are those of ")[1]).is_file()
    assert error.safe == "Nothing has been published yet"
    assert error.next == "mend the data or the model, then neopulse run --from transform"
    assert house.publications.current() is None
    assert (house.home / "warehouse" / "state.duckdb").is_file()
    with caplog.at_level("INFO"), pytest.raises(UntestedError, match="unique_mart_customers_user_id"):
        house.transform()  # a retry builds the model whose test failed again, and tests it again
    assert "Builds everything: the last build did not end well" in caplog.text


@pytest.mark.parametrize(("active", "told"), [("false", True), ("true", None)])
def test_a_version_in_which_nobody_was_active_is_published_and_told(house: House, active: str, told: bool | None) -> None:
    house.model("models/marts/mart_activity_gaps.sql", f"select 1 as customers where {active}")
    assert house.transform().detail.get("nobody_active") is told


def test_a_model_that_cannot_be_built_is_named_with_the_reason(house: House) -> None:
    house.model("models/warehouse/fct_plans.sql", "select user_id, plam from raw.users")
    with pytest.raises(DataError) as refusal:
        house.transform()
    reason = 'Binder Error: Referenced column "plam" not found in FROM clause! Candidate bindings: '
    assert refusal.value.what.startswith(f"The model fct_plans could not be built: {reason}")
    assert "\n" not in refusal.value.what
    assert refusal.value.where == "models/warehouse/fct_plans.sql"
    assert refusal.value.safe == "Nothing has been published yet"


@pytest.mark.parametrize("kind", ["view", pytest.param("table", marks=pytest.mark.proof)])
def test_a_model_with_a_column_more_than_its_contract_is_not_built(house: House, kind: str) -> None:
    house.model("macros/materializations.sql", (DBT_PROJECT / "macros" / "materializations.sql").read_text(encoding="utf-8"))
    house.model("macros/full.sql", "{% macro builds_on_the_last_run() %}{{ return(false) }}{% endmacro %}")
    select = "select user_id, plan, 1 as surplus from raw.users"
    house.model("models/marts/mart_more.sql", f"{{{{ config(materialized='{kind}') }}}} {select}")
    columns = "[{name: user_id, data_type: varchar}, {name: plan, data_type: varchar}]"
    house.model(
        "models/marts/_more.yml",
        f"models: [{{name: mart_more, config: {{contract: {{enforced: true}}}}, columns: {columns}}}]",
    )
    with pytest.raises(DataError) as refusal:
        house.transform()
    assert refusal.value.what.startswith(
        "The model mart_more could not be built: This model has an enforced contract that failed"
    )


def test_a_project_that_dbt_cannot_read_is_told_in_its_words(house: House) -> None:
    house.model("models/warehouse/fct_plans.sql", "select user_id, plan from {{ ref('nowhere') }}")
    with pytest.raises(PermanentError) as refusal:
        house.transform()
    assert "depends on a node named 'nowhere' which was not found" in refusal.value.what


def test_a_candidate_that_filled_the_disk_is_removed_so_that_the_failure_can_be_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.home / "landing" / "external_countries.parquet").write_text("not Parquet")
    full = shutil.disk_usage(house.home)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(PermanentError) as refusal:
        house.transform()
    assert refusal.value.what == "The disk filled up while the candidate was built"
    assert list((house.home / "candidates").iterdir()) == []
    assert list((house.home / "warehouse").iterdir()) == []


SEVERAL_BLOCKS = "select md5(range::varchar) as text from range(100000)"
OF_THE_LAST_RUN = f"""
    {{{{ config(materialized='incremental') }}}}
    {{% if is_incremental() %}} select max(text) as text from {{{{ this }}}} {{% else %}} {SEVERAL_BLOCKS} {{% endif %}}
"""
WHAT_AN_INCREMENT_ASKS_FOR = {
    "typed_transactions": """
        select 0 as source_part, null::tinyint as rejection_code, null::date as transaction_date where false
    """,
    "customer_accounts": "select null::date as opening_date, '' as rejection_reason where false",
}
FOUND = {  # by whom the damage is found
    "before anything is built": (lambda _: damage.overwritten(at=0), "not a valid DuckDB database file"),
    "by dbt": (lambda path: damage.page_of(path, "warehouse.fct_of_the_last_run"), "At fct_of_the_last_run: "),
    "when it is copied": (lambda path: damage.page_of(path, "marts.mart_of_nobody"), "Corrupt database file: "),
}


@pytest.mark.parametrize(
    "found", [pytest.param(name, marks=pytest.mark.proof if name == "when it is copied" else ()) for name in FOUND]
)
def test_a_damaged_state_is_set_aside_and_everything_is_built_anew_in_the_same_run(
    house: House, found: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name, sql in WHAT_AN_INCREMENT_ASKS_FOR.items():
        house.model(f"models/warehouse/{name}.sql", sql)
    house.model("models/warehouse/fct_of_the_last_run.sql", OF_THE_LAST_RUN)
    house.transform()
    state = house.home / "warehouse" / "state.duckdb"
    with duckdb.connect(state) as connection:
        connection.execute(f"create table marts.mart_of_nobody as {SEVERAL_BLOCKS}")
    find, words = FOUND[found]
    find(state)(state)
    broken, told_of = state.read_bytes(), list[str]()
    with caplog.at_level("INFO"):
        result = house.transform(tell_damage=lambda damaged: told_of.append(damaged.where))
    version = house.publications.current()
    assert version is not None
    assert told_of == [str(state)]
    assert (version.name, version.rows) == ("v0002", {"mart_customers": 2, "dim_publication": 1, "rejected_rows": 1})
    assert result.detail["full_refresh"] is True
    assert words in result.detail["why_full"]
    assert result.detail["why_full"].endswith("It has been set aside: look at the disk")
    assert [line.levelname for line in caplog.records if "It has been set aside" in line.message] == ["WARNING"]
    aside = house.home / "warehouse" / "state.duckdb.damaged"
    assert aside.stat().st_size >= len(broken)
    assert house.transform().detail["full_refresh"] is False


def test_a_disk_that_damages_every_state_fails_the_run_after_one_more_try(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    state, sealed, tries = house.home / "warehouse" / "state.duckdb", DuckDBWarehouse.seal, list[int]()

    def seal(warehouse: DuckDBWarehouse) -> None:
        sealed(warehouse)
        damage.cut(to=0.3)(state)
        tries.append(len(tries))

    monkeypatch.setattr(DuckDBWarehouse, "seal", seal)
    with pytest.raises(DamagedStateError) as told:
        house.transform()
    assert tries == [0, 1]
    assert told.value.next == "look at the disk, then neopulse run --full-refresh"
    assert house.publications.current() is None


def test_a_bank_whose_files_vanish_while_dbt_builds_fails_the_run_and_is_built_once_they_are_back(house: House) -> None:
    house.transform()
    users = house.home / "landing" / "users.parquet"
    house.model("models/warehouse/fct_large.sql", LARGE)  # fct_plans, which reads them, comes after it
    with pytest.raises(DataError) as told:
        house.transform(once=("fct_large", lambda: users.rename(users.with_suffix(".gone"))))
    assert told.value.what == "A file of the table users cannot be read any more: No such file or directory"
    assert told.value.where == str(users)
    assert told.value.safe == "The published version is untouched; readers still see it"
    assert told.value.next == "neopulse run, which lands the files as they are now"
    users.with_suffix(".gone").rename(users)
    house.land(("user_1", "STANDARD"), ("user_2", "GOLD"), ("user_3", None))
    assert house.transform().detail["version"] == "v0002"


def test_a_pinned_day_that_is_not_over_is_refused_before_anything_is_built(house: House) -> None:
    with pytest.raises(ConfigurationError, match="not over yet") as refused:
        house.transform(as_of=date(2019, 5, 17))
    assert refused.value.where == "NEOPULSE_AS_OF"
    assert house.publications.current() is None


def test_a_pinned_day_before_the_first_transaction_is_refused_and_the_first_one_is_not() -> None:
    first_day = date(2018, 1, 3)
    with pytest.raises(ConfigurationError, match="2018-01-02 lies before 2018-01-03, the first day") as refused:
        refuse_a_day_before_the_data({"as_of": date(2018, 1, 2), "first_day": first_day})
    assert (refused.value.where, refused.value.safe) == ("NEOPULSE_AS_OF", "Nothing was published")
    refuse_a_day_before_the_data({"as_of": first_day, "first_day": first_day})


def test_a_build_that_is_stopped_ends_at_once_and_leaves_no_process(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned = list[bool]()
    monkeypatch.setattr(DuckDBWarehouse, "abandon", lambda _self: abandoned.append(True))
    house.model("models/marts/mart_slow.sql", SLOW)
    with pytest.raises(InterruptedRunError):
        house.transform(stop_at="mart_slow")
    assert abandoned == [True]  # what a service has been asked to do goes on without the process that asked
    assert _is_let_go(house.home / "warehouse" / "state.duckdb", within_seconds=1)
    assert house.publications.current() is None


KILLED_PARENT = """
import sys
from pathlib import Path
from pipeline.warehouse.dbt_build import build

def watch(events):
    if any(event.node == "mart_slow" for event in events):
        print("going on", flush=True)

project, folder = map(Path, sys.argv[1:])
environment = {"DBT_WAREHOUSE_FILE": str(folder / "state.duckdb"), "DBT_THREADS": "1", "DBT_MEMORY_LIMIT": "500MB"}
environment |= {"DBT_TEMP_FOLDER": str(folder / "spill")}
build(project, folder, variables={}, environment=environment, watch=watch)
"""


def test_a_build_whose_parent_is_killed_ends_with_it(house: House, tmp_path: Path) -> None:
    shutil.rmtree(house.project / "models")
    house.model("models/marts/mart_slow.sql", SLOW)
    command = [sys.executable, "-c", KILLED_PARENT, str(house.project), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "going on\n"
        assert not _is_let_go(tmp_path / "state.duckdb", within_seconds=0)
        parent.kill()
        assert _is_let_go(tmp_path / "state.duckdb", within_seconds=2)


def _is_let_go(database: Path, *, within_seconds: float) -> bool:
    """Whether nobody writes to a DuckDB file any more: its lock ends with the process that holds it."""
    deadline = time.monotonic() + within_seconds
    while True:
        try:
            duckdb.connect(database).close()
        except duckdb.IOException:
            if time.monotonic() > deadline:
                return False
        else:
            return True
        time.sleep(0.05)
