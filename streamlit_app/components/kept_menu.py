"""What people keep, in the header of every page: views of pages, and notes on days."""

from __future__ import annotations

from streamlit_app.auth import User
from streamlit_app.components import notes, saved_views
from streamlit_app.data import Version


def show(user: User, version: Version | None) -> None:
    """The menus, where there are figures to keep something about."""
    if version is not None:
        saved_views.show(user, version)
        notes.show(user, version)
