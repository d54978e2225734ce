"""P(silent N): what the chain publishes against a replay, nothing known too early, and probabilities that come true."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean, pvariance
from typing import Any

import builds
import duckdb
import pyarrow as pa
import pytest
import silence_oracle
from chain import Published, Replayed, publish
from differences import close
from histories import random_bank, write_csv
from silence_oracle import Cell, estimate, learned, observed, reference_days

from pipeline.errors import ConfigurationError
from pipeline.marts import Question
from pipeline.transform import DBT_PROJECT

Tables = Mapping[str, list[dict[str, Any]]]

BUILT = (
    ("warehouse", "silence_observations"),
    ("marts", "mart_silence_risk"),
    ("marts", "mart_silence_table"),
    ("marts", "mart_silence_backtest"),
    ("marts", "mart_silence_accuracy"),
    ("marts", "mart_silence_hold_out"),
)
N = 30
CUT, LAST_DAY = date(2020, 9, 11), date(2020, 11, 17)  # the first is a reference day


@pytest.fixture(scope="module")
def bank() -> dict[str, list[dict[str, str]]]:
    return random_bank(31, customers=250, first_day=date(2019, 10, 20), last_day=LAST_DAY).tables()


@pytest.fixture(scope="module")
def published(bank: dict[str, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Published:
    with builds.building(builds.direct):
        return publish(write_csv(tmp_path_factory.mktemp("bank"), bank), tmp_path_factory.mktemp("home"), inactivity_days=N)


@pytest.fixture(scope="module")
def lives(bank: dict[str, list[dict[str, str]]]) -> dict[str, tuple[date, ...]]:
    """Every customer's active days."""
    return {one.user_id: one.active_days for one in Replayed(bank, window=N).bank.customers}


@dataclass(frozen=True)
class Simulated:
    """What is published of simulated customers, and each one's true chance of silence by their number."""

    tables: Tables
    true: Sequence[float]


