"""The app: who is looking, which pages they may open, and the frame around each page."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from streamlit_app import auth, data
from streamlit_app.auth import Role
from streamlit_app.components import frame, links, states
from streamlit_app.messages import t

ICON = Path(__file__).parent / "static" / "icon.png"  # a file: an icon by name would be fetched from elsewhere

# section -> page -> icon, least role, whether it needs a published version
PAGES: dict[str, dict[str, tuple[str, Role, bool]]] = {
    "analytics": {
        "overview": ("monitoring", Role.VIEWER, True),
        "activity": ("timeline", Role.VIEWER, True),
        "retention": ("grid_on", Role.VIEWER, True),
        "churn": ("trending_down", Role.VIEWER, True),
        "payments": ("credit_card", Role.VIEWER, True),
    },
    "customers": {
        "customers": ("group", Role.MANAGER, True),
        "definitions": ("menu_book", Role.VIEWER, True),
    },
    "ops": {"ops_runs": ("play_circle", Role.ADMIN, False)},
}


def page(name: str, icon: str, *, needs_version: bool) -> st.Page:
    """One entry of the navigation; its view is imported when it is opened."""

    def show() -> None:
        if needs_version and data.current_version() is None:
            states.before_the_first_version()
        else:
            view: Callable[[], None] = importlib.import_module(f"streamlit_app.views.{name}").show
            view()

    return st.Page(show, title=t(f"common.pages.{name}"), icon=f":material/{icon}:", url_path=name, default=name == "overview")


st.set_page_config(page_icon=str(ICON), layout="wide", initial_sidebar_state=220)
with states.guarded():
    user = auth.current_user()
    sections = {
        t(f"common.sections.{section}"): {
            name: page(name, icon, needs_version=needs) for name, (icon, role, needs) in pages.items() if user.may(role)
        }
        for section, pages in PAGES.items()
    }
    links.remember({name: entry for pages in sections.values() for name, entry in pages.items()})
    opened = st.navigation({title: list(pages.values()) for title, pages in sections.items() if pages})
    frame.show(data.current_version())
    opened.run()
