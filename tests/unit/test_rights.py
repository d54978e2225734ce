"""What each role and each country scope gets from the app's reads and acts: nothing that is not theirs, by any way."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
import streamlit as st
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from pipeline.cli import main
from pipeline.marts import METRICS, ConfinedError, Headline, Question, Search, family
from pipeline.marts.withholding import FEWEST, withheld, withheld_headline
from streamlit_app import auth, data, exports, operations, operations_alerts, operations_versions
from streamlit_app.auth import Role, RoleError, SignInError, User

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.xdist_group("the bank of the pages")]

VIEWER, MANAGER = User("vera", Role.VIEWER), User("max", Role.MANAGER)
OF_FRANCE = frozenset({"FR"})
NOT_BY_COUNTRY = {"card_not_present_share", "silence_calibration"}
SECONDS = 120


@pytest.fixture
def home(pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app reads the bank of the pages, and has a run store of its own."""
    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setenv("NEOPULSE_RUN_STORE", f"sqlite:///{tmp_path / 'run_store.db'}")
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force, auth._behind_loopback):
        cached.cache_clear()
    yield
    for cached in (data.in_force, auth._in_force, auth._behind_loopback):
        cached.cache_clear()


@pytest.fixture
def come_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[User], None]:
    """Somebody else sits down before the screen."""
    return lambda user: monkeypatch.setattr(auth, "current_user", lambda: user)


# --- every public function of the modules that read and write ---------------------------------------------------------

NEEDS_NOBODY = {
    "data.in_force": "the settings of the process, which no page may import",
    "actions.why_no_run": "judges a store that it is given, and only run_store() gives one",
    "actions.why_no_retry": "judges runs that it is given",
    "actions.running": "judges a store that it is given",
    "actions.why_no_cancel": "judges a run that it is given",
    "operations_alerts.choices": "what may be asked of a metric stands in the code",
    "operations_schedule.zones": "the time zones of the world",
    "actions.note_refusal": "is about somebody who has no role",
    "exports.csv_text": "writes what it is given",
    "exports.safe_cell": "writes what it is given",
    "exports.workbook": "writes what it is given",
}
NEEDS_LESS_THAN_ADMIN = dict.fromkeys(("actions.note_sign_in", "actions.sign_out", "operations_alerts.metric"), Role.VIEWER)
OF_DATA = {
    **dict.fromkeys(("customers", "customer"), Role.MANAGER),
    "run_store": Role.ADMIN,
    **dict.fromkeys(
        (
            *("answer", "bounds", "country_name", "current_version", "data_quality", "dimension_values", "external_facts"),
            *("growth", "headline", "latest_run", "models", "pin_version", "published", "registry", "relation"),
            *("retention_curve", "test_results"),
        ),
        Role.VIEWER,
    ),
}
SAMPLES: dict[str, Any] = {
    "question": Question("mau"),
    "search": Search(),
    "name": "dim_publication",
    "dimension": "country",
    "alpha_3": "FRA",
    "what": "figures",
    "header": ["a"],
    "rows": [],
    "read": str,
    "needs": Role.ADMIN,
}


def public_functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """What other modules may call, by `module.name`."""
    short = module.__name__.rpartition(".")[2]
    found = {name: one for name, one in vars(module).items() if callable(one) and not isinstance(one, type)}
    own = {name: one for name, one in found.items() if getattr(one, "__module__", "") == module.__name__}
    return {f"{short}.{name}": one for name, one in own.items() if not name.startswith("_")}


def call(function: Callable[..., Any]) -> Any:
    """Call it with something for each argument that it needs."""
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is inspect.Parameter.empty or one.name == "needs"]
    given = {one.name: SAMPLES.get(one.name, 1 if one.annotation == "int" else "x") for one in needed}
    keyword = {one.name for one in needed if one.kind is inspect.Parameter.KEYWORD_ONLY}
    return function(*(value for name, value in given.items() if name not in keyword), **{name: given[name] for name in keyword})


def least_role(name: str) -> Role:
    module, _, function = name.partition(".")
    if module == "data":
        assert function in OF_DATA, f"{name} is new: say here which role it needs, and check it there"
        return OF_DATA[function]
    return NEEDS_LESS_THAN_ADMIN.get(name, Role.ADMIN)


