"""The dbt project as a whole: every model, data test and unit test on a small awkward bank, and the rules for marts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import builds
import duckdb
import histories
import pytest

from pipeline import metrics
from pipeline.clock import SystemClock
from pipeline.extract.facts import land_facts
from pipeline.marts import METRICS
from pipeline.settings import Settings
from pipeline.sources.files import land
from pipeline.sources.schema import RAW_TABLES
from pipeline.transform import DBT_PROJECT, EXTERNAL_TABLES
from pipeline.warehouse.bigquery_versions import DIMENSIONS
from pipeline.warehouse.duckdb import STATE, DuckDBWarehouse

HARD_LOGIC = {
    "a_gap_of_n_days_is_bridged_and_one_of_n_plus_1_is_a_lapse",
    "a_lone_active_day_is_a_stretch_of_one_day_between_two_silences",
    "who_never_transacted_is_silent_from_opening_and_who_is_active_is_provisional",
    "trailing_silence_lapses_on_its_nth_day_and_not_before",
    "a_lapse_and_a_return_inside_one_month_is_a_churn_and_joiners_are_in_neither_part",
    "the_29th_of_february_is_a_day_like_any_other",
    "the_bank_day_follows_the_clocks_of_paris_through_the_year",
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's artefacts of a build with unit tests, whatever came of it."""
    folder, candidate = tmp_path_factory.mktemp("bank"), tmp_path_factory.mktemp("candidate")
    bank = histories.random_bank(7, customers=40, first_day=date(2018, 1, 1), last_day=date(2019, 3, 31))
    histories.write_csv(folder, bank.tables())
    landing = land(folder, candidate / "landing", clock=SystemClock(), progress=lambda _fraction, _text: None)
    land_facts(candidate / "landing", Settings(home=candidate, _env_file=None), clock=SystemClock())
    external = {name: candidate / "landing" / f"{name}.parquet" for name in EXTERNAL_TABLES}
    warehouse = DuckDBWarehouse(candidate, project=DBT_PROJECT, memory_limit="1GB", threads=2)
    variables = {"current_bank_day": "2019-04-01", "inactivity_days": 90}
    warehouse.prepare(landing, external=external, variables=variables, full_refresh=True)
    command = [
        *("build", "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target-path", str(candidate / "target"), "--log-path", str(candidate / "logs"), "--no-use-colors"),
        *("--no-version-check", "--no-send-anonymous-usage-stats"),
        *("--exclude-resource-type", "exposure", "--vars", json.dumps({"current_bank_day": "2019-04-01"})),
    ]
    builds.dbt(command, warehouse.environment(), candidate)
    return candidate / "target"


@pytest.fixture(scope="module")
def results(target: Path) -> list[dict[str, Any]]:
    return list(json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"])


@pytest.fixture(scope="module")
def manifest(target: Path) -> dict[str, Any]:
    return dict(json.loads((target / "manifest.json").read_text(encoding="utf-8")))


def test_every_model_is_built_and_every_test_and_unit_test_holds(results: list[dict[str, Any]]) -> None:
    wrong = {result["unique_id"]: result["message"] for result in results if result["status"] not in ("success", "pass")}
    assert not wrong
    kinds = Counter(result["unique_id"].split(".")[0] for result in results)
    assert kinds["unit_test"] >= len(HARD_LOGIC)
    assert kinds["test"] > kinds["model"] > 30


def test_the_hard_logic_has_unit_tests(results: list[dict[str, Any]]) -> None:
    held = {result["unique_id"].split(".")[-1] for result in results if result["unique_id"].startswith("unit_test.")}
    assert held >= HARD_LOGIC


def test_every_mart_has_a_contract_a_grain_and_its_meaning_in_two_languages(manifest: dict[str, Any]) -> None:
    marts = [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["schema"] == "marts"]
    assert len(marts) > 20
    for mart in marts:
        meta = mart["config"]["meta"]
        assert mart["config"]["contract"]["enforced"], mart["name"]
        assert mart["description"], mart["name"]
        assert set(meta["grain"]) <= set(mart["columns"]), mart["name"]
        assert meta["unit"] in metrics.UNITS, mart["name"]
        for text in ("label", "definition"):
            assert all(meta[text][language] for language in metrics.LANGUAGES), mart["name"]
        assert all(column["description"] and column["data_type"] for column in mart["columns"].values()), mart["name"]


def test_what_readers_see_beside_the_marts_has_a_contract_and_says_what_its_columns_mean(manifest: dict[str, Any]) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["schema"] != "marts"]
    read = [model for model in models if DIMENSIONS.fullmatch(model["name"])]
    assert len(read) == 6
    for model in read:
        assert model["config"]["contract"]["enforced"], model["name"]
        assert all(column["description"] and column["data_type"] for column in model["columns"].values()), model["name"]


