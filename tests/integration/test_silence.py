"""P(silent N): what the chain publishes against a replay, nothing known too early, and probabilities that come true."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import oracle
import pytest
import silence_oracle
from chain import Published, Replayed, publish
from differences import close
from histories import History, random_bank, write_csv
from silence_oracle import Cell, estimate, learned, observed, reference_days

from pipeline.errors import ConfigurationError
from pipeline.marts import Question
from pipeline.transform import DBT_PROJECT

N = 30
CUT, LAST_DAY = date(2020, 9, 11), date(2020, 11, 17)  # the first is a reference day


@pytest.fixture(scope="module")
def bank() -> dict[str, list[dict[str, str]]]:
    return random_bank(31, customers=250, first_day=date(2019, 10, 20), last_day=LAST_DAY).tables()


@pytest.fixture(scope="module")
def published(bank: dict[str, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(write_csv(tmp_path_factory.mktemp("bank"), bank), tmp_path_factory.mktemp("home"), inactivity_days=N)


@pytest.fixture(scope="module")
def lives(bank: dict[str, list[dict[str, str]]]) -> dict[str, tuple[date, ...]]:
    """Every customer's active days."""
    return {one.user_id: one.active_days for one in Replayed(bank, window=N).bank.customers}


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
    judged = [
        day for day in reference_days(first, published.as_of - timedelta(days=N)) if learned(customers, day, N)
    ]
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


# --- nothing is known too early ---------------------------------------------------------------------------------------


def test_the_back_test_expects_what_a_version_of_that_day_would_have_said(
    published: Published, bank: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    folder = write_csv(tmp_path / "bank", bank)
    that_day = publish(folder, tmp_path / "home", inactivity_days=N, as_of=CUT)
    assert expected_by_tenth(that_day) == pytest.approx(back_tested(published))


def test_what_happens_after_the_day_changes_what_came_and_nothing_of_what_was_expected(
    published: Published, bank: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    altered = dict(bank)
    altered["transactions"] = [row for row in bank["transactions"] if not is_after_the_cut(row)]
    busy = History(transactions=altered["transactions"])
    for number in range(1, 250, 3):  # a third of the customers come every day, the others never again
        busy.active(number, *(CUT + timedelta(days=day) for day in range(1, 60)))
    busy.active(9999, LAST_DAY)  # as_of stays what it was
    other = publish(write_csv(tmp_path / "bank", altered), tmp_path / "home", inactivity_days=N)
    assert other.as_of == published.as_of
    assert back_tested(other) == pytest.approx(back_tested(published))
    came, then = (rows_of_the_cut(one, "silent_customers") for one in (published, other))
    assert came != then


def is_after_the_cut(row: dict[str, str]) -> bool:
    return row["created_date"][:10] > CUT.isoformat() or not row["created_date"][:2].isdigit()


def expected_by_tenth(version: Published) -> dict[int, float]:
    expected: dict[int, float] = defaultdict(float)
    for row in version.rows("mart_silence_risk"):
        expected[int(row["silence_probability"] * 10)] += row["silence_probability"]
    return dict(expected)


def back_tested(version: Published) -> dict[int, float]:
    return rows_of_the_cut(version, "expected_silent_customers")


def rows_of_the_cut(version: Published, column: str) -> dict[int, Any]:
    rows = version.rows("mart_silence_backtest")
    return {row["tenth"]: row[column] for row in rows if row["judged_on"] == CUT}
