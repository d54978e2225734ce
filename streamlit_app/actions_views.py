"""What people do with saved views: each keeps their own, an admin deletes what others share; all of it is audited."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from pipeline.errors import ConfigurationError
from pipeline.runs.saved_views import Query, SavedView
from pipeline.runs.store import RunStore
from streamlit_app import auth, data, formats, stores
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role, RoleError, User

LONGEST_NAME, LONGEST_QUERY = 80, 2000  # characters
PAGE = re.compile("[a-z_]{1,40}")
OF_CUSTOMERS = ("customer", "search")  # of a page's choices: who reads the view may not see them


def save_view(name: str, *, page: str, query: Query, shared: bool = False) -> Outcome:
    """Save a page and its query under a name; what everybody reads is written by managers and admins, and names no customer."""
    user = auth.require(Role.MANAGER if shared else Role.VIEWER)
    if shared:
        query = {key: value for key, value in query.items() if key not in OF_CUSTOMERS}
    called = _checked(name)
    if not called:
        return Outcome(False, "view_nameless")
    if len(urlencode(query, doseq=True)) > LONGEST_QUERY:
        raise ConfigurationError(
            "This page cannot be saved", safe="Nothing was written", next="choose fewer values in its filters"
        )
    if not PAGE.fullmatch(page):
        raise ConfigurationError("This page cannot be saved", safe="Nothing was written", next="open it again from the menu")
    view_id = _store().save_view(user.name, called, page=page, query=query, shared=shared)
    if view_id is None:
        return Outcome(False, "view_name_taken", {"name": called})
    _store().audit(user.name, "save_view", f"view {view_id}", after=_store().saved_view(view_id).content)
    return Outcome(True, "view_saved", {"name": called})


def rename_view(view_id: int, name: str) -> Outcome:
    """Give a view of one's own another name; raises RoleError where it is another one's."""
    user, called = auth.require(Role.VIEWER), _checked(name)
    view = _store().saved_view(view_id)
    if view.owner != user.name:
        raise RoleError(user, Role.ADMIN)
    if view.shared:
        auth.require(Role.MANAGER)
    if not called:
        return Outcome(False, "view_nameless")
    if not _store().rename_view(view_id, called):
        return Outcome(False, "view_name_taken", {"name": called})
    before, after = {"name": view.name}, {"name": called}
    _store().audit(user.name, "rename_view", f"view {view_id}", before=before, after=after)
    return Outcome(True, "view_renamed", {"name": called})


def delete_view(view_id: int) -> Outcome:
    """Delete a view; raises RoleError where it is another one's, unless it is shared and an admin deletes it."""
    user = auth.require(Role.VIEWER)
    view = _store().saved_view(view_id)
    if not may_delete(user, view):
        raise RoleError(user, Role.ADMIN)
    _store().delete_view(view_id)
    before = view.content | {"owner": view.owner}
    _store().audit(user.name, "delete_view", f"view {view_id}", before=before)
    return Outcome(True, "view_deleted", {"name": view.name})


def may_delete(user: User, view: SavedView) -> bool:
    """Whether a person may delete a view: the owner, or an admin where it is shared."""
    return view.owner == user.name or (view.shared and user.may(Role.ADMIN))


def _checked(name: str) -> str:
    return formats.visible(name)[:LONGEST_NAME]


def _store() -> RunStore:
    return stores.run_store(data.in_force().run_store_url)