def build_alone(
    folder: Path,
    customers: Sequence[Sequence[date]],
    *,
    as_of: date,
    window: int,
    previous_as_of: date | None = None,
    changed_from: date | None = None,
) -> Tables:
    """The silence models by table name, built from active days without the chain before them.

    With `changed_from` the run builds on the one before it in the same folder, up to the day before that.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "state.duckdb"
    with duckdb.connect(path) as connection:
        make_inputs(connection, customers, as_of, changed_from or date(1900, 1, 1))
    names = {"DBT_WAREHOUSE_FILE": path, "DBT_THREADS": 1, "DBT_MEMORY_LIMIT": "1GB", "DBT_TEMP_FOLDER": folder / "spill"}
    variables = {
        "inactivity_days": window,
        "current_bank_day": (as_of + timedelta(days=1)).isoformat(),
        "previous_as_of": previous_as_of.isoformat() if previous_as_of else "",
    }
    command = ["run", "--select", "silence_observations+", "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    command += ["--log-path", str(folder / "logs"), "--target-path", str(folder / "target"), "--no-version-check"]
    command += ["--no-send-anonymous-usage-stats", *([] if previous_as_of else ["--full-refresh"])]
    command += ["--vars", json.dumps(variables)]
    said = builds.dbt(command, {name: str(value) for name, value in names.items()}, folder)
    results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    assert {result["status"] for result in results} == {"success"}, said
    with duckdb.connect(path, read_only=True) as connection:
        return {name: connection.sql(f"from {schema}.{name} order by all").to_arrow_table().to_pylist() for schema, name in BUILT}


def make_inputs(
    connection: duckdb.DuckDBPyConnection, customers: Sequence[Sequence[date]], as_of: date, changed_from: date
) -> None:
    """What the models read, of customers who are numbered from 0 and all alike but for their days."""
    days = pa.table(
        {
            "customer_key": pa.array([number for number, days in enumerate(customers) for _ in days], pa.int64()),
            "activity_date": pa.array([day for days in customers for day in days], pa.date32()),
        }
    )
    connection.register("days", days)
    connection.execute("create schema if not exists warehouse")
    make = "create or replace table warehouse"
    connection.execute(f"{make}.fct_customer_days as select *, 1.5 as amount_usd from days where activity_date <= $1", [as_of])
    connection.execute(f"{make}.dim_publication as select $1::date as as_of", [as_of])
    connection.execute(f"{make}.change_window as select $1::date as changed_from", [changed_from])
    connection.execute(f"""
        {make}.dim_customers as
        select
            customer_key, customer_key::text as user_id, 'GB' as country, 'STANDARD' as plan, 'standard' as plan_tier,
            'iOS' as os, '25-34' as age_band, '2017-01' as signup_cohort,
            min(activity_date) as first_active_day, max(activity_date) as last_active_day,
        from warehouse.fct_customer_days
        group by customer_key
    """)


def cells_of(row: dict[str, Any]) -> Cell:
    return row["silence_band"], row["frequency_band"], row["tenure_band"]


# --- against the replay -----------------------------------------------------------------------------------------------


def test_each_active_customer_has_the_probability_that_the_replay_works_out(
    published: Published, lives: dict[str, tuple[date, ...]]
) -> None:
    counts = learned(list(lives.values()), published.as_of, N)
    wanted = {user_id: silence_oracle.cell(days, published.as_of, N) for user_id, days in lives.items()}
    rows = {row["user_id"]: row for row in published.rows("mart_silence_risk")}
    assert len(rows) > 50
    assert {user_id: cells_of(row) for user_id, row in rows.items()} == {who: where for who, where in wanted.items() if where}
    for user_id, row in rows.items():
        due = estimate(counts, cells_of(row), N)
        assert close(row["silence_probability"], due.probability, 1e-12)
        assert close(row["silence_probability_low"], due.low, 1e-9)
        assert close(row["silence_probability_high"], due.high, 1e-9)
        assert row["observations"] == due.observations
        assert row["would_lapse_on"] == lives[user_id][-1] + timedelta(days=N)


def test_the_table_holds_what_was_seen_in_the_last_year_of_reference_days(
    published: Published, lives: dict[str, tuple[date, ...]]
) -> None:
    counts = learned(list(lives.values()), published.as_of, N)
    rows = {cells_of(row): row for row in published.rows("mart_silence_table")}
    assert {where: (row["observations"], row["silent_observations"]) for where, row in rows.items()} == counts
    assert all(close(row["silence_probability"], estimate(counts, where, N).probability, 1e-12) for where, row in rows.items())


def test_the_back_test_says_what_the_replay_expected_on_each_day_and_what_came(
    published: Published, lives: dict[str, tuple[date, ...]]
) -> None:
    customers = list(lives.values())
    first = min(days[0] for days in customers if days)
    bins = {(row["judged_on"], row["tenth"]): row for row in published.rows("mart_silence_backtest")}
    errors = {row["judged_on"]: row for row in published.rows("mart_silence_accuracy")}
    judged = [day for day in reference_days(first, published.as_of - timedelta(days=N)) if learned(customers, day, N)]
    assert sorted(errors) == judged
    assert len(judged) > 8
    for day in judged:
        check_day(day, customers, {tenth: row for (on, tenth), row in bins.items() if on == day}, errors[day])


def check_day(day: date, customers: Sequence[Sequence[date]], bins: dict[int, Any], error: dict[str, Any]) -> None:
    counts, came = learned(customers, day, N), observed(customers, day, N)
    tenths: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    brier = by_silence = 0.0
    for where, (seen, silent) in came.items():
        probability = estimate(counts, where, N).probability
        tenths[int(probability * 10)].append((probability, seen, silent))
        brier += silent * (1 - probability) ** 2 + (seen - silent) * probability**2
        alone = silence_oracle.by_silence_alone(counts, where)
        by_silence += silent * (1 - alone) ** 2 + (seen - silent) * alone**2
    everybody, all_silent = sum(seen for seen, _ in came.values()), sum(silent for _, silent in came.values())
    base = all_silent / everybody * (1 - all_silent / everybody)
    assert bins.keys() == tenths.keys()
    off = chance = 0.0
    for tenth, parts in tenths.items():
        expected = sum(probability * seen for probability, seen, _ in parts)
        assert bins[tenth]["customers"] == sum(seen for _, seen, _ in parts)
        assert bins[tenth]["silent_customers"] == sum(silent for *_, silent in parts)
        assert close(bins[tenth]["expected_silent_customers"], expected, 1e-9)
        off += abs(expected - sum(silent for *_, silent in parts))
        chance += math.sqrt(sum(seen * probability * (1 - probability) for probability, seen, _ in parts) * 2 / math.pi)
    assert close(error["calibration_error"], off / everybody, 1e-9)
    assert close(error["calibration_error_by_chance"], chance / everybody, 1e-9)
    assert close(error["brier_score"], brier / everybody, 1e-9)
    assert close(error["skill_over_base_rate"], 1 - brier / everybody / base, 1e-9)
    assert close(error["skill_over_silence_alone"], 1 - brier / by_silence, 1e-9)
    assert error["final_on"] == day + timedelta(days=N)


def test_of_who_was_on_the_list_a_digest_of_the_identifier_says_who_was_held_out_and_the_replay_what_came(
    published: Published, lives: dict[str, tuple[date, ...]]
) -> None:
    wanted: dict[tuple[date, bool], list[float]] = {}
    for day in {row["judged_on"] for row in published.rows("mart_silence_accuracy")}:
        counts = learned(list(lives.values()), day, N)
        for user_id, days in lives.items():
            where = silence_oracle.cell(days, day, N)
            probability = estimate(counts, where, N).probability if where else 0.0
            if probability >= 0.5:
                seen = wanted.setdefault((day, silence_oracle.is_held_out(user_id, percent=10)), [0, 0, 0.0])
                seen[0] += 1
                seen[1] += not any(0 < (other - day).days <= N for other in days)
                seen[2] += probability
    rows = {(row["judged_on"], row["is_held_out"]): row for row in published.rows("mart_silence_hold_out")}
    assert {held_out for _, held_out in wanted} == {True, False}
    assert rows.keys() == wanted.keys()
    for key, (customers, silent, expected) in wanted.items():
        assert (rows[key]["customers"], rows[key]["silent_customers"]) == (customers, silent)
        assert close(rows[key]["expected_silent_customers"], expected, 1e-9)
        assert rows[key]["final_on"] == key[0] + timedelta(days=N)
    told = published.reader.answer(Question("silence_calibration", kind="hold_out")).rows()
    assert [(row["date"], row["listed"] == "held_out", row["n"], row["silent"]) for row in told] == [
        (day, held_out, *wanted[day, held_out][:2]) for day, held_out in sorted(wanted, key=lambda key: (key[0], not key[1]))
    ]
    risks = {row["user_id"]: row for row in published.rows("mart_silence_risk")}
    assert {who for who, row in risks.items() if row["is_held_out"]} == {
        who for who in risks if silence_oracle.is_held_out(who, percent=10)
    }
    listed = {row["user_id"]: row["is_held_out"] for row in published.rows("sync_early_warnings")}
    assert listed == {who: row["is_held_out"] for who, row in risks.items() if row["silence_probability"] >= 0.5}


# --- nothing is known too early ---------------------------------------------------------------------------------------


@pytest.mark.proof
def test_the_back_test_expects_what_a_version_of_that_day_would_have_said(
    published: Published, bank: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    folder = write_csv(tmp_path / "bank", bank)
    with builds.building(builds.direct):
        that_day = publish(folder, tmp_path / "home", inactivity_days=N, as_of=CUT)
    assert expected_by_tenth(that_day) == pytest.approx(back_tested(published))


@pytest.mark.proof
def test_what_happens_after_the_day_changes_what_came_and_nothing_of_what_was_expected(
    lives: dict[str, tuple[date, ...]], tmp_path: Path
) -> None:
    customers = [days for days in lives.values() if days]
    altered = [altered_after_the_cut(number, days) for number, days in enumerate(customers)]
    one, other = (
        build_alone(tmp_path / name, some, as_of=LAST_DAY, window=N) for name, some in (("a", customers), ("b", altered))
    )
    assert expected_at_the_cut(one) == pytest.approx(expected_at_the_cut(other))
    assert came_after_the_cut(one) != came_after_the_cut(other)


def altered_after_the_cut(number: int, days: Sequence[date]) -> Sequence[date]:
    """A third of the customers come every day, the others never again."""
    before = [day for day in days if day <= CUT]
    if number % 3 or not before:
        return before
    return [*before, *(CUT + timedelta(days=day) for day in range(1, (LAST_DAY - CUT).days + 1))]


def expected_by_tenth(version: Published) -> dict[int, float]:
    expected: dict[int, float] = defaultdict(float)
    for row in version.rows("mart_silence_risk"):
        expected[int(row["silence_probability"] * 10)] += row["silence_probability"]
    return dict(expected)


def back_tested(version: Published) -> dict[int, float]:
    return expected_at_the_cut({"mart_silence_backtest": version.rows("mart_silence_backtest")})


def expected_at_the_cut(tables: Tables) -> dict[int, float]:
    return at_the_cut(tables, "expected_silent_customers")


def came_after_the_cut(tables: Tables) -> dict[int, int]:
    return at_the_cut(tables, "silent_customers")


def at_the_cut(tables: Tables, column: str) -> dict[int, Any]:
    return {row["tenth"]: row[column] for row in tables["mart_silence_backtest"] if row["judged_on"] == CUT}


# --- probabilities that come true -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How a kind of customer lives: chance of an active day while they stay, and chance a day to leave for good."""

    share: float
    active: float
    leaving: float


