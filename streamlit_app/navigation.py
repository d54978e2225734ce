"""Every page of the app: where it stands in the navigation, and who may open it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from streamlit_app import data
from streamlit_app.auth import Role, User
from streamlit_app.components import states
from streamlit_app.messages import t
from streamlit_app.views import (
    activity,
    churn,
    customers,
    definitions,
    ops_alerts,
    ops_audit,
    ops_reports,
    ops_runs,
    ops_schedule,
    ops_syncs,
    ops_versions,
    overview,
    payments,
    retention,
)

IN_VAIN = "_page_asked_for_in_vain"
ONE_WORD = re.compile(r"[\w.-]{1,100}")  # what Streamlit takes for the address of a page


@dataclass(frozen=True)
class Entry:
    """One page: its view, its icon in the navigation, the least role, and whether it shows published figures."""

    view: ModuleType
    icon: str
    role: Role = Role.VIEWER
    shows_figures: bool = True

    @property
    def name(self) -> str:
        return self.view.__name__.rpartition(".")[2]

    def page(self) -> st.Page:
        icon, title = f":material/{self.icon}:", t(f"common.pages.{self.name}")
        return st.Page(self.show, title=title, icon=icon, url_path=self.name, default=self.view is overview)

    def show(self) -> None:
        if self.shows_figures and data.current_version() is None:
            states.before_the_first_version()
        else:
            self.view.show()


PAGES = {
    "analytics": (
        Entry(overview, "monitoring"),
        Entry(activity, "timeline"),
        Entry(retention, "grid_on"),
        Entry(churn, "trending_down"),
        Entry(payments, "credit_card"),
    ),
    "customers": (Entry(customers, "group", Role.MANAGER), Entry(definitions, "menu_book")),
    "ops": (
        Entry(ops_runs, "play_circle", Role.ADMIN, shows_figures=False),
        Entry(ops_schedule, "calendar_clock", Role.ADMIN, shows_figures=False),
        Entry(ops_syncs, "sync_alt", Role.ADMIN, shows_figures=False),
        Entry(ops_versions, "history", Role.ADMIN, shows_figures=False),
        Entry(ops_alerts, "notifications", Role.ADMIN, shows_figures=False),
        Entry(ops_reports, "outgoing_mail", Role.ADMIN, shows_figures=False),
        Entry(ops_audit, "policy", Role.ADMIN, shows_figures=False),
    ),
}


def addresses() -> list[str]:
    """The address of every page, whoever may open it."""
    return [entry.name for entries in PAGES.values() for entry in entries]


def in_vain(sections: Mapping[str, Mapping[str, st.Page]]) -> list[st.Page]:
    """A page out of sight at the address that was asked for and is none of these, which says so in the reader's language.

    Streamlit's own word for it is English. A browser names its page when it opens it, and not at each later drawing.
    """
    drawing = get_script_run_ctx(suppress_warning=True)
    asked = drawing.pages_manager.intended_page_name if drawing else None
    if asked:
        there = {name for pages in sections.values() for name in pages}
        st.session_state[IN_VAIN] = asked if asked not in there and ONE_WORD.fullmatch(asked) else None
    name = st.session_state.get(IN_VAIN)
    title = t("common.no_such_page.title")
    return [st.Page(states.no_such_page, title=title, url_path=name, visibility="hidden")] if name else []


def open_to(user: User) -> dict[str, dict[str, st.Page]]:
    """The pages that a person may open, by section and name; a page that is not listed cannot be reached by its address."""
    sections = {
        section: {entry.name: entry.page() for entry in entries if user.may(entry.role)} for section, entries in PAGES.items()
    }
    return {section: pages for section, pages in sections.items() if pages}
