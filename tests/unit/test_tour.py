"""The guided first visit: shown until a person dismisses it, in their language, a page a question, and back from the menu."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from page_kit import SECONDS, failed, press
from streamlit.testing.v1 import AppTest

from streamlit_app import data, navigation
from streamlit_app.auth import Role, User
from streamlit_app.components import tour
from streamlit_app.messages import text

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


def whole_app(**parameters: str) -> AppTest:
    page = AppTest.from_file(str(Path(data.__file__).parent / "app.py"), default_timeout=SECONDS)
    page.query_params.update(parameters)
    page.run()
    assert failed(page) == []
    return page


def tour_of(page: AppTest) -> str:
    """The label of the tour; empty where it is not shown."""
    return next(
        (expander.label for expander in page.expander if "tour_dismiss" in {button.key for button in expander.button}), ""
    )


def title(step: str, language: str = "en") -> str:
    return text(f"tour.steps.{step}.title", language)


def test_every_step_leads_to_a_page_that_every_role_may_open() -> None:
    open_to_viewers = {name for pages in navigation.open_to(User("vera", Role.VIEWER)).values() for name in pages}
    assert set(tour.STEPS.values()) <= open_to_viewers
    assert 3 <= len(tour.STEPS) <= 5


def test_a_step_opens_its_page_and_keeps_the_filters(come_in: Callable[[User], None]) -> None:
    come_in(User("vera", Role.VIEWER))
    page = whole_app(country="FR")
    assert title("how_many") in tour_of(page)
    page = press(page, "tour_next")
    assert failed(page) == []
    assert title("who_leaves") in tour_of(page)
    assert [header.value for header in page.header] == [text("churn.title", "en")]
    assert page.selectbox(key="country").value == ("FR",)
    assert title("how_many") in tour_of(press(page, "tour_back"))
    assert title("who_leaves", "fr") in tour_of(whole_app(lang="fr"))


def test_who_dismisses_the_tour_sees_it_no_more_until_it_is_asked_for_and_others_still_see_it(
    come_in: Callable[[User], None],
) -> None:
    come_in(User("vera", Role.VIEWER))
    page = press(whole_app(), "tour_dismiss")
    assert title("how_many") not in tour_of(page)
    assert title("how_many") not in tour_of(whole_app())  # another session, another browser
    come_in(User("max", Role.VIEWER))
    assert title("how_many") in tour_of(whole_app())
    come_in(User("vera", Role.VIEWER))
    assert title("how_many") in tour_of(press(whole_app(), "tour_again"))
    assert title("how_many") not in tour_of(whole_app())


def test_the_tour_goes_on_where_a_person_was_also_in_another_session(come_in: Callable[[User], None]) -> None:
    come_in(User("vera", Role.VIEWER))
    press(press(whole_app(), "tour_next"), "tour_next")
    assert "3 of 5" in tour_of(whole_app())
    assert title("better") in tour_of(whole_app())
    come_in(User("max", Role.VIEWER))
    assert "1 of 5" in tour_of(whole_app())


def test_the_tour_is_folded_until_somebody_follows_it(come_in: Callable[[User], None]) -> None:
    come_in(User("vera", Role.VIEWER))

    def is_open(page: AppTest) -> bool:
        return next(bool(expander.proto.expanded) for expander in page.expander if expander.label == tour_of(page))

    page = whole_app()
    assert not is_open(page)
    assert is_open(press(page, "tour_next"))


def draw_tour(page: str) -> None:
    import streamlit as st

    from streamlit_app import data
    from streamlit_app.components import tour, url

    st.session_state[url.PAGE] = page
    tour.show(data.published())


@pytest.mark.parametrize(("page", "shown"), [("ops_runs", False), ("ops_audit", False), ("definitions", True), ("", True)])
def test_no_tour_stands_on_the_pages_of_operations(page: str, *, shown: bool, come_in: Callable[[User], None]) -> None:
    come_in(User("ada", Role.ADMIN))
    drawn = AppTest.from_function(draw_tour, args=(page,), default_timeout=SECONDS).run()
    assert failed(drawn) == []
    assert (tour_of(drawn) != "") == shown
