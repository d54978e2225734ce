"""Saved views: what is saved, that opening one is the same as its link, whose they are, and a version in the address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hand_made
import pytest
from page_kit import HOSTILE, SECONDS, failed, is_harmless, press, words
from streamlit.testing.v1 import AppTest

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError
from streamlit_app import actions_views, data, data_kept, formats, messages, stores
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import saved_views, url
from streamlit_app.messages import text

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

VERA, GRACE = User("vera", Role.VIEWER), User("grace", Role.MANAGER)


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch, come_in: Callable[[User], None]) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    come_in(GRACE)


def whole_app(**parameters: url.Said) -> AppTest:
    page = AppTest.from_file(str(Path(data.__file__).parent / "app.py"), default_timeout=SECONDS)
    page.query_params.update(parameters)
    page.run()
    assert failed(page) == []
    return page


def names() -> list[str]:
    return [view.name for view in data_kept.views()]


def acts() -> list[Any]:
    return stores.run_store(data.in_force().run_store_url).acts()


def test_what_is_on_the_screen_is_saved_without_the_language_and_with_the_version_only_where_that_is_wanted() -> None:
    page = whole_app(country="FR", window="60", lang="en")
    page.text_input(key="view_name").set_value("France at 60")
    page = press(page, "view_save")
    page.text_input(key="view_name").set_value("France, these figures")
    page.checkbox(key="view_keeps_version").check()
    page.checkbox(key="view_shared").check()
    page = press(page, "view_save")
    assert failed(page) == []
    assert [(view.name, view.page, view.query, view.shared) for view in data_kept.views()] == [
        ("France at 60", "overview", {"country": "FR", "window": "60"}, False),
        ("France, these figures", "overview", {"country": "FR", "window": "60", "version": "v0001"}, True),
    ]
    assert (acts()[1].who, acts()[1].action, acts()[1].after["query"]) == (
        "grace",
        "save_view",
        {"country": "FR", "window": "60"},
    )


def test_opening_a_view_shows_what_its_link_shows_whatever_was_chosen_before() -> None:
    actions_views.save_view("France", page="overview", query={"country": "FR", "window": "60"})
    link = whole_app(country="FR", window="60")
    page = whole_app(plan="METAL", country="GB", window="30")
    (view,) = data_kept.views()
    page = press(page, f"view_{view.id}")
    assert failed(page) == []
    assert page.query_params == link.query_params
    assert [metric.value for metric in page.metric] == [metric.value for metric in link.metric]
    assert (page.selectbox(key="country").value, page.selectbox(key="plan").value) == (("FR",), ())
    assert page.slider(key="window").value == 60
    assert page.session_state[url.KEPT] == link.session_state[url.KEPT]


def test_a_view_of_two_countries_is_saved_and_opened_with_both() -> None:
    page = whole_app(country=["GB", "FR"], plan="METAL")
    page.text_input(key="view_name").set_value("two")
    page = press(page, "view_save")
    (view,) = data_kept.views()
    assert view.query == {"country": ["FR", "GB"], "plan": "METAL"}
    opened = press(whole_app(country="PL"), f"view_{view.id}")
    assert failed(opened) == []
    assert opened.query_params == {"country": ["FR", "GB"], "plan": "METAL"}
    assert opened.selectbox(key="country").value == ("FR", "GB")


def test_who_sees_some_countries_opens_the_view_of_another_one_on_their_own_figures(come_in: Callable[[User], None]) -> None:
    actions_views.save_view("Britain", page="overview", query={"country": "GB"}, shared=True)
    actions_views.save_view("Both", page="overview", query={"country": ["FR", "GB"]}, shared=True)
    come_in(User("max", Role.MANAGER, frozenset({"FR"})))
    for view in data_kept.views():
        page = press(whole_app(), f"view_{view.id}")
        assert failed(page) == []
        assert page.selectbox(key="country").options == ["All", "France"]
        assert [metric.value for metric in page.metric] == [metric.value for metric in whole_app().metric]
        assert "whose customers you do not see" in words(page)


def test_a_view_of_a_page_that_a_person_may_not_open_is_not_offered(come_in: Callable[[User], None]) -> None:
    actions_views.save_view("one customer", page="customers", query={"customer": "1"}, shared=True)
    actions_views.save_view("churn", page="churn", query={}, shared=True)
    come_in(VERA)
    offered = {button.label for button in whole_app().button if (button.key or "").startswith("view_")}
    assert "churn" in offered
    assert "one customer" not in offered


def test_a_view_is_renamed_and_deleted_by_its_owner_and_a_shared_one_deleted_by_an_admin(come_in: Callable[[User], None]) -> None:
    actions_views.save_view("mine", page="churn", query={})
    actions_views.save_view("ours", page="churn", query={}, shared=True)
    mine, ours = (view.id for view in data_kept.views())
    come_in(User("ada", Role.ADMIN))
    assert names() == ["ours"]
    for refused in (lambda: actions_views.rename_view(ours, "x"), lambda: actions_views.delete_view(mine)):
        with pytest.raises(RoleError):
            refused()
    assert actions_views.delete_view(ours).accepted
    come_in(GRACE)
    assert actions_views.rename_view(mine, " my  own ").accepted
    assert names() == ["my own"]
    assert actions_views.delete_view(mine).accepted
    assert names() == []
    assert [(row.who, row.action) for row in acts()[:3]] == [
        ("grace", "delete_view"),
        ("grace", "rename_view"),
        ("ada", "delete_view"),
    ]
    assert (acts()[1].before, acts()[1].after, acts()[2].before["owner"]) == ({"name": "mine"}, {"name": "my own"}, "grace")


def test_who_is_no_manager_any_more_gives_a_shared_view_no_name_and_a_shared_view_names_no_customer(
    come_in: Callable[[User], None],
) -> None:
    query = {"customer": "117", "search": "1", "window": "30"}
    actions_views.save_view("ours", page="customers", query=query, shared=True)
    actions_views.save_view("mine", page="customers", query=query)
    assert {view.name: view.query for view in data_kept.views()} == {"ours": {"window": "30"}, "mine": query}
    come_in(User(GRACE.name, Role.VIEWER))
    ours = next(view.id for view in data_kept.views() if view.shared)
    with pytest.raises(RoleError):
        actions_views.rename_view(ours, "figures are wrong")
    assert "figures are wrong" not in names()


def test_the_page_renames_and_deletes() -> None:
    actions_views.save_view("mine", page="churn", query={})
    page = whole_app()
    page.text_input(key="view_new_name").set_value(HOSTILE)
    page = press(page, "view_rename")
    assert names() == [HOSTILE[:80]]
    assert is_harmless(page, HOSTILE[:80])
    label = next(button.label for button in page.button if button.key == f"view_{data_kept.views()[0].id}")
    assert label == formats.plain(HOSTILE[:80])
    page = press(page, "view_delete")
    assert names() == []


def test_a_viewer_keeps_views_and_shares_none(come_in: Callable[[User], None]) -> None:
    come_in(VERA)
    page = whole_app()
    assert "view_shared" not in {box.key for box in page.checkbox}
    assert actions_views.save_view("mine", page="churn", query={}).accepted
    with pytest.raises(RoleError):
        actions_views.save_view("ours", page="churn", query={}, shared=True)


def test_what_cannot_be_a_view_is_not_saved() -> None:
    for nothing in ("  ", "\u200b", "\u202e\u200b"):
        assert actions_views.save_view(nothing, page="churn", query={}).answer == "view_nameless"
    actions_views.save_view("taken", page="churn", query={"window": "30"})
    assert actions_views.save_view("taken", page="churn", query={}).answer == "view_name_taken"
    for page, query in (("../churn", {}), ("churn", {"search": "x" * 2000})):
        with pytest.raises(ConfigurationError):
            actions_views.save_view("other", page=page, query=query)
    assert [(view.name, view.query) for view in data_kept.views()] == [("taken", {"window": "30"})]
    assert saved_views.address({"lang": "fr", "grain": "day"}) == {"grain": "day"}


# --- a version in the address -----------------------------------------------------------------------------------------


class Tab:
    """What Streamlit keeps of one tab."""

    def __init__(self, **query: str) -> None:
        self.query_params = query
        self.session_state: dict[str, object] = {}


def test_the_address_chooses_a_kept_version_before_the_current_one_and_none_that_was_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.warehouse.publication import Publications

    clock = FixedClock(hand_made.SIX_O_CLOCK)
    for run in (1, 2, 3):
        hand_made.publish_customers(tmp_path, 5, clock=clock, run_id=run)
    Publications(tmp_path, keep=5).rollback("v0002")
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    data.in_force.cache_clear()

    def pinned(**query: str) -> str | None:
        monkeypatch.setattr(data, "st", Tab(**query))
        version = data.pin_version()
        return None if version is None else version.name

    assert pinned() == "v0002"
    assert pinned(version="v0001") == "v0001"
    assert pinned(version="v0002") == "v0002"
    assert pinned(version="v0003") == "v0002"  # the rollback took it back
    assert pinned(version="v0099") == "v0002"
    assert pinned(version="../secret") == "v0002"


def test_an_address_that_asks_for_a_version_that_is_not_kept_says_so_and_leads_to_the_latest() -> None:
    page = whole_app(version="v0009")
    told = text("views.no_such_version", "en", version="`v0009`", latest="v0001")
    assert told in [warning.value for warning in page.warning]
    page = press(page, "show_latest")
    assert "version" not in page.query_params
    assert told not in [warning.value for warning in page.warning]
    assert whole_app(version="v0001").warning[0].value != told


def test_a_number_of_thousands_of_digits_in_an_address_is_none() -> None:
    read = url.whole_number(7, 180)
    assert [read(written) for written in ("90", "9" * 5000, "0" * 5000 + "90", "-9")] == [90, None, None, None]