ONE_TIME = Kind(0.5, 0.0, 1.0)  # CDNOW: half of the buyers buy once
KINDS = (ONE_TIME, Kind(0.15, 0.4, 0.004), Kind(0.15, 0.1, 0.002), Kind(0.1, 0.03, 0.001), Kind(0.1, 0.02, 0.008))
BEGIN, END = date(2017, 1, 1), date(2018, 12, 31)


def live(chance: random.Random, kind: Kind, first: date, last: date) -> tuple[list[date], bool]:
    """The active days of one life, and whether the customer is still there at the end."""
    days, day = [first], first
    while day < last and chance.random() >= kind.leaving:
        day += timedelta(days=1)
        if chance.random() < kind.active:
            days.append(day)
    return days, day == last and kind is not ONE_TIME


def chance_of_silence(kind: Kind, *, is_there: bool, days: int) -> float:
    """The true P(silent N): each day the customer leaves, or stays and is active or not."""
    if not is_there:
        return 1.0
    silent = 0.0
    still_there = 1.0
    for _ in range(days):
        silent += still_there * kind.leaving
        still_there *= (1 - kind.leaving) * (1 - kind.active)
    return silent + still_there


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    chance = random.Random(20261123)
    kinds = chance.choices(KINDS, [kind.share for kind in KINDS], k=30_000)
    lives = [live(chance, kind, BEGIN + timedelta(days=chance.randrange(730)), END) for kind in kinds]
    tables = build_alone(tmp_path_factory.mktemp("simulated"), [days for days, _ in lives], as_of=END, window=60)
    true = [chance_of_silence(kind, is_there=is_there, days=60) for kind, (_, is_there) in zip(kinds, lives, strict=True)]
    return Simulated(tables, true)


