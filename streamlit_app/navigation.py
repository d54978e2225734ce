"""Every page of the app: where it stands in the navigation, and who may open it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import streamlit as st

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


def open_to(user: User) -> dict[str, dict[str, st.Page]]:
    """The pages that a person may open, by section and name; a page that is not listed cannot be reached by its address."""
    sections = {
        section: {entry.name: entry.page() for entry in entries if user.may(entry.role)} for section, entries in PAGES.items()
    }
    return {section: pages for section, pages in sections.items() if pages}