MODULES = [
    importlib.import_module(f"streamlit_app.{path.stem}")
    for pattern in ("data*.py", "operations*.py", "actions*.py", "exports.py")
    for path in sorted(Path(data.__file__).parent.glob(pattern))
]
CHECKED = [
    (name, function) for module in MODULES for name, function in public_functions(module).items() if name not in NEEDS_NOBODY
]


def test_the_modules_that_read_and_write_are_all_gone_through() -> None:
    assert {"data", "operations", "actions", "exports"} <= {module.__name__.rpartition(".")[2] for module in MODULES}
    assert len(CHECKED) > 35


@pytest.mark.parametrize(("name", "function"), CHECKED, ids=[name for name, _ in CHECKED])
def test_every_read_and_every_act_refuses_nobody_and_whoever_has_too_low_a_role(
    name: str, function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> User:
        raise SignInError("Nobody has signed in", reason="not_signed_in")

    monkeypatch.setattr(auth, "current_user", nobody)
    with pytest.raises(SignInError):
        call(function)
    for role in Role:
        if role < least_role(name):
            monkeypatch.setattr(auth, "current_user", lambda role=role: User("low", role))
            with pytest.raises(RoleError):
                call(function)


def test_a_viewer_reads_whole_tables_only_where_no_customer_stands_in_them(come_in: Callable[[User], None]) -> None:
    come_in(VIEWER)
    for name in ("mart_customers", "mart_user_is_active", "sync_lapsed_customers", "mart_daily_counts", "mart_cohort_cells"):
        with pytest.raises(RoleError):
            data.relation(name)
    assert data.relation("dim_publication").num_rows == 1


# --- at least ten customers -------------------------------------------------------------------------------------------


def questions(metric: str) -> list[Question]:
    dimensions = [name for name in family(metric).dimensions if name in ("country", "plan", "type", "merchant_country")]
    kinds = family(metric).kinds or (None,)
    return [Question(metric, by=by, kind=kind) for kind in kinds for by in (None, *dimensions)]


@pytest.mark.parametrize("metric", METRICS)
def test_a_viewer_gets_no_figure_of_fewer_than_ten_customers_and_every_other_one_unchanged(
    metric: str, come_in: Callable[[User], None]
) -> None:
    hidden = 0
    for question in questions(metric):
        come_in(MANAGER)
        whole = data.answer(question)
        come_in(VIEWER)
        seen = data.answer(question)
        counted = data.answer(replace(question, metric="transactions")) if metric == "transaction_amount" else seen
        assert seen.table.num_rows == whole.table.num_rows == counted.table.num_rows
        assert seen.table["value"].is_null().equals(counted.table["value"].is_null())
        for before, after in zip(whole.rows(), seen.rows(), strict=True):
            if after == before:
                size = before["n"] if before["n"] is not None else before["value"]
                assert size is None or size == 0 or size >= FEWEST or metric == "transaction_amount", before
                assert metric != "l28" or before["value"] == 0 or before["value"] >= FEWEST
            else:
                hidden += 1
                figures = [value for name, value in after.items() if name not in ("final_on", "provisional")]
                keys = seen.table.column_names.index("value")
                assert figures[keys:] == [None] * len(figures[keys:]), after
        assert seen.withheld == sum(a != b for a, b in zip(whole.rows(), seen.rows(), strict=True))
    assert hidden or metric in ("silence_calibration", "card_not_present_share", "window_sensitivity")


def test_one_hidden_part_of_a_breakdown_hides_a_second_one(come_in: Callable[[User], None]) -> None:
    come_in(VIEWER)
    for question in (Question("active_customers", by="plan"), Question("mau", by="country"), Question("l28")):
        parts: dict[date, list[Any]] = {}
        for row in data.answer(question).rows():
            parts.setdefault(row["date"], []).append(row["value"])
        for day, values in parts.items():
            others = [value for value in values if value]
            assert values.count(None) != 1 or not others, (question.metric, day)


def test_the_headline_of_a_viewer_sums_days_that_are_withheld_one_by_one(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    whole = {figure.metric.name: figure for figure in data.headline()}
    come_in(VIEWER)
    seen = {figure.metric.name: figure for figure in data.headline()}
    for name, figure in whole.items():
        size = figure.n if figure.n is not None else figure.value
        assert (seen[name].value is None) == (size is not None and 0 < size < FEWEST), name
        assert seen[name].value in (None, figure.value)
    segment = (("country", min(data.dimension_values("country"))),)
    few = {figure.metric.name: figure for figure in data.headline(where=segment)}
    assert any(figure.withheld for figure in few.values())


def test_countries_with_few_customers_are_listed_without_their_figures(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    whole = {row["country"]: row for row in data.relation("mart_customers_by_country").to_pylist()}
    come_in(VIEWER)
    seen = {row["country"]: row for row in data.relation("mart_customers_by_country").to_pylist()}
    few = {country for country, row in whole.items() if row["customers"] < FEWEST}
    assert few
    assert few <= {country for country, row in seen.items() if row["customers"] is None and row["amount_usd"] is None}
    assert all(row["customers"] in (None, whole[country]["customers"]) for country, row in seen.items())


def test_what_a_manager_read_is_not_served_to_a_viewer_from_the_cache(come_in: Callable[[User], None]) -> None:
    st.cache_resource.clear()
    question = Question("active_customers", by="country")
    come_in(MANAGER)
    assert data.answer(question).withheld == 0
    come_in(VIEWER)
    assert data.answer(question).withheld > 0
    come_in(MANAGER)
    assert data.answer(question).withheld == 0


# --- the countries of a person ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", sorted(set(METRICS) - NOT_BY_COUNTRY))
def test_every_figure_of_a_confined_person_is_that_of_their_countries(metric: str, come_in: Callable[[User], None]) -> None:
    for role, by in ((Role.MANAGER, None), (Role.ADMIN, "plan")):
        come_in(User("max", role))
        of_france = data.answer(Question(metric, by=by, where=(("country", "FR"),))).table
        everywhere = data.answer(Question(metric, by=by)).table
        come_in(User("max", role, OF_FRANCE))
        assert data.answer(Question(metric, by=by)).table.equals(of_france)
        assert data.answer(Question(metric, by=by, countries=("DE", "GB"))).table.equals(of_france)
        assert not of_france.equals(everywhere)


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
    st.cache_resource.clear()
    last: dict[Any, Any] = {}
    for countries in (None, OF_FRANCE, frozenset({"GB"}), frozenset({"FR", "GB"}), None, OF_FRANCE):
        come_in(User("max", Role.MANAGER, countries))
        found = (data.answer(Question("mau")).rows()[-1]["value"], data.customers(Search()).total, data.headline()[0].value)
        assert last.setdefault(countries, found) == found
    assert len(set(last.values())) == 4


def draw(name: str) -> None:
    import importlib  # a page under test is a program of its own

    importlib.import_module(f"streamlit_app.views.{name}").show()


@pytest.mark.parametrize("name", ["overview", "activity", "retention", "churn", "payments", "customers", "definitions"])
def test_every_page_stands_for_whoever_sees_less_and_names_nobody_elses_country(
    name: str, come_in: Callable[[User], None]
) -> None:
    user = User("max", Role.MANAGER if name == "customers" else Role.VIEWER, OF_FRANCE)
    come_in(user)
    page = AppTest.from_function(draw, args=(name,), default_timeout=SECONDS).run()
    assert [error.message for error in page.exception] + [error.value for error in page.error] == []
    offered = [option for box in page.selectbox if box.key == "country" for option in box.options]
    assert set(offered) <= {"All", "France"}
    if name == "churn":
        assert "of fewer than 10 customers are withheld" in "\n".join(caption.value for caption in page.caption)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("dangerous", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "=cmd|'/c calc'!A0"])
def test_no_cell_of_a_file_is_a_formula_and_numbers_stay_numbers(
    form: Any, dangerous: str, come_in: Callable[[User], None]
) -> None:
    import csv
    import io

    from openpyxl import load_workbook

    come_in(VIEWER)
    written = exports.table("figures", ["name", dangerous], [[dangerous, -5]], form=form)
    if form == "csv":
        (header, row) = csv.reader(io.StringIO(written.decode(), newline=""))
        assert row == [f"'{dangerous}", "-5"]
        assert header[1] == f"'{dangerous}"
    else:
        sheet = load_workbook(io.BytesIO(written)).active
        assert [cell.data_type for cell in sheet[2]] == ["s", "n"]
        assert sheet["B2"].value == -5
        assert sheet["A2"].quotePrefix


def test_a_file_is_noted_down_with_who_what_filters_and_rows_and_refused_without_the_role(
    come_in: Callable[[User], None],
) -> None:
    come_in(VIEWER)
    with pytest.raises(RoleError):
        exports.table("customers", ["user_id"], [["1"]], needs=Role.MANAGER)
    come_in(MANAGER)
    exports.table("customers", ["user_id"], [["1"], ["2"]], needs=Role.MANAGER, form="xlsx", filters={"country": "FR"})
    come_in(User("ada", Role.ADMIN))
    (noted,) = data.run_store().acts()
    assert (noted.who, noted.action, noted.what) == ("max", "export", "customers")
    assert noted.after == {"form": "xlsx", "rows": 2, "filters": {"country": "FR"}}


def test_no_page_hands_out_a_file_but_by_the_button_that_checks_who_asks() -> None:
    here = Path(data.__file__).parent
    files = [path for path in here.rglob("*.py") if "download_button(" in path.read_text(encoding="utf-8")]
    assert [path.name for path in files] == ["download.py"]
    assert "disableDataExport = true" in (here / ".streamlit" / "config.toml").read_text(encoding="utf-8")


# --- the command line, for handing a file on --------------------------------------------------------------------------


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
    by_country = printed("mau", "--by", "country", "--as", "@bank.example", "--as", "group:staff")
    assert any(row["value"] is None for row in by_country)
    assert all(row["value"] is None or row["value"] == 0 or row["value"] >= FEWEST for row in by_country)
    refused = CliRunner().invoke(main, ["metric", "mau", "--as", "eve@evil.example"])
    assert refused.exit_code == 2
    assert "eve@evil.example has no role" in refused.output


# --- what a review found ----------------------------------------------------------------------------------------------


def test_an_admin_of_some_countries_sees_no_rows_and_no_figures_of_every_country(come_in: Callable[[User], None]) -> None:
    come_in(User("ada", Role.ADMIN, OF_FRANCE))
    version = data.published()
    reads: list[Callable[[], Any]] = [
        lambda: operations.sync_plan("customer_status"),
        lambda: operations.rejected_rows(1),
        lambda: operations_versions.headlines(version, version),
        operations_alerts.rules,
        operations_alerts.history,
    ]
    for read in reads:
        with pytest.raises(ConfinedError):
            read()


def test_the_younger_customers_beside_l28_are_withheld_like_any_other_few(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    answer = data.answer(Question("l28"))
    young = [number % 15 for number in range(answer.table.num_rows)]
    place = answer.table.column_names.index("younger")
    crafted = answer.table.set_column(place, "younger", pa.array(young, answer.table["younger"].type))
    seen = withheld(replace(answer, table=crafted)).table
    assert seen["younger"].to_pylist() == [
        None if 0 < count < FEWEST or value is None else count
        for count, value in zip(young, seen["value"].to_pylist(), strict=True)
    ]


def test_a_rate_of_the_period_before_is_withheld_where_it_was_of_few() -> None:
    metric = data.registry()["monthly_churn_rate"]
    day = date(2019, 4, 30)
    figure = Headline(metric, "month", day, 0.1, 0.25, 12, 0.0, 0.2, day, False, before_n=4)
    assert (withheld_headline(figure).value, withheld_headline(figure).before) == (0.1, None)
    assert withheld_headline(replace(figure, before_n=10)).before == 0.25


@pytest.mark.parametrize(
    ("text", "written"),
    [("a;=1+1", "a;'=1+1"), ("a\n@x", "a\n'@x"), ("=1;-2", "'=1;'-2"), ("a; b", "a; b"), ("a-b", "a-b")],
)
def test_no_cell_begins_a_formula_where_semicolons_separate(text: str, written: str) -> None:
    assert exports.safe_cell(text) == written


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