@pytest.mark.proof
def test_the_probabilities_are_those_of_a_known_process(simulated: Simulated) -> None:
    by_band: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in simulated.tables["mart_silence_risk"]:
        by_band[row["silence_band"]].append((row["silence_probability"], simulated.true[int(row["user_id"])]))
    assert len(by_band) == 9
    for pairs in by_band.values():
        given, true = (fmean(some) for some in zip(*pairs, strict=True))
        assert given == pytest.approx(true, abs=0.03)
    everybody = [pair for pairs in by_band.values() for pair in pairs]
    assert fmean(given - true for given, true in everybody) == pytest.approx(0, abs=0.015)


@pytest.mark.proof
def test_the_true_share_of_a_cell_lies_in_its_interval(simulated: Simulated) -> None:
    """Up to chance in who happens to be in the cell today, about 95 of 100 times."""
    cells: dict[Cell, list[tuple[dict[str, Any], float]]] = defaultdict(list)
    for row in simulated.tables["mart_silence_risk"]:
        cells[cells_of(row)].append((row, simulated.true[int(row["user_id"])]))
    many = [rows for rows in cells.values() if len(rows) >= 20]
    assert len(many) > 80
    assert sum(holds(rows[0][0], [true for _, true in rows]) for rows in many) / len(many) > 0.88


