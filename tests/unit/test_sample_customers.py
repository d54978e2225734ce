"""Five sample customers: each stands for another history, everybody gets the same ones, and only who may see customers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from page_kit import whole, words

from pipeline.marts import Reader
from pipeline.warehouse.publication import Publications
from streamlit_app.auth import Role, User

pytestmark = [pytest.mark.xdist_group("the bank of the pages")]


@pytest.fixture(scope="module")
def published(pages_bank: Path) -> Reader:
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    return Reader(version)


def test_each_of_the_five_fits_its_history_as_all_customers_do_by_hand(published: Reader) -> None:
    everybody = published.relation("mart_customers").to_pylist()
    chosen = {sample.history: sample.customer.facts for sample in published.samples()}
    assert len(chosen) == len({facts["user_id"] for facts in chosen.values()}) == 5
    steady = max((row for row in everybody if row["is_active"] and not row["lapses"]), key=lambda row: row["active_days"])
    assert chosen["steady"]["active_days"] == steady["active_days"]
    assert chosen["came_back"]["lapses"] == max(row["lapses"] for row in everybody if row["is_active"])
    silent = max(row["days_silent"] for row in everybody if row["is_active"])
    assert chosen["at_the_edge"]["days_silent"] == silent
    gone = [row["lapsed_on"] for row in everybody if not row["is_active"] and row["active_days"] > 1]
    assert chosen["gone"]["lapsed_on"] == max(gone)


def test_the_same_version_gives_the_same_customers_each_time(published: Reader) -> None:
    again = Reader(published.version)
    assert [sample.customer.facts for sample in published.samples()] == [sample.customer.facts for sample in again.samples()]


def test_of_some_countries_come_customers_of_these_alone(published: Reader) -> None:
    assert {sample.customer.facts["country"] for sample in published.samples(countries=("FR",))} == {"FR"}
    assert published.samples(countries=()) == ()


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.parametrize("language", ["en", "fr"])
def test_managers_read_why_each_state_is_what_it_is_and_viewers_the_rules_alone(
    published: Reader, come_in: Callable[[User], None], language: str
) -> None:
    come_in(User("max", Role.MANAGER))
    told = words(whole("definitions", section="samples", lang=language))
    for sample in published.samples():
        assert str(sample.customer.facts["user_id"]) in told
    come_in(User("vera", Role.VIEWER))
    told = words(whole("definitions", section="samples", lang=language))
    assert ("chosen" if language == "en" else "choisis") in told
    assert not any(
        f"**{name} {sample.customer.facts['user_id']}" in told
        for name in ("Customer", "Client")
        for sample in published.samples()
    )