def test_every_mart_proves_its_key(manifest: dict[str, Any]) -> None:
    proven: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        test = node.get("test_metadata") or {}
        if test.get("name") in ("unique", "unique_key"):
            columns = test["kwargs"].get("columns") or [test["kwargs"]["column_name"]]
            proven.setdefault(node["attached_node"], set()).add(",".join(columns))
    for identifier, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["schema"] == "marts":
            assert ",".join(node["config"]["meta"]["grain"]) in proven.get(identifier, set()), node["name"]


# Of a key, what may be unknown: a silence that still lasts has no length and no end.
UNKNOWN_IN_A_KEY = {
    ("mart_activity_gaps", "returned_on"),
    ("mart_activity_gaps_by_dimension", "returned_on"),
    ("mart_record_gaps", "gap_days"),
    ("mart_month_lapses", "gap_days"),
    ("mart_month_lapses", "longest_gap_before_days"),
    ("mart_cohort_members", "last_period_start"),
}


def test_no_part_of_a_key_is_unknown_but_those_that_may_be(manifest: dict[str, Any]) -> None:
    known: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        test = node.get("test_metadata") or {}
        if test.get("name") == "never_null":
            known.setdefault(node["attached_node"], set()).update(test["kwargs"]["columns"])
    for identifier, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["schema"] == "marts":
            unproven = set(node["config"]["meta"]["grain"]) - known.get(identifier, set())
            assert unproven <= {column for mart, column in UNKNOWN_IN_A_KEY if mart == node["name"]}, node["name"]


def test_the_banks_tables_have_the_columns_of_the_contract_and_say_what_they_mean(manifest: dict[str, Any]) -> None:
    sources = {source["name"]: source for source in manifest["sources"].values() if source["source_name"] == "bank"}
    for name, table in RAW_TABLES.items():
        assert tuple(sources[name]["columns"]) == table.columns
        assert all(column["description"] for column in sources[name]["columns"].values()), name


def test_a_key_of_which_not_every_row_is_looked_at_is_looked_at_from_where_its_model_forgets(manifest: dict[str, Any]) -> None:
    looked_at_in_part = 0
    for node in manifest["nodes"].values():
        arguments = (node.get("test_metadata") or {}).get("kwargs", {})
        column = next((value for name, value in arguments.items() if name.startswith("from_")), None)
        if column is None:
            continue
        model = manifest["nodes"][node["attached_node"]]
        if model["config"]["materialized"] == "view":
            model = manifest["nodes"][model["depends_on"]["nodes"][0]]
        forgets = " ".join(hook["sql"] for hook in model["config"]["pre-hook"])
        assert column in forgets, node["name"]
        assert ("cube" in forgets) == arguments.get("of_cube", False), node["name"]
        looked_at_in_part += 1
    assert looked_at_in_part > 10