def holds(row: dict[str, Any], true: Sequence[float]) -> bool:
    spread = (row["silence_probability_high"] - row["silence_probability_low"]) / (2 * silence_oracle.Z)
    by_chance = math.sqrt(pvariance(true) / len(true))
    return abs(fmean(true) - row["silence_probability"]) < silence_oracle.Z * math.hypot(spread, by_chance)


@pytest.mark.proof
def test_the_back_test_finds_small_errors_and_skill_over_the_base_rate_and_over_silence_alone(simulated: Simulated) -> None:
    last = [row for row in simulated.tables["mart_silence_accuracy"] if row["judged_on"] > date(2018, 4, 1)]
    assert len(last) == 7
    for row in last:
        assert row["calibration_error"] < 0.02
        assert row["skill_over_base_rate"] > 0.4
        assert row["skill_over_silence_alone"] > 0.2


@pytest.mark.proof
def test_who_came_once_is_neither_surely_gone_nor_surely_there(simulated: Simulated) -> None:
    once = [row for row in simulated.tables["mart_silence_risk"] if row["tenure_days"] == row["days_silent"]]
    assert len(once) > 1000
    new, waiting = ([row for row in once if (row["days_silent"] > 20) == late] for late in (False, True))
    means = [fmean(row["silence_probability"] for row in some) for some in (new, waiting)]
    true = [fmean(simulated.true[int(row["user_id"])] for row in some) for some in (new, waiting)]
    assert 0.3 < means[0] < means[1] < 1
    assert means == pytest.approx(true, abs=0.03)


# --- from run to run --------------------------------------------------------------------------------------------------


@pytest.mark.proof
@pytest.mark.slow
def test_runs_that_build_on_each_other_say_what_one_run_says(lives: dict[str, tuple[date, ...]], tmp_path: Path) -> None:
    customers = [days for days in lives.values() if days]
    early = [without_june(days) for days in customers]
    runs = [
        Run(early, date(2020, 8, 1), 30),
        Run(early, date(2020, 8, 2), 30, date(2020, 8, 2)),  # a quiet day: no reference day is over that was not
        Run(customers, date(2020, 9, 20), 30, date(2020, 6, 1)),  # the rows of June, late, and reference days that are over now
        Run(customers, date(2020, 9, 10), 60, date(2020, 9, 11)),  # as_of goes back, and another N
        Run(customers, date(2020, 11, 10), 60, date(2020, 9, 11)),
    ]
    for place, run in enumerate(runs):
        found = run.build(tmp_path / "on each other", previous_as_of=runs[place - 1].as_of if place else None)
        if place >= 2:
            wanted = run.build(tmp_path / f"alone {place}", previous_as_of=None)
            # of sums of floats the last digits depend on the order of adding
            assert found == {name: [pytest.approx(row, rel=1e-12) for row in rows] for name, rows in wanted.items()}


@dataclass(frozen=True)
class Run:
    """What is known in a run: active days, up to which day, under which N, and from which day on they differ."""

    customers: Sequence[Sequence[date]]
    as_of: date
    window: int
    changed_from: date | None = None

    def build(self, folder: Path, *, previous_as_of: date | None) -> Tables:
        """The tables of this run, on those of the one before it in the folder, if there was one."""
        return build_alone(
            folder,
            self.customers,
            as_of=self.as_of,
            window=self.window,
            previous_as_of=previous_as_of,
            changed_from=self.changed_from,
        )


def without_june(days: Sequence[date]) -> Sequence[date]:
    """The days but those of June, unless nothing were left."""
    return [day for day in days if day.month != 6] or days


# --- edges ------------------------------------------------------------------------------------------------------------


def test_without_a_past_of_n_days_nothing_is_claimed(tmp_path: Path) -> None:
    days = [BEGIN + timedelta(days=place) for place in range(20)]
    tables = build_alone(tmp_path, [days, days[:3]], as_of=days[-1], window=60)
    assert [row["silence_probability"] for row in tables["mart_silence_risk"]] == [None, None]
    assert [row["observations"] for row in tables["mart_silence_risk"]] == [0, 0]
    assert tables["mart_silence_table"] == tables["mart_silence_backtest"] == tables["mart_silence_accuracy"] == []


