"""The bench measures what it says: its arithmetic by hand, and every way to the stretches against a replay of each customer."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner

from benchmarks import banks, chain, figures, page, spans
from benchmarks.__main__ import main
from benchmarks.banks import Bank
from benchmarks.bench import Bench, job, repeated
from benchmarks.job import OPEN, Job, Stretches
from benchmarks.peers.engines import PEERS, Peer, python, version_of
from benchmarks.processes import FailedError, Watched, watch
from benchmarks.questions import percentile

TRANSACTIONS = 20_000
EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(banks.PLACE, str(tmp_path_factory.mktemp("bench")))
        yield banks.bank(TRANSACTIONS)


@pytest.fixture(scope="module")
def edges(bank: Bank) -> Path:
    """A second file of transactions: gaps and last silences of N days and a day more or less, and a day that the zone decides."""
    moments = {
        900_001: ("2018-01-01 12:00:00 UTC", "2018-04-01 12:00:00 UTC", "2018-07-01 12:00:00.5+00:00"),  # gaps of 90 and 91
        900_002: ("2019-02-17 12:00:00 UTC",),  # 90 days before the last day: lapsed
        900_003: ("2019-02-17 23:30:00",),  # in Paris that is the 18th, 89 days before: not lapsed
        900_004: ("2019-05-18 21:59:59 UTC",),  # the last day
    }
    rows = [
        {"user_id": f"user_{customer}", "created_date": moment, "transactions_state": "COMPLETED", "transactions_type": "ATM"}
        for customer, when in moments.items()
        for moment in when
    ]
    path = bank.folder / "edges.parquet"
    parquet.write_table(pa.Table.from_pylist(rows).select(list(rows[0])), path)
    return path


@pytest.fixture(scope="module")
def asked(bank: Bank, edges: Path) -> Job:
    """The job on both files."""
    return job(bank.transaction_file, edges)


@pytest.fixture(scope="module")
def replayed(asked: Job) -> Stretches:
    """The stretches, from the rows one by one."""
    days = _active_days(asked)
    as_of = max(day for active in days.values() for day in active)
    rows = [row for customer, active in days.items() for row in _stretches(customer, sorted(active), as_of, asked.window_days)]
    return Stretches(*(np.array(column, "int64") for column in zip(*rows, strict=True)))


def _active_days(asked: Job) -> dict[int, set[date]]:
    days: dict[int, set[date]] = defaultdict(set)
    for row in (row for path in asked.files for row in parquet.read_table(path).to_pylist()):
        if row["transactions_state"] in asked.states and row["transactions_type"] not in asked.excluded_types:
            moment = datetime.fromisoformat(row["created_date"][:19]).replace(tzinfo=UTC)
            days[int(row["user_id"].removeprefix("user_"))].add(moment.astimezone(ZoneInfo(asked.bank_timezone)).date())
    return days


def _stretches(customer: int, active: list[date], as_of: date, window: int) -> Iterator[tuple[int, int, int]]:
    first = last = active[0]
    for day in active[1:]:
        if (day - last).days > window:
            yield customer, (first - EPOCH).days, (last - EPOCH).days
            first = day
        last = day
    yield customer, (first - EPOCH).days, (last - EPOCH).days if (as_of - last).days >= window else OPEN


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_way_to_the_stretches_finds_those_of_a_replay(peer: Peer, asked: Job, replayed: Stretches) -> None:
    if version_of(peer, python()) is None:
        pytest.skip(f"{peer.package} is not installed: make bench-peers")
    found = peer.run(asked, python()).outcome
    assert (found["stretches"], found["checksum"]) == (len(replayed.customers), replayed.checksum())


def test_a_replay_has_the_stretches_that_the_edges_were_made_for(replayed: Stretches) -> None:
    def days(first: str, last: str | None) -> tuple[int, int]:
        return (date.fromisoformat(first) - EPOCH).days, (date.fromisoformat(last) - EPOCH).days if last else OPEN

    rows = zip(*(column.tolist() for column in (replayed.customers, replayed.first_days, replayed.last_days)), strict=True)
    assert [row for row in rows if row[0] > 900_000] == [
        (900_001, *days("2018-01-01", "2018-04-01")),
        (900_001, *days("2018-07-01", "2018-07-01")),
        (900_002, *days("2019-02-17", "2019-02-17")),
        (900_003, *days("2019-02-18", None)),
        (900_004, *days("2019-05-18", None)),
    ]


def test_the_floor_counts_the_customer_days_of_a_replay(asked: Job) -> None:
    found = watch([sys.executable, "-m", "benchmarks.floor", asked.as_text()])
    days = sum(len(active) for active in _active_days(asked).values())
    assert (found.outcome["customer_days"], found.outcome["plain_customer_days"]) == (days, days)
    assert found.peak_mb > 10


def test_the_checksum_knows_no_order_but_every_day() -> None:
    def checksum(*rows: tuple[int, int, int]) -> int:
        return Stretches(*(np.array(column, "int64") for column in zip(*rows, strict=True))).checksum()

    assert checksum((1, 17_000, 17_010), (2, 17_100, OPEN)) == checksum((2, 17_100, OPEN), (1, 17_000, 17_010))
    assert checksum((1, 17_000, 17_010), (2, 17_100, 17_200)) != checksum((1, 17_000, 17_200), (2, 17_100, 17_010))
    assert checksum((1, 17_000, 17_010)) != checksum((1, 17_000, 17_011))


def test_a_bank_cut_by_day_has_every_row_once_in_the_file_of_its_day(bank: Bank) -> None:
    days = banks.cut_by_day(bank)
    cut = {path.stem: parquet.read_table(path).to_pylist() for path in days}
    assert all(row["created_date"].startswith(day) for day, rows in cut.items() for row in rows)
    rows = sorted(map(repr, parquet.read_table(bank.transaction_file).to_pylist()))
    assert sorted(repr(row) for part in cut.values() for row in part) == rows
    assert banks.cut_by_day(bank) == days


def test_a_bank_without_its_last_day_is_links_to_the_others(bank: Bank, tmp_path: Path) -> None:
    days = banks.cut_by_day(bank)
    raw = banks.linked(bank.by_day, tmp_path / "raw", without=(days[-1].name,))
    assert sorted(path.name for path in (raw / "transactions").iterdir()) == [path.name for path in days[:-1]]
    assert (raw / "transactions" / days[0].name).samefile(days[0])
    assert (raw / "users.parquet").exists()


def test_time_in_both_is_counted_once() -> None:
    assert spans.union([(5, 6), (0, 2), (1, 3), (3, 4)]) == [(0, 4), (5, 6)]
    assert spans.length([(0, 2), (1, 3), (5, 6)]) == 4
    assert spans.without([(0, 4), (6, 8)], [(1, 2), (3, 7)]) == [(0, 1), (2, 3), (7, 8)]
    assert spans.without([(0, 4)], [(-1, 5)]) == []


def _node(name: str, kind: str, begin: float, end: float) -> dict[str, str]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = (start + timedelta(seconds=begin), start + timedelta(seconds=end))
    return {"name": name, "kind": kind, "started_at": moments[0].isoformat(), "ended_at": moments[1].isoformat()}


def test_a_tests_time_counts_as_such_only_while_no_model_is_worked_on() -> None:
    timings = chain.read_timings(
        [
            _node("customers", "model", 10, 14),
            _node("unique customers", "test", 13, 20),  # 6 seconds alone
            _node("days", "model", 20, 30),
            _node("days hold", "test", 30, 33),  # 3 seconds alone, after the last model
            {"name": "skipped", "kind": "test", "started_at": "", "ended_at": ""},
        ]
    )
    assert spans.length(timings.model_spans) == pytest.approx(14)
    assert spans.length(timings.test_spans) == pytest.approx(9)
    assert timings.seconds_of({"customers", "days hold"}) == pytest.approx(4)
    assert list(timings.by_model()) == ["days", "customers"]


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile(list(range(1, 101)), share) for share in (0.5, 0.95)] == [50, 95]
    assert percentile([7.0], 0.95) == 7.0


def test_what_takes_long_is_measured_once_and_the_rest_three_times() -> None:
    def taking(seconds: float) -> Watched:
        return Watched(seconds, 0, 0, "")

    assert [len(repeated(lambda seconds=seconds: taking(seconds), 3)) for seconds in (59.0, 61.0)] == [3, 1]


def test_processor_time_of_a_span_is_read_between_the_samples() -> None:
    watched = Watched(9, 0, 0, "", cpu_at=((100.0, 0.0), (102.0, 4.0), (104.0, 4.0)))
    assert watched.cpu_within([(101, 102), (103, 110)]) == 2.0
    assert watched.cpu_within([(90, 101)]) == 2.0


def test_the_processor_time_of_a_child_is_its_parents_too() -> None:
    busy = "import time; until = time.process_time() + 0.5\nwhile time.process_time() < until: pass"
    seen = watch([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"])
    assert seen.cpu_seconds >= 0.5
    assert 0 < seen.cpu_at[-1][1] <= seen.cpu_seconds + 0.1


def test_a_command_that_fails_is_told_with_its_words() -> None:
    with pytest.raises(FailedError, match="no such thing"):
        watch([sys.executable, "-c", "raise SystemExit('no such thing')"])
    with pytest.raises(FailedError, match="longer than 1 s"):
        watch([sys.executable, "-c", "import time; time.sleep(60)"], seconds=1)


def test_a_command_does_not_see_the_settings_of_the_one_who_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_THREADS", "1")
    told = watch([sys.executable, "-c", "import os; print(os.environ.get('NEOPULSE_THREADS', 'unset'))"])
    assert told.output.strip() == "unset"


def _measured(transactions: int, *, build: float = 30.0, p95: float = 20.0) -> dict[str, Any]:
    run = {
        "model_seconds": 1.1 * build,
        "model_cpu_seconds": 1.7 * build,
        "cpu_seconds_without_tests": 60.0,
        "test_seconds": 5.0,
        "dbt_start_seconds": 4.0,
        "run_seconds": 50.0,
        "run_seconds_without_tests": 45.0,
        "cpu_seconds": 70.0,
        "peak_mb": 2048.0,
        "models": {"fct_customer_days": 14.0},
        "models_alone": {
            "seconds": build,
            "cpu_seconds": 1.5 * build,
            "peak_mb": 1024.0,
            "models": {"fct_customer_days": 12.0},
        },
    }
    summary = {"n": 4, "p50_ms": 10.0, "p95_ms": p95, "max_ms": 30.0}
    return {
        "transactions": transactions,
        "machine": {
            **{"cores": 2, "processor": "some", "memory_gb": 24.0, "system": "Linux", "versions": {"duckdb": "2.0.0"}},
            **{"measured_at": "2026-11-25T18:00:00+00:00", "commit": "abc"},
        },
        "floors": [
            {"seconds": seconds, "plain_seconds": 2 * seconds, "cpu_seconds": 2 * seconds, "load": 0.5}
            for seconds in (9.0, 10.0, 12.0)
        ],
        "build": run,
        "increment": {"before": run, "after": {**run, "model_seconds": 0.66}, "same_stretches": True},
        "reads": {"all": summary, "by_filters": {"none": summary}, "by_metric": {"dau": summary}, "slowest": "dau, N = 7, none"},
        "app": {"peak_mb": 280.0},
        "ours": {"seconds": 20.0},
        "peers": {
            "breaks": {"seconds": 16.0, "peak_mb": 300.0},
            "polars": {"seconds": 18.0, "peak_mb": 900.0},
            "self_join": {"seconds": 400.0, "peak_mb": 3000.0},
            "pandas": {"left_out": "does not fit into memory"},
        },
    }


def test_figures_are_ratios_to_the_median_floor() -> None:
    found = figures.figures(_measured(1_000_000))
    assert (found["full_build_over_floor"], found["run_over_floor"]) == (3.0, 4.5)
    assert found["full_build_over_plain_floor"] == 1.5
    assert (found["full_build_cpu_over_floor_cpu"], found["run_cpu_over_floor_cpu"]) == (2.25, 3.0)
    assert found["increment_over_full_build"] == pytest.approx(0.02)
    assert (found["metric_p95_ms"], found["peak_memory_mb"], found["app_memory_mb"]) == (20.0, 2048.0, 280.0)
    assert (found["polars_over_ours"], found["self_join_over_ours"]) == (0.9, 20.0)
    assert found["polars_over_bare_statement"] == 1.125
    assert "pandas_over_ours" not in found


def test_a_new_measurement_takes_the_place_of_the_last_one_of_its_size_only() -> None:
    kept = figures.merged({}, _measured(100_000_000, p95=30.0))
    kept = figures.merged(kept, _measured(10_000_000, build=60.0))
    kept = figures.merged(kept, _measured(10_000_000, build=40.0))
    assert kept["full_build_over_floor"] == {"10000000": 4.0, "100000000": 3.0}
    assert kept["metric_p95_growth"] == {"10000000 to 100000000": 1.5}
    elsewhere = _measured(100_000_000, p95=30.0)
    elsewhere["machine"] = {**elsewhere["machine"], "processor": "another"}
    assert figures.merged(kept, elsewhere)["metric_p95_growth"] == {}


def test_the_page_says_what_holds_what_does_not_and_where_others_are_quicker() -> None:
    text = page.page(figures.merged({}, _measured(10_000_000)))
    assert "| full build over the floor | 2.0, at most 3.0 | 3 ✓ |" in text
    assert "| whole run without tests over the floor | at most 4.0 | 4.5 ✗ |" in text
    assert "| Polars, streaming | 18 | 0.9 | 1.12 | 900 |" in text
    assert "| pandas | does not fit into memory |" in text
    assert "all that it checks on the way: DuckDB, breaks only: neopulse's way as one bare statement; Polars, streaming." in text
    assert "Quicker than the bare statement: nobody." in text


def test_the_command_keeps_the_figures_and_writes_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(figures, "LATEST", tmp_path / "latest.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(banks, "bank", lambda transactions: Bank(transactions, tmp_path))
    monkeypatch.setattr(Bench, "measure", lambda bench, **_options: _measured(bench.found["transactions"]))
    ended = CliRunner().invoke(main, ["--transactions", "5000000"])
    assert ended.exit_code == 0, ended.output
    kept = json.loads((tmp_path / "latest.json").read_text())
    assert kept["run_over_floor"] == {"5000000": 4.5}
    assert "5 million" in (tmp_path / "performance.md").read_text()


def test_what_was_left_out_has_no_figure_and_the_page_has_a_gap() -> None:
    whole, short = _measured(1_000_000), _measured(2_000_000)
    for part in ("reads", "app", "peers", "increment"):
        del short[part]
    kept = figures.merged(figures.merged({}, whole), short)
    assert kept["metric_p95_ms"] == {"1000000": 20.0}
    assert kept["full_build_over_floor"] == {"1000000": 3.0, "2000000": 3.0}
    assert kept["metric_p95_growth"] == {}
    assert "| any figure for any N, 95th percentile, ms | under 50 | 20 ✓ |  |" in page.page(kept)


def test_the_page_is_what_the_figures_say() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(figures.read()), "run: python -m benchmarks.page"


def test_the_kept_figures_are_those_of_the_kept_measurements() -> None:
    kept = figures.read()
    for found in kept.get("sizes", {}).values():
        assert figures.merged(kept, found) == json.loads(json.dumps(kept))


@pytest.mark.proof
@pytest.mark.slow
def test_the_whole_measurement_runs_on_a_small_bank(bank: Bank) -> None:
    told: list[str] = []
    found = Bench(bank, say=told.append, repeats=1, each=1).measure()
    assert "left_out" not in found["peers"]["breaks"]  # its stretches are those of the product
    assert found["increment"]["same_stretches"]
    assert found["build"]["models_alone"]["seconds"] > 0
    assert 0 < found["build"]["model_seconds"] < found["build"]["run_seconds_without_tests"] < found["build"]["run_seconds"]
    assert found["app"]["pages_drawn"] > 0
    assert len(found["floors"]) == 12  # twice each: before the build, after it, and after each of the four parts
    assert page.page(figures.merged({}, found))
