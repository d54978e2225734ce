"""Random banks through the chain: every public figure, asked in every way, against a replay of each customer day by day.

PROOF_EXAMPLES=500 asks more than the handful that every run of the tests asks.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import builds
import oracle
import pytest
from banks import ESTIMATED, NOON, READINGS, Asked, RandomBank, Reading, asked, banks, in_words, values_known
from chain import Published, Replayed, publish
from differences import differences
from histories import write_csv
from hypothesis import given, note, settings
from hypothesis import strategies as st

from pipeline.marts import CUSTOMER_DIMENSIONS, METRICS

pytestmark = pytest.mark.slow
PROOF = settings(settings.get_profile("proof"))


@contextmanager
def both(bank: RandomBank, reading: Reading) -> Iterator[tuple[Published, Replayed]]:
    """A bank published by the chain, with the SQL that dbt compiles for it, and replayed by the oracle."""
    tables = bank.tables()
    with tempfile.TemporaryDirectory() as folder, builds.building(builds.direct):
        published = publish(write_csv(Path(folder) / "raw", tables), Path(folder) / "home", now=NOON, **reading.settings)
        replayed = reading.replayed(tables)
        note(in_words(replayed.bank, published))
        try:
            yield published, replayed
        finally:
            published.reader.close()
            oracle.forget()


@PROOF
@given(banks(), st.sampled_from(READINGS), st.lists(asked(), min_size=25, max_size=50))
def test_every_figure_and_stretch_of_any_bank_is_what_the_replay_counts(
    bank: RandomBank, reading: Reading, questions: list[Asked]
) -> None:
    with both(bank, reading) as (published, replayed):
        assert published.as_of == replayed.as_of
        known = values_known(replayed.bank, CUSTOMER_DIMENSIONS)
        for one in questions:
            words = one.question(bank, known)
            found, wanted = (source.figures(one.metric, **words) for source in (published, replayed))
            assert differences(found, wanted) == [], f"{one.metric} {words}"
        every_customer_has_the_stretches_of_the_replay(published, replayed, window=reading.window)


def every_customer_has_the_stretches_of_the_replay(published: Published, replayed: Replayed, *, window: int) -> None:
    names = ("user_id", "is_active", "starting_date", "ending_date", "recognised_on", "is_provisional")
    found = [tuple(row[name] for name in names) for row in published.rows("mart_user_is_active")]
    wanted = [
        tuple(getattr(one, name) for name in names)
        for customer in replayed.bank.customers
        for one in oracle.stretches(customer, window, replayed.as_of)
    ]
    assert set(found) ^ set(wanted) == set()
    assert len(found) == len(wanted)


@pytest.mark.proof  # in every run of the tests, the banks of test_replay.py
@PROOF
@given(banks(customers=(30, 200)), st.lists(st.integers(7, 180), min_size=3, max_size=3), st.sampled_from(CUSTOMER_DIMENSIONS))
def test_active_changes_in_any_bank_by_who_comes_and_goes_and_by_nobody_else(
    bank: RandomBank, windows: list[int], by: str
) -> None:
    with both(bank, READINGS[0]) as (published, _):
        for window in (*windows, *bank.windows):
            for split in (None, by):
                counts = {
                    name: published.figures(f"{name}_customers", window=window, by=split)
                    for name in ("active", "new", "resurrected", "churned")
                }
                before: dict[str, float] = defaultdict(float)
                for key in sorted(counts["active"], key=lambda key: key if isinstance(key, date) else key[1]):
                    segment = "all" if split is None else key[0]
                    active, new, resurrected, churned = (count[key].value or 0 for count in counts.values())
                    assert active == before[segment] + new + resurrected - churned, (window, key)
                    before[segment] = active


def test_every_metric_can_be_replayed() -> None:
    assert set(METRICS) == set(oracle.METRICS) | set(ESTIMATED)
    assert set(CUSTOMER_DIMENSIONS) == set(oracle.DIMENSIONS)