def test_a_past_in_which_everybody_fell_silent_makes_nobody_certain(tmp_path: Path) -> None:
    early = [[BEGIN + timedelta(days=place % 30)] for place in range(40)]
    tables = build_alone(tmp_path, [*early, [date(2017, 6, 1)]], as_of=date(2017, 6, 1), window=60)
    (only,) = tables["mart_silence_risk"]
    assert 0.5 < only["silence_probability"] < 1
    assert only["silence_probability_low"] < only["silence_probability"] < only["silence_probability_high"] <= 1


# --- the read side ----------------------------------------------------------------------------------------------------


def test_the_answer_is_the_mean_with_the_number_to_expect_by_any_dimension_or_band(published: Published) -> None:
    risks = published.rows("mart_silence_risk")
    (all_of_them,) = published.reader.answer(Question("silence_risk")).rows()
    expected = sum(row["silence_probability"] for row in risks)
    assert all_of_them["n"] == len(risks)
    assert all_of_them["expected_customers"] == pytest.approx(expected)
    assert all_of_them["value"] == pytest.approx(expected / len(risks))
    assert all_of_them["low"] < all_of_them["value"] < all_of_them["high"]
    assert (all_of_them["date"], all_of_them["final_on"], all_of_them["provisional"]) == (
        published.as_of,
        published.as_of,
        False,
    )
    for by in ("plan_tier", "silence_band", "frequency_band"):
        parts = published.reader.answer(Question("silence_risk", by=by)).rows()
        assert sum(part["expected_customers"] for part in parts) == pytest.approx(expected)
    bands = [row["silence_band"] for row in published.reader.answer(Question("silence_risk", by="silence_band")).rows()]
    assert bands == sorted(bands, key=lambda band: int(band.split("-")[0]))


def test_the_reliability_of_the_last_judged_day_or_of_an_earlier_one(published: Published) -> None:
    days = sorted({row["judged_on"] for row in published.rows("mart_silence_backtest")})
    last = published.reader.answer(Question("silence_calibration")).rows()
    earlier = published.reader.answer(Question("silence_calibration", end=days[-2])).rows()
    assert {row["date"] for row in last} == {days[-1]}
    assert {row["date"] for row in earlier} == {days[-2]}
    assert [row["bin"] for row in last] == sorted(row["bin"] for row in last)
    for row in last:
        low, high = (float(end) for end in row["bin"].split("-"))
        assert low <= row["expected"] < high
        assert row["low"] <= row["value"] <= row["high"]
        assert not row["provisional"]
    errors = published.reader.answer(Question("silence_calibration", kind="error")).rows()
    assert [row["date"] for row in errors] == days
    off = sum(abs(row["value"] - row["expected"]) * row["n"] for row in last) / sum(row["n"] for row in last)
    assert errors[-1]["value"] == pytest.approx(off)


def test_another_window_than_the_version_s_is_refused(published: Published) -> None:
    for metric in ("silence_risk", "silence_calibration"):
        with pytest.raises(ConfigurationError, match="window of 30 days, not of 60"):
            published.reader.answer(Question(metric, window=60))


def test_the_list_begins_with_the_likeliest_and_tells_its_whole_length(published: Published) -> None:
    risks = sorted(row["silence_probability"] for row in published.rows("mart_silence_risk"))
    page = published.reader.early_warnings(limit=5)
    assert page.total == len(risks)
    assert page.table["silence_probability"].to_pylist() == risks[:-6:-1]
    likely = published.reader.early_warnings(at_least=0.5, where=(("plan_tier", "standard"),))
    wanted = [
        row for row in published.rows("mart_silence_risk") if row["silence_probability"] >= 0.5 and row["plan_tier"] == "standard"
    ]
    assert likely.total == len(wanted) == likely.table.num_rows > 0
    with pytest.raises(ConfigurationError, match="colour is not a dimension"):
        published.reader.early_warnings(where=(("colour", "red"),))