# What could go wrong in a past month that is kept, by the two tables that then differ: each is seen by one line of one test.
CARRIED_ON = "what_is_carried_on_agrees"
PAST = "month = '2018-06-01'"
DAMAGES = {
    "l28_and_mau": "update marts.mart_l28 set customers = customers + 1 where date = '2018-06-30'",
    **{
        line: f"""
        delete from marts.mart_cohort_cells where cohort_kind = '{kind}' and grain = '{grain}' and period_start = '{day}';
        delete from warehouse.cohort_cells_by_dimension
        where cohort_kind = '{kind}' and grain = '{grain}' and period_start = '{day}'
        """
        for line, kind, grain, day in (
            ("first_activity_cells_and_months", "first_activity", "month", "2018-06-01"),
            ("signup_cells_and_months", "signup", "month", "2018-06-01"),
            ("weeks_of_both_cohorts", "signup", "week", "2018-06-04"),
        )
    },
    "cells_and_their_dimensions": """
        delete from warehouse.cohort_cells_by_dimension
        where cohort_kind = 'signup' and period_start = '2018-06-01' and segment_value = 'FR'
    """,
    "concentration_and_months": f"""
        update marts.mart_concentration set customers = customers - 1
        where {PAST} and measure = 'transactions' and segment = 'all'
    """,
    "concentration_by_country_and_months": f"""
        update marts.mart_concentration set customers = customers + 1
        where {PAST} and measure = 'transactions' and segment_value = 'FR'
    """,
    "transactions_of_concentration_and_months": f"""
        update marts.mart_concentration set total = total + 1 where {PAST} and measure = 'transactions' and segment = 'all'
    """,
    "amount_of_concentration_and_months": f"update warehouse.fct_customer_months set amount_usd = amount_usd + 0.01 where {PAST}",
    "amount_retention_and_concentration": f"update marts.mart_amount_retention set customers = customers + 1 where {PAST}",
    "amount_of_retention_and_concentration": f"""
        update marts.mart_amount_retention set amount_before_usd = amount_before_usd + 0.01 where {PAST}
    """,
    "card_payments_and_transactions": f"update warehouse.fct_card_payments set payments_known = payments_known + 1 where {PAST}",
    "amount_of_card_payments_and_transactions": f"""
        update warehouse.fct_card_payments set amount_unknown_usd = amount_unknown_usd + 0.01 where {PAST}
    """,
}
VOLUMES = "volumes_and_months_count_the_same_transactions"

# What a build could lose, by the test that would see it: each of these leaves the tests of single rows content.
LOSSES = {
    **{f"that {line} agree": (damage, {CARRIED_ON}) for line, damage in DAMAGES.items()},
    "that two amounts of a past month agree": (
        f"""
        update marts.mart_transactions_monthly set amount_usd = amount_usd + 0.01
        where {PAST} and transaction_type = 'TRANSFER' and transaction_state = 'COMPLETED'
        """,
        {VOLUMES},
    ),
    "what customers moved in past months": (DAMAGES["amount_of_concentration_and_months"], {VOLUMES}),
    "transactions that count as activity": (
        "update warehouse.fct_customer_volumes set activity_transactions = 0 where transaction_type = 'ATM'",
        {VOLUMES},
    ),
    "half of the pauses that ended, in every dimension": (
        "delete from marts.mart_activity_gaps_by_dimension where returned_on is not null and hash(returned_on, gap_days) % 2 = 0",
        {"the_accounting_identity_holds", "every_pause_is_in_the_gaps"},
    ),
    "half of the pauses that ended, in the cube": (
        "delete from marts.mart_activity_gaps where returned_on is not null and hash(returned_on, gap_days) % 2 = 0",
        {"every_pause_is_in_the_gaps"},
    ),
    "pauses that are longer than they were": (
        "update marts.mart_activity_gaps_by_dimension set gap_days = gap_days + 1 where segment = 'os'",
        {"every_pause_is_in_the_gaps"},
    ),
    "open pauses of one country": (
        "delete from marts.mart_activity_gaps_by_dimension where returned_on is null and segment_value = 'FR'",
        {"segments_add_up_mart_activity_gaps_by_dimension", "the_accounting_identity_holds"},
    ),
    "a day of each customer's month": (
        "update warehouse.fct_customer_months set active_days_bitmap = active_days_bitmap & (active_days_bitmap - 1)",
        {"the_gaps_hold_every_active_day"},
    ),
    "a dimension of a month": (
        "delete from marts.mart_monthly_churn_rate where segment = 'plan' and month = '2019-01-01'",
        {"segments_add_up_mart_monthly_churn_rate"},
    ),
    "a segment that cubes count": (
        "delete from warehouse.dim_segments where country = 'FR'",
        {"every_segment_of_a_cube_is_known"},
    ),
    "the last day of the back-test": (
        "delete from marts.mart_silence_backtest where judged_on = (select max(judged_on) from marts.mart_silence_backtest)",
        {"the_back_test_judges_everybody_it_observed"},
    ),
    "the whole back-test": ("delete from marts.mart_silence_backtest", {"the_back_test_judges_everybody_it_observed"}),
    "nothing, but two rejected accounts have the key of a third": (
        """
        insert into warehouse.customer_accounts
        select * replace (-1 as customer_key, unnest(['a', 'b']) as user_id, 'exact_duplicate' as rejection_reason)
        from (select * from warehouse.customer_accounts limit 1)
        """,
        {"no_two_customers_share_a_key"},
    ),
    "nothing, but two customers of no user table have one key": (
        """
        insert into warehouse.fct_customer_volumes
        select * replace (-1 as customer_key, unnest(['a', 'b']) as user_id_text, unnest(['ATM', 'FEE']) as transaction_type)
        from (select * from warehouse.fct_customer_volumes limit 1)
        """,
        {"no_two_customers_share_a_key"},
    ),
    "transactions of a customer that were counted before": (
        "update warehouse.fct_customer_volumes set transactions = transactions - 1 where transactions > 1",
        {VOLUMES},
    ),
    "that some of a month went through": (
        "update marts.mart_transactions_monthly set transaction_state = 'DECLINED' where month = '2019-01-01'",
        {VOLUMES},
    ),
    "a type of a month": (
        "delete from marts.mart_transactions_monthly where transaction_type = 'TRANSFER' and month = '2019-01-01'",
        {VOLUMES},
    ),
    "devices": ("delete from warehouse.customer_devices where os = 'iOS'", {"no_row_of_the_bank_is_dropped_silently"}),
    **{
        f"nothing, but {table} holds a row twice": (
            f"insert into warehouse.{table} select * from warehouse.{table} limit 1",
            {f"unique_key_{table}"},
        )
        for table in (
            *("fct_customer_activity", "fct_customer_months", "fct_customer_volumes", "fct_card_payments", "fct_breaks"),
            "cohort_cells_by_dimension",
        )
    },
    **{
        f"nothing, but {table} numbers two copies alike": (
            f"insert into warehouse.{table} select * from warehouse.{table} where copy_number is not null limit 1",
            {f"unique_key_{table}"},
        )
        for table in ("repeated_transactions", "customer_accounts")
    },
    **{
        f"whom a row of {mart} is about": (f"update marts.{mart} set {column} = null", {f"never_null_{mart}"})
        for mart, column in (
            ("mart_daily_activity", "segment_value"),
            ("mart_retention_cohorts", "segment_value"),
            ("mart_monthly_churn_rate", "segment"),
            ("mart_card_not_present_by_country", "merchant_country"),
        )
    },
    "everybody of a month": (
        "delete from marts.mart_monthly_churn_rate where segment = 'all' and month = '2019-01-01'",
        {"segments_add_up_mart_monthly_churn_rate"},
    ),
}


