"""The survival curve and its interval, for any window and segment, against the `lifelines` package to 1e-9."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import builds
import oracle
import pytest
from chain import LONG_AFTER, Published, publish
from histories import Row, random_bank, write_csv
from survival_curves import assert_is_lifelines_curve, first_lapse

from pipeline.marts import CUSTOMER_DIMENSIONS, Question

lifelines = pytest.importorskip("lifelines", reason="the package lifelines is not installed")
multivariate_logrank_test = pytest.importorskip("lifelines.statistics").multivariate_logrank_test

pytestmark = pytest.mark.slow
SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "neobank_sample"
WINDOWS = (7, 14, 29, 30, 31, 60, 90, 180)


def random_tables(seed: int) -> dict[str, list[Row]]:
    return random_bank(seed, customers=160, first_day=date(2019, 10, 20), last_day=date(2020, 11, 17)).tables()


def sample_tables() -> dict[str, Any]:
    if not SAMPLE.is_dir():
        pytest.skip(f"the real sample is not at {SAMPLE}")
    return oracle.read_folder(SAMPLE)


BANKS: dict[str, Callable[[], dict[str, Any]]] = {
    **{f"random bank {seed}": partial(random_tables, seed) for seed in (1, 2, 3)},
    "the real sample": sample_tables,
}


@pytest.fixture(
    scope="module",
    params=[
        name if name in ("random bank 1", "the real sample") else pytest.param(name, marks=pytest.mark.proof) for name in BANKS
    ],
)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Published, oracle.Bank]:
    tables = BANKS[request.param]()
    raw = write_csv(tmp_path_factory.mktemp("raw"), tables)
    with builds.building(builds.direct):
        published = publish(raw, tmp_path_factory.mktemp("home"))
    return published, oracle.bank(tables, current_day=LONG_AFTER.date())


@pytest.mark.parametrize("window", WINDOWS)
def test_survival_is_what_lifelines_estimates(both: tuple[Published, oracle.Bank], window: int) -> None:
    published, bank = both
    times = [time for one in bank.ever_active if (time := first_lapse(one, window, bank.as_of))]
    assert any(happened for _, happened in times) or window >= 90  # the real sample is too short for these
    assert_is_lifelines_curve(published, times, {"window": window})


@pytest.mark.parametrize("dimension", CUSTOMER_DIMENSIONS)
def test_survival_of_a_segment_is_what_lifelines_estimates(both: tuple[Published, oracle.Bank], dimension: str) -> None:
    published, bank = both
    compared = 0
    for value in bank.values(dimension):
        times = [time for one in bank.where(**{dimension: value}).ever_active if (time := first_lapse(one, 60, bank.as_of))]
        if any(happened for _, happened in times):
            assert_is_lifelines_curve(published, times, {"window": 60, dimension: value})
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("dimension", ["plan_tier", "os", "age_band"])
def test_the_log_rank_test_between_segments_is_that_of_lifelines(both: tuple[Published, oracle.Bank], dimension: str) -> None:
    published, bank = both
    values = tuple(bank.values(dimension))
    compared = published.reader.survival_compared(Question("survival", window=30, by=dimension), groups=values)
    lives = [
        (*time, value)
        for value in compared.groups
        for one in bank.where(**{dimension: value}).ever_active
        if (time := first_lapse(one, 30, bank.as_of))
    ]
    sizes = Counter(value for _, _, value in lives)
    assert set(sizes) == set(compared.groups)
    assert min(sizes.values(), default=30) >= 30
    if compared.test is None:
        assert len(compared.groups) < 2 or not any(happened for _, happened, _ in lives)
        return
    days, happened, groups = zip(*lives, strict=True)
    theirs = multivariate_logrank_test(days, groups, happened)
    assert compared.test.statistic == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert compared.test.p_value == pytest.approx(theirs.p_value, rel=1e-9)


def test_time_to_first_transaction_is_what_lifelines_estimates(both: tuple[Published, oracle.Bank]) -> None:
    published, bank = both
    times = [oracle.time_to_first(one, bank.as_of) for one in oracle.with_account(bank)]
    fitter = lifelines.KaplanMeierFitter().fit([days for days, _ in times], [happened for _, happened in times])
    figures = published.figures("time_to_first_transaction")
    for days, figure in figures.items():
        assert figure.value == pytest.approx(1 - fitter.survival_function_at_times(days).iloc[0], abs=1e-9)
