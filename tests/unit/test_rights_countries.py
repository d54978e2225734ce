"""Who sees the customers of some countries gets nothing of the others: no figure, customer, filter value or cached answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from page_kit import failed, opened

from pipeline.cli import main
from pipeline.errors import ConfigurationError
from pipeline.marts import METRICS, ConfinedError, Question, Search
from pipeline.marts.withholding import FEWEST
from pipeline.runs.alerts import AlertRule
from pipeline.runs.trail import Acts
from streamlit_app import actions_alerts, data, operations, operations_alerts, operations_versions
from streamlit_app.auth import Role, User

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

MANAGER = User("max", Role.MANAGER)
OF_FRANCE = frozenset({"FR"})
RULE = AlertRule("Churn is high", "monthly_churn_rate", "above", 0.045)
NOT_BY_COUNTRY = {"card_not_present_share", "silence_calibration"}
OF_ONE_COUNTRY = {"amount_concentration", "transaction_concentration"}


@pytest.mark.parametrize("metric", sorted(set(METRICS) - NOT_BY_COUNTRY - OF_ONE_COUNTRY))
def test_every_figure_of_a_confined_person_is_that_of_their_countries(metric: str, come_in: Callable[[User], None]) -> None:
    for role, by in ((Role.MANAGER, None), (Role.ADMIN, "plan")):
        come_in(User("max", role))
        of_france = data.answer(Question(metric, by=by, where=(("country", "FR"),))).table
        everywhere = data.answer(Question(metric, by=by)).table
        come_in(User("max", role, OF_FRANCE))
        assert data.answer(Question(metric, by=by)).table.equals(of_france)
        assert data.answer(Question(metric, by=by, countries=("DE", "GB"))).table.equals(of_france)
        assert not of_france.equals(everywhere)


@pytest.mark.parametrize("metric", sorted(OF_ONE_COUNTRY))
def test_the_concentration_of_a_confined_person_is_that_of_their_country_and_never_of_several_together(
    metric: str, come_in: Callable[[User], None]
) -> None:
    come_in(MANAGER)
    of_france = data.answer(Question(metric, where=(("country", "FR"),))).table
    assert of_france.num_rows
    come_in(User("max", Role.MANAGER, OF_FRANCE))
    assert data.answer(Question(metric)).table.equals(of_france)
    come_in(User("max", Role.MANAGER, frozenset({"FR", "GB"})))
    with pytest.raises(ConfinedError):
        data.answer(Question(metric))
    assert set(data.answer(Question(metric, by="country")).table["country"].to_pylist()) == {"FR", "GB"}
    assert data.answer(Question(metric, where=(("country", "FR"),))).table.equals(of_france)
    come_in(User("max", Role.MANAGER, frozenset()))
    assert data.answer(Question(metric)).empty


def test_a_confined_person_asks_for_several_of_their_countries_and_for_none_of_the_others_among_them(
    come_in: Callable[[User], None],
) -> None:
    question = Question("mau", where=(("country", "FR"), ("country", "GB")))
    come_in(MANAGER)
    of_both = data.answer(question).table
    come_in(User("max", Role.MANAGER, frozenset({"FR", "GB", "PL"})))
    assert data.answer(question).table.equals(of_both)
    assert not data.answer(Question("mau")).table.equals(of_both)
    come_in(User("max", Role.MANAGER, OF_FRANCE))
    with pytest.raises(ConfigurationError, match="GB is not a value of country"):
        data.answer(question)
    assert data.customers(Search(where=question.where)).table.equals(data.customers(Search()).table)


@pytest.mark.parametrize("metric", sorted(NOT_BY_COUNTRY))
def test_a_figure_that_is_not_known_by_country_is_refused_to_a_confined_person(
    metric: str, come_in: Callable[[User], None]
) -> None:
    come_in(User("max", Role.MANAGER, OF_FRANCE))
    with pytest.raises(ConfinedError):
        data.answer(Question(metric))


def test_two_countries_add_up_and_no_country_is_nobody(come_in: Callable[[User], None]) -> None:
    def active(*countries: str) -> float:
        come_in(User("max", Role.MANAGER, frozenset(countries)))
        rows = data.answer(Question("active_customers")).rows()
        return float(rows[-1]["value"]) if rows else 0.0

    assert active("FR", "GB") == active("FR") + active("GB") > 0
    assert active() == 0


def test_a_confined_person_cannot_ask_for_another_country_nor_see_that_it_is_there(come_in: Callable[[User], None]) -> None:
    come_in(User("max", Role.MANAGER, OF_FRANCE))
    assert data.dimension_values("country") == ["FR"]
    with pytest.raises(Exception, match="GB is not a value of country"):
        data.answer(Question("mau", where=(("country", "GB"),)))
    assert {row["country"] for row in data.relation("mart_customers_by_country").to_pylist()} == {"FR"}
    for name in ("mart_daily_counts", "mart_data_quality", "mart_user_is_active", "mart_retention_cohorts"):
        with pytest.raises(ConfinedError):
            data.relation(name)
    with pytest.raises(ConfinedError):
        data.data_quality()
    with pytest.raises(ConfinedError):
        data.dimension_values("merchant_country")


def test_a_confined_person_finds_the_customers_of_their_countries_alone(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    everybody = data.customers(Search(), limit=100_000)
    french = {row["user_id"] for row in everybody.table.to_pylist() if row["country"] == "FR"}
    stranger = next(row["user_id"] for row in everybody.table.to_pylist() if row["country"] != "FR")
    assert data.customer(stranger) is not None
    come_in(User("max", Role.MANAGER, OF_FRANCE))
    found = data.customers(Search(), limit=100_000)
    assert {row["user_id"] for row in found.table.to_pylist()} == french
    assert found.total == len(french)
    assert data.customer(stranger) is None
    assert data.customers(Search(text=stranger, countries=None)).table.to_pylist() == [
        row for row in found.table.to_pylist() if stranger in row["user_id"]
    ]
    assert data.customers(Search(where=(("country", "GB"),))).total == 0
    assert data.customer(next(iter(french))) is not None


def test_the_cache_keeps_the_answers_of_different_countries_apart(come_in: Callable[[User], None]) -> None:
    data._answers.cache_clear()
    last: dict[Any, Any] = {}
    for countries in (None, OF_FRANCE, frozenset({"GB"}), frozenset({"FR", "GB"}), None, OF_FRANCE):
        come_in(User("max", Role.MANAGER, countries))
        found = (data.answer(Question("mau")).rows()[-1]["value"], data.customers(Search()).total, data.headline()[0].value)
        assert last.setdefault(countries, found) == found
    assert len(set(last.values())) == 4


@pytest.mark.parametrize("name", ["overview", "activity", "retention", "churn", "payments", "customers", "definitions"])
def test_every_page_stands_for_whoever_sees_less_and_names_nobody_elses_country(
    name: str, come_in: Callable[[User], None]
) -> None:
    user = User("max", Role.MANAGER if name == "customers" else Role.VIEWER, OF_FRANCE)
    come_in(user)
    page = opened(name)
    assert failed(page) == []
    offered = [option for box in page.selectbox if box.key == "country" for option in box.options]
    assert set(offered) <= {"All", "France"}
    if name == "churn":
        assert "of fewer than 10 customers are withheld" in "\n".join(caption.value for caption in page.caption)


def printed(*arguments: str) -> Any:
    ended = CliRunner().invoke(main, ["metric", *arguments, "--format", "json"])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.output)["rows"]


def test_the_command_line_writes_what_a_person_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_OIDC_METADATA_URL", "https://id.bank.example/.well-known/openid-configuration")
    monkeypatch.setenv("NEOPULSE_OIDC_CLIENT_ID", "neopulse")
    monkeypatch.setenv("NEOPULSE_OIDC_CLIENT_SECRET", "of the provider")
    monkeypatch.setenv("NEOPULSE_OIDC_COOKIE_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    monkeypatch.setenv("NEOPULSE_OIDC_PUBLIC_URL", "https://neopulse.bank.example")
    monkeypatch.setenv("NEOPULSE_ROLE_ADMINS", "ada@bank.example")
    monkeypatch.setenv("NEOPULSE_ROLE_MANAGERS", "group:france")
    monkeypatch.setenv("NEOPULSE_ROLE_VIEWERS", "@bank.example")
    monkeypatch.setenv("NEOPULSE_ROLE_COUNTRIES", "group:france=FR,ada@bank.example=*")
    assert printed("mau", "--as", "group:france") == printed("mau", "--where", "country=FR")
    assert printed("mau", "--as", "ada@bank.example") == printed("mau")
    france, britain = ("--where", "country=FR"), ("--where", "country=GB")
    assert printed("mau", *france, *britain) == printed("mau", *britain, *france, *britain) != printed("mau", *france)
    by_country = printed("mau", "--by", "country", "--as", "@bank.example", "--as", "group:staff")
    assert any(row["value"] is None for row in by_country)
    assert all(row["value"] is None or row["value"] == 0 or row["value"] >= FEWEST for row in by_country)
    refused = CliRunner().invoke(main, ["metric", "mau", "--as", "eve@evil.example"])
    assert refused.exit_code == 2
    assert "eve@evil.example has no role" in refused.output


def test_an_admin_of_some_countries_sees_no_rows_and_no_figures_of_every_country_and_changes_no_rule(
    come_in: Callable[[User], None],
) -> None:
    come_in(User("ada", Role.ADMIN))
    rule = replace(RULE, id=data.run_store().save_alert_rule(RULE))
    come_in(User("ada", Role.ADMIN, OF_FRANCE))
    version = data.published()
    reads: list[Callable[[], Any]] = [
        lambda: operations.sync_plan("customer_status"),
        lambda: operations.rejected_rows(1),
        lambda: operations_versions.headlines(version, version),
        operations_alerts.rules,
        operations_alerts.history,
        lambda: actions_alerts.save(replace(rule, threshold=0.5)),
        lambda: actions_alerts.switch(rule.id, enabled=False),
        lambda: actions_alerts.delete(rule.id),
        lambda: actions_alerts.test(rule.id),
    ]
    for read in reads:
        with pytest.raises(ConfinedError):
            read()
    for who, act in (("max", "change_alert_rule"), ("max", "export"), ("max", "schedule_change"), ("ada", "export")):
        data.run_store().audit(who, act, "a thing", before={"of": "ES"}, after={"of": "GB"})
    told = {(row.who, row.action): (row.before, row.after) for row in operations.acts(Acts(), limit=4)}
    hidden, values = (None, None), ({"of": "ES"}, {"of": "GB"})
    assert told == {
        ("max", "change_alert_rule"): hidden,
        ("max", "export"): hidden,
        ("max", "schedule_change"): values,
        ("ada", "export"): values,
    }
    come_in(User("ada", Role.ADMIN))
    assert all(row.before == {"of": "ES"} for row in operations.acts(Acts(), limit=4))
    assert data.run_store().alert_rules() == [rule]


def test_as_a_person_whose_countries_depend_on_groups_these_have_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_ROLE_ADMINS", "ada@bank.example")
    monkeypatch.setenv("NEOPULSE_ROLE_MANAGERS", "@bank.example")
    monkeypatch.setenv("NEOPULSE_ROLE_COUNTRIES", "group:france=FR")
    for name, value in (("METADATA_URL", "https://id.example/.well-known/openid-configuration"), ("CLIENT_ID", "x")):
        monkeypatch.setenv(f"NEOPULSE_OIDC_{name}", value)
    monkeypatch.setenv("NEOPULSE_OIDC_CLIENT_SECRET", "the provider's own")
    monkeypatch.setenv("NEOPULSE_OIDC_COOKIE_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    monkeypatch.setenv("NEOPULSE_OIDC_PUBLIC_URL", "https://neopulse.example")
    asked = ["metric", "mau", "--by", "country", "--format", "json", "--as", "vera@bank.example"]
    refused = CliRunner().invoke(main, asked)
    assert (refused.exit_code, "depend on their groups" in refused.output) == (2, True)
    seen = json.loads(CliRunner().invoke(main, [*asked, "--as", "group:france"]).output)
    assert {row["country"] for row in seen["rows"]} == {"FR"}