@pytest.mark.parametrize("lost", LOSSES)
def test_what_a_build_loses_is_seen(target: Path, manifest: dict[str, Any], lost: str) -> None:
    loss, expected = LOSSES[lost]
    models, tests = ([node for node in manifest["nodes"].values() if node["resource_type"] == kind] for kind in ("model", "test"))
    with duckdb.connect(target.parent / STATE) as connection:
        connection.execute(f"set TimeZone = 'UTC'; begin; {loss}")
        growth = next(model for model in models if model["name"] == "mart_growth_accounting")
        connection.execute(f"create or replace table marts.mart_growth_accounting as {growth['compiled_code']}")
        failed = [test["name"] for test in tests if connection.execute(f"select * from ({test['compiled_code']})").fetchone()]
        connection.execute("rollback")
    assert {name for name in expected if any(test.startswith(name) for test in failed)} == expected, failed


def test_each_line_of_what_is_carried_on_sees_a_damage_that_no_other_one_sees(target: Path, manifest: dict[str, Any]) -> None:
    test = next(node for node in manifest["nodes"].values() if node["name"] == CARRIED_ON)
    seen = {}
    for line, damage in DAMAGES.items():
        with duckdb.connect(target.parent / STATE) as connection:
            connection.execute(f"set TimeZone = 'UTC'; begin; {damage}")
            found = connection.sql(test["compiled_code"])
            lines, rows = found.columns[1:], found.fetchall()
            connection.execute("rollback")
        seen[line] = {name for row in rows for name, value in zip(lines, row[1:], strict=True) if abs(value or 0) > 0.001}
    assert seen == {line: {line} for line in lines}


def test_the_registry_and_the_read_side_know_the_same_metrics(manifest: dict[str, Any]) -> None:
    assert set(metrics.from_manifest(manifest)) == set(METRICS)


def test_no_model_reads_the_clock() -> None:
    for path in DBT_PROJECT.rglob("*.sql"):
        text = path.read_text(encoding="utf-8").lower()
        assert not any(word in text for word in ("current_date", "current_timestamp", "now()", "getdate(")), path.name
