"""What each role gets from the app's reads and acts: nothing that is not theirs, by any way."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
import streamlit as st

from pipeline.marts import CUSTOMER_DIMENSIONS, METRICS, Answer, Headline, Question, Search, family
from pipeline.marts.withholding import CURVES, FEWEST, withheld, withheld_headline
from streamlit_app import auth, data, data_definitions, stores
from streamlit_app.auth import Role, RoleError, SignInError, User

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

VIEWER, MANAGER = User("vera", Role.VIEWER), User("max", Role.MANAGER)


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
    "actions_notes.may_remove": "judges a person and a note that it is given",
    "actions_views.may_delete": "judges a person and a view that it is given",
    "exports.csv_text": "writes what it is given",
    "exports.workbook": "writes what it is given",
}
NEEDS_LESS_THAN_ADMIN = {
    **dict.fromkeys(
        ("actions.note_sign_in", "actions.sign_out", "operations_alerts.metric", "data_definitions.reconciled"), Role.VIEWER
    ),
    **dict.fromkeys(
        ("data_kept.targets", "data_kept.notes", "data_kept.views", "data_kept.beside_figures", "data_kept.forget"), Role.VIEWER
    ),
    **dict.fromkeys(("actions_views.save_view", "actions_views.rename_view", "actions_views.delete_view"), Role.VIEWER),
    **dict.fromkeys(("actions_tour.so_far", "actions_tour.reached", "actions_tour.dismiss"), Role.VIEWER),
    **dict.fromkeys(("actions_notes.add_note", "actions_notes.remove_note", "actions.note_customer_read"), Role.MANAGER),
    "exports.picture": Role.VIEWER,
    "data_definitions.restatements": Role.MANAGER,
}
OF_DATA = {
    **dict.fromkeys(("customers", "customer", "early_warnings", "samples"), Role.MANAGER),
    "run_store": Role.ADMIN,
    **dict.fromkeys(
        (
            *(
                "answer",
                "bounds",
                "has_lists",
                "country_name",
                "current_version",
                "data_quality",
                "dimension_values",
                "external_facts",
            ),
            *("growth", "course", "headline", "latest_run", "models", "pin_version", "published", "registry", "relation"),
            *("retention_curve", "survival_compared", "test_results", "thin_tail", "usage_intervals", "what_changed"),
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
    "draw": bytes,
    "drawn_for": VIEWER,
    "filters": {},
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


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in CURVES])
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
                size = before.get("top_customers", before["n"] if before["n"] is not None else before["value"])
                assert size is None or size == 0 or size >= FEWEST or metric == "transaction_amount", before
                assert metric != "l28" or before["value"] == 0 or before["value"] >= FEWEST
            else:
                hidden += 1
                figures = [value for name, value in after.items() if name not in ("final_on", "provisional")]
                keys = seen.table.column_names.index("value")
                assert figures[keys:] == [None] * len(figures[keys:]), after
        assert seen.withheld == sum(a != b for a, b in zip(whole.rows(), seen.rows(), strict=True))
    assert hidden or metric in ("silence_calibration", "card_not_present_share", "window_sensitivity")


def points(answer: Answer, by: str | None) -> dict[Any, dict[int, tuple[Any, ...]]]:
    """Of each curve the figures by day."""
    found: dict[Any, dict[int, tuple[Any, ...]]] = {}
    for row in answer.rows():
        figures = tuple(row[name] for name in ("value", "n", "low", "high", "final_on", "provisional"))
        found.setdefault(row.get(by), {})[row["tenure_days"]] = figures
    return found


@pytest.mark.parametrize("metric", CURVES)
@pytest.mark.parametrize("by", [None, *CUSTOMER_DIMENSIONS])
def test_of_a_curve_that_ends_for_a_viewer_nothing_is_left_behind_that_day(
    metric: str, by: str | None, come_in: Callable[[User], None]
) -> None:
    question = Question(metric, by=by)
    come_in(MANAGER)
    whole = points(data.answer(question), by)
    come_in(VIEWER)
    answer = data.answer(question)
    seen, lost = points(answer, by), 0
    assert list(seen) == list(whole)
    for group, days in seen.items():
        shown = {day: figures for day, figures in days.items() if figures[0] is not None}
        assert shown.items() <= whole[group].items()
        assert all(figures[1] >= FEWEST for figures in shown.values())
        end = max(shown, default=-1)
        assert {day: figures for day, figures in days.items() if day > end} in ({}, {end + 1: (None,) * 6})
        if end + 1 in days and days[end + 1][0] is None:
            lost += 1
        else:
            assert shown == whole[group]
    assert answer.withheld == lost
    assert lost or by in (None, "plan_tier")


@pytest.mark.parametrize("metric", CURVES)
@pytest.mark.parametrize("by", CUSTOMER_DIMENSIONS)
def test_what_curves_withhold_is_of_ten_customers_and_two_groups_on_each_day(
    metric: str, by: str, come_in: Callable[[User], None]
) -> None:
    """The whole has a point on each day of an event: less the groups that are shown, it is of those that are not."""
    come_in(MANAGER)
    whole = points(data.answer(Question(metric, by=by)), by)
    come_in(VIEWER)
    seen = points(data.answer(Question(metric, by=by)), by)
    shown = {group: {day for day, figures in days.items() if figures[0] is not None} for group, days in seen.items()}
    ends = {group: max(shown[group], default=-1) for group in seen if shown[group] != set(whole[group])}
    for day in sorted({day for group in ends for day in set(whole[group]) - shown[group]}):
        followed = {group: days[min(at for at in days if at >= day)][1] for group, days in whole.items() if max(days) >= day}
        hidden = {group for group in followed if day > ends.get(group, day)}
        if hidden != set(followed):
            assert len(hidden) > 1, day
            assert sum(followed[group] for group in hidden) >= FEWEST, day


def test_what_is_hidden_of_a_breakdown_is_of_two_parts_and_ten_customers(come_in: Callable[[User], None]) -> None:
    """Together: that is what the whole less the parts that are shown tells."""
    questions = [Question("active_customers", by="plan"), Question("mau", by="country"), Question("l28")]
    questions += [Question("silence_risk", by=by) for by in CUSTOMER_DIMENSIONS]
    questions += [Question("silence_risk", by="silence_band", where=(("country", "FR"),))]
    several = 0
    for question in questions:
        come_in(MANAGER)
        whole = data.answer(question).rows()
        come_in(VIEWER)
        parts: dict[date, list[tuple[Any, float]]] = {}
        for row, behind in zip(data.answer(question).rows(), whole, strict=True):
            size = behind["n"] if question.metric == "silence_risk" else behind["value"]
            parts.setdefault(row["date"], []).append((row["value"], size))
        for day, values in parts.items():
            hidden = [size for value, size in values if value is None]
            if hidden and any(value for value, _ in values):
                assert len(hidden) > 1, (question, day)
                assert sum(hidden) >= FEWEST, (question, day)
                several += len(hidden) > 2
    assert several


def test_no_sum_of_a_viewer_tells_of_a_day_that_is_withheld(come_in: Callable[[User], None]) -> None:
    """Stickiness times MAU times 28 is the sum of 28 days of DAU: where one of these is withheld, so is it."""
    for by in (None, "plan", "country"):
        questions = [Question(metric, by=by) for metric in ("dau", "stickiness", "mau")]
        come_in(MANAGER)
        whole = {(row["date"], row.get(by)): row for row in data.answer(questions[1]).rows()}
        come_in(VIEWER)
        days, sums, _ = ({(row["date"], row.get(by)): row["value"] for row in data.answer(each).rows()} for each in questions)
        shown = withheld_here = 0
        for (day, group), value in sums.items():
            within = [days.get((day - timedelta(days=back), group), 0) for back in range(28)]
            if value is not None:
                shown += 1
                assert None not in within, (day, group)
                assert value * 28 * whole[day, group]["n"] == pytest.approx(sum(within))
            elif whole[day, group]["n"] >= FEWEST:
                withheld_here += 1
        assert withheld_here, by
        assert shown or by is not None


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
    figures = [name for name, value in whole["GB"].items() if name == "customers" or "active" in name or name == "amount_usd"]
    assert len(figures) == 7
    assert few <= {country for country, row in seen.items() if all(row[name] is None for name in figures)}
    assert all(row["customers"] in (None, whole[country]["customers"]) for country, row in seen.items())


def test_what_a_manager_read_is_not_served_to_a_viewer_from_the_cache(come_in: Callable[[User], None]) -> None:
    data._answers.cache_clear()
    question = Question("active_customers", by="country")
    come_in(MANAGER)
    assert data.answer(question).withheld == 0
    come_in(VIEWER)
    assert data.answer(question).withheld > 0
    come_in(MANAGER)
    assert data.answer(question).withheld == 0


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


def test_what_is_kept_for_readers_stays_when_somebody_empties_streamlits_caches(come_in: Callable[[User], None]) -> None:
    kept, store = data._answers(), stores.run_store(data.in_force().run_store_url)
    come_in(MANAGER)
    reconciled, told = data_definitions.reconciled(), data_definitions._told(data.published(), None)
    st.cache_resource.clear()
    st.cache_data.clear()
    assert data._answers() is kept
    assert data_definitions.reconciled() is reconciled
    assert data_definitions._told(data.published(), None) is told
    assert stores.run_store(data.in_force().run_store_url) is store
