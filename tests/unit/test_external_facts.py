"""Facts from outside: a live answer whole or not at all, the last good one, the snapshot; and what served is said."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from stand_ins.facts import GONE, KEY, FactsStandIn

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError
from pipeline.extract import restcountries, world_bank
from pipeline.extract.exchange_rates import read as read_rates
from pipeline.extract.facts import NOTE, check, land_facts
from pipeline.settings import Settings

NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


@pytest.fixture
def facts() -> Iterator[FactsStandIn]:
    with FactsStandIn() as stand_in:
        yield stand_in


class House:
    """A NEOPULSE_HOME whose facts are asked for on one day after the other."""

    def __init__(self, home: Path, facts: FactsStandIn, **settings: Any) -> None:
        self.home = home
        self.clock = FixedClock(NOW)
        self.given = {"facts_live": True, "facts_currencies": ("USD", "GBP"), "facts_rates_since": date(2026, 11, 2)}
        self.given |= {**facts.settings, **settings}

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, _env_file=None, **self.given)  # type: ignore[call-arg]

    def land(self, **more: Any) -> dict[str, dict[str, Any]]:
        return land_facts(self.home / "landing", self.settings, clock=self.clock, **more)

    def countries(self) -> dict[str, dict[str, Any]]:
        rows = parquet.read_table(self.home / "landing" / "external_countries.parquet").to_pylist()
        return {row["alpha_2"]: row for row in rows}

    def rates(self) -> dict[tuple[str, str], float]:
        rows = parquet.read_table(self.home / "landing" / "external_exchange_rates.parquet").to_pylist()
        return {(row["rate_date"].isoformat(), row["quote"]): row["rate"] for row in rows}


@pytest.fixture
def house(tmp_path: Path, facts: FactsStandIn) -> House:
    return House(tmp_path, facts)


def test_nobody_is_asked_where_the_setting_is_off(tmp_path: Path, facts: FactsStandIn) -> None:
    house = House(tmp_path, facts, facts_live=False)
    served = house.land()
    assert served["country_facts"] == {"service": "shipped snapshot", "rows": 248, "as_of": "2026-07-21"}
    assert served["exchange_rates"] == {"service": "none", "rows": 0, "as_of": None, "new": 0}
    assert (facts.calls, house.rates()) == ([], {})
    assert "nobody is asked" in check(house.settings, house.clock)
    assert facts.calls == []
    assert not Settings(_env_file=None).facts_live  # type: ignore[call-arg]


def test_the_world_bank_gives_the_population_of_its_newest_year_and_each_row_says_whose_its_facts_are(
    house: House, facts: FactsStandIn
) -> None:
    before = House(house.home / "before", facts, facts_live=False)
    before.land()
    served = house.land()["country_facts"]
    assert served == {"service": "World Bank", "rows": 248, "as_of": "2026-11-25"}
    france, old = house.countries()["FR"], before.countries()["FR"]
    assert france["population"] == old["population"] + 1_000_000
    assert france["source"].startswith("population: World Bank SP.POP.TOTL 2025 (CC BY 4.0); else pyworldatlas")
    assert france["as_of"] == "2026-11-25"
    assert {name: france[name] for name in ("capital", "currency", "area_km2")} == {
        name: old[name] for name in ("capital", "currency", "area_km2")
    }
    assert "2024" in house.countries()["ER"]["source"]  # its newest year is a year older
    assert house.countries()["ER"]["population"] == before.countries()["ER"]["population"] + 999_000


def test_a_country_that_the_world_bank_does_not_know_keeps_the_facts_of_the_snapshot(house: House, facts: FactsStandIn) -> None:
    facts.faults["world_bank"] = [lambda answer: _without(answer, "FRA")]
    house.land()
    france = house.countries()["FR"]
    assert (france["as_of"], "World Bank" in france["source"]) == ("2026-07-21", False)


def test_restcountries_is_asked_first_with_a_key_and_overrides_still_mend_it(tmp_path: Path, facts: FactsStandIn) -> None:
    house = House(tmp_path, facts, facts_restcountries_key=KEY)
    served = house.land()["country_facts"]
    assert (served["service"], "is_fallback" in served) == ("restcountries", False)
    assert len(facts.asked("restcountries")) == 3  # 248 countries, 100 a page
    assert facts.asked("world_bank") == []
    bulgaria, france = house.countries()["BG"], house.countries()["FR"]
    assert bulgaria["currency"] == "EUR"
    assert "currency since 2026-01-01" in bulgaria["source"]
    assert france["capital"] == "Paris"
    assert france["source"].startswith("area_km2, capital, currency, population: restcountries v5; else pyworldatlas")


def test_currencies_may_come_as_a_list_as_well(tmp_path: Path, facts: FactsStandIn) -> None:
    facts.currencies_as_list = True
    house = House(tmp_path, facts, facts_restcountries_key=KEY)
    house.land()
    assert house.countries()["PL"]["currency"] == "PLN"


@pytest.mark.parametrize("key", ["rc_live_demo", "wrong-key-000"])
def test_a_refused_key_falls_back_to_the_world_bank_and_says_so(tmp_path: Path, facts: FactsStandIn, key: str) -> None:
    house = House(tmp_path, facts, facts_restcountries_key=key)
    served = house.land()["country_facts"]
    assert (served["service"], served["is_fallback"]) == ("World Bank", True)
    assert "refuses the key (401)" in served["why"]
    with pytest.raises(ConfigurationError, match="NEOPULSE_FACTS_RESTCOUNTRIES_KEY") as raised:
        check(house.settings, house.clock)
    assert key not in str(raised.value)


def test_an_api_version_that_is_gone_is_no_answer_though_it_says_200(tmp_path: Path, facts: FactsStandIn) -> None:
    address = facts.settings["facts_restcountries"].replace("/countries/v5", "/v3.1")
    house = House(tmp_path, facts, facts_restcountries_key=KEY, facts_restcountries=address)
    served = house.land()["country_facts"]
    assert served["service"] == "World Bank"
    assert "deprecated" in served["why"]
    with pytest.raises(DataError, match="deprecated"):
        restcountries.read(GONE)


@pytest.mark.parametrize("fault", [500, 429, 403, "html", "cut", lambda _: {"success": False}, lambda _: [], lambda _: None])
def test_a_service_that_fails_leaves_its_last_good_answer_dated(house: House, facts: FactsStandIn, fault: Any) -> None:
    house.land()
    good = house.countries()
    house.clock.sleep(86_400)
    facts.faults["world_bank"] = [fault] * 50
    served = house.land()["country_facts"]
    assert (served["service"], served["is_fallback"]) == ("World Bank, last good answer of 2026-11-25", True)
    assert served["why"]
    assert house.countries() == good
    facts.faults.clear()
    assert house.land()["country_facts"]["service"] == "World Bank"


def test_a_service_that_never_answered_leaves_the_snapshot_and_says_so(house: House, facts: FactsStandIn) -> None:
    facts.faults["world_bank"] = ["cut"] * 50
    served = house.land()["country_facts"]
    assert (served["service"], served["is_fallback"], served["as_of"]) == ("shipped snapshot", True, "2026-07-21")
    assert "World Bank cannot be reached" in served["why"]


def _without(answer: Any, code: str) -> Any:
    rows = [row for row in answer[1] if row["countryiso3code"] != code]
    return [{**answer[0], "total": len(rows)}, rows]


def _spoilt(change: dict[str, Any]) -> Any:
    return lambda answer: [answer[0], [*answer[1][:-1], {**answer[1][-1], **change}]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: [answer[0]],
        lambda answer: answer[1],
        lambda _: [{"message": [{"id": "120", "key": "Invalid value", "value": "no"}]}],
        lambda answer: [{**answer[0], "pages": 2}, answer[1]],
        lambda answer: [answer[0], answer[1][:-1]],
        lambda answer: [{**answer[0], "total": 3}, answer[1][:3]],
        _spoilt({"value": "many"}),
        _spoilt({"value": -5}),
        _spoilt({"value": True}),
        _spoilt({"value": float("nan")}),
        _spoilt({"date": "last year"}),
        _spoilt({"countryiso3code": None}),
        _spoilt({"indicator": {"id": "SP.POP.GROW"}}),
    ],
)
def test_one_row_of_the_wrong_shape_and_nothing_of_the_answer_is_used(house: House, facts: FactsStandIn, spoil: Any) -> None:
    facts.faults["world_bank"] = [spoil]
    served = house.land()["country_facts"]
    assert (served["service"], served["is_fallback"]) == ("shipped snapshot", True)
    assert "nothing of it was used" in served["why"]
    assert not (house.home / "facts" / "World Bank.json").exists()


def _first_country(change: dict[str, Any]) -> Any:
    def spoil(answer: Any) -> Any:
        first, *rest = answer["data"]["objects"]
        return {"data": {**answer["data"], "objects": [{**first, **change}, *rest]}}

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: {**answer, "success": False},
        lambda answer: answer["data"],
        lambda _: {"data": {"notice": "This is the demo key. Sign up for a key."}},
        lambda answer: {"data": {**answer["data"], "meta": {"total": "many", "more": False}}},
        lambda answer: {"data": {"objects": answer["data"]["objects"], "meta": {"total": 100, "more": False}}},
        lambda answer: {"data": {**answer["data"], "objects": answer["data"]["objects"] * 2}},
        _first_country({"codes": {"alpha_2": "and"}}),
        _first_country({"population": "many"}),
        _first_country({"area": 12}),
        _first_country({"currencies": {"euros": {}}}),
        _first_country({"capitals": ["Paris"]}),
    ],
)
def test_a_page_of_countries_of_the_wrong_shape_is_refused_whole(tmp_path: Path, facts: FactsStandIn, spoil: Any) -> None:
    house = House(tmp_path, facts, facts_restcountries_key=KEY)
    facts.faults["restcountries"] = [spoil]
    served = house.land()["country_facts"]
    assert (served["service"], served["is_fallback"]) == ("World Bank", True)
    assert "nothing of it was used" in served["why"]


def test_a_service_is_asked_once_a_day_and_the_next_day_only_whether_anything_changed(house: House, facts: FactsStandIn) -> None:
    house.land()
    first = house.countries()
    house.land()
    assert len(facts.asked("world_bank")) == 1
    house.clock.sleep(86_400)
    served = house.land()["country_facts"]
    asked = facts.asked("world_bank")[1]
    assert asked.headers["If-None-Match"].startswith('"')
    assert served["as_of"] == "2026-11-26"  # told to be still right on that day
    assert {code: row["population"] for code, row in house.countries().items()} == {
        code: row["population"] for code, row in first.items()
    }


def test_the_requests_are_polite(house: House, facts: FactsStandIn) -> None:
    house.land()
    assert len(facts.calls) == 2
    assert all(call.headers["User-Agent"].startswith("neopulse/") for call in facts.calls)
    assert facts.asked("world_bank")[0].parameters == {"format": "json", "per_page": "20000", "date": "2018:2026"}


def test_an_answer_that_was_kept_and_is_broken_is_asked_for_anew(house: House, facts: FactsStandIn) -> None:
    house.land()
    (house.home / "facts" / "World Bank.json").write_text('{"asked_at": "20')
    assert house.land()["country_facts"]["service"] == "World Bank"
    assert len(facts.asked("world_bank")) == 2


def test_rates_are_the_ecb_s_by_day_and_the_history_grows(house: House, facts: FactsStandIn) -> None:
    served = house.land()["exchange_rates"]
    days = 18  # Mondays to Fridays from 2 to 25 November 2026
    assert served == {"service": "Frankfurter (ECB)", "rows": 2 * days, "as_of": "2026-11-25", "new": 2 * days}
    assert house.rates()["2026-11-12", "USD"] == facts.rate(date(2026, 11, 12), "USD")
    asked = facts.asked("rates")[0].parameters
    assert asked == {"base": "EUR", "quotes": "USD,GBP", "providers": "ECB", "from": "2026-11-02", "to": "2026-11-25"}
    house.clock.sleep(86_400)
    facts.today += timedelta(days=1)
    served = house.land()["exchange_rates"]
    assert (served["rows"], served["new"]) == (2 * days + 2, 2)
    assert facts.asked("rates")[1].parameters["from"] == "2026-11-18"  # the last known day less a week


def test_a_corrected_rate_takes_the_place_of_the_old_one_and_keeps_the_day_it_was_told(house: House, facts: FactsStandIn) -> None:
    house.land()
    facts.corrections["2026-11-24", "USD"] = 1.5
    house.clock.sleep(86_400)
    assert house.land()["exchange_rates"]["new"] == 1
    assert house.rates()["2026-11-24", "USD"] == 1.5
    rows = parquet.read_table(house.home / "landing" / "external_exchange_rates.parquet").to_pylist()
    told = {(row["rate_date"].isoformat(), row["quote"]): row["as_of"] for row in rows}
    assert (told["2026-11-24", "USD"], told["2026-11-24", "GBP"]) == ("2026-11-26", "2026-11-25")


def test_rates_are_asked_for_once_a_day_but_a_new_currency_or_an_earlier_day_at_once(house: House, facts: FactsStandIn) -> None:
    house.land()
    house.land()
    assert len(facts.asked("rates")) == 1
    house.given["facts_currencies"] = ("USD", "GBP", "PLN")
    house.land()
    assert facts.asked("rates")[1].parameters["from"] == "2026-11-02"
    house.given["facts_rates_since"] = date(2026, 10, 1)
    assert house.land()["exchange_rates"]["rows"] == 3 * 40
    assert facts.asked("rates")[2].parameters["from"] == "2026-10-01"


@pytest.mark.parametrize(
    "spoil",
    [
        503,
        "html",
        "cut",
        lambda _: [],
        lambda _: {"rates": {"USD": 1.1}},
        lambda rows: [*rows, rows[0]],
        lambda rows: [{**rows[0], "rate": 0}, *rows[1:]],
        lambda rows: [{**rows[0], "rate": None}, *rows[1:]],
        lambda rows: [{**rows[0], "base": "USD"}, *rows[1:]],
        lambda rows: [{**rows[0], "quote": "XYZ"}, *rows[1:]],
        lambda rows: [{**rows[0], "date": "25/11/2026"}, *rows[1:]],
        lambda rows: [{**rows[0], "date": "2027-01-01"}, *rows[1:]],
        lambda rows: [{**rows[0], "date": "1999-01-04"}, *rows[1:]],
    ],
)
def test_rates_of_the_wrong_shape_leave_the_history_as_it_was(house: House, facts: FactsStandIn, spoil: Any) -> None:
    house.land()
    history, before = house.home / "facts" / "external_exchange_rates.parquet", house.rates()
    content = history.read_bytes()
    house.clock.sleep(86_400)
    facts.faults["rates"] = [spoil] * 50
    served = house.land()["exchange_rates"]
    assert (served["service"], served["is_fallback"]) == ("Frankfurter (ECB), kept, to 2026-11-25", True)
    assert (house.rates(), history.read_bytes()) == (before, content)


def test_rates_that_were_never_told_leave_an_empty_table_and_say_so(house: House, facts: FactsStandIn) -> None:
    facts.faults["rates"] = ["cut"] * 50
    served = house.land()["exchange_rates"]
    assert (served["service"], served["rows"], served["is_fallback"]) == ("none yet", 0, True)


def test_the_history_of_rates_stays_when_nobody_is_asked_any_more_and_when_the_landing_is_lost(
    house: House, facts: FactsStandIn
) -> None:
    house.land()
    before = house.rates()
    (house.home / "landing" / "external_exchange_rates.parquet").unlink()
    house.given["facts_live"] = False
    assert house.land()["exchange_rates"]["service"] == "Frankfurter (ECB), kept, to 2026-11-25"
    assert house.rates() == before
    assert len(facts.asked("rates")) == 1


def test_a_run_that_lost_its_lease_does_not_fall_back_but_stops(house: House) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        house.land(look=lost)


def test_what_served_is_noted_down_for_who_publishes(house: House) -> None:
    served = house.land()
    assert json.loads((house.home / "landing" / NOTE).read_text()) == served


def test_a_check_asks_each_service_and_names_what_is_wrong(tmp_path: Path, facts: FactsStandIn) -> None:
    house = House(tmp_path, facts, facts_restcountries_key=KEY)
    told = check(house.settings, house.clock)
    assert "restcountries knows" in told
    assert "World Bank knows" in told
    assert "Frankfurter knows rates to 2026-11-25" in told
    facts.faults["rates"] = ["html"]
    with pytest.raises(Exception, match="Frankfurter answers 200 with something that is no JSON"):
        check(house.settings, house.clock)


def test_the_key_is_in_no_log_and_no_file(tmp_path: Path, facts: FactsStandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house = House(tmp_path, facts, facts_restcountries_key=KEY)
    facts.faults["restcountries"] = [500, 403]
    house.land()
    written = "".join(path.read_text() for path in (tmp_path / "facts").glob("*.json"))
    assert KEY not in caplog.text + written + repr(house.settings)


def test_reading_refuses_numbers_that_are_none() -> None:
    row = {"date": "2026-11-24", "base": "EUR", "quote": "USD", "rate": True}
    with pytest.raises(DataError):
        read_rates([row], ("USD",), date(2026, 11, 1), date(2026, 11, 25))
    assert world_bank.FEWEST_COUNTRIES < 217  # the World Bank's own number of economies
