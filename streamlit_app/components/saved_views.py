"""The menu of saved views: open one, save what is on the screen, rename and delete."""

from __future__ import annotations

import streamlit as st

from streamlit_app import actions_views, data, data_kept, formats, messages
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role, User
from streamlit_app.components import answers, links, tour, url
from streamlit_app.data import Version
from streamlit_app.data_kept import Query, SavedView
from streamlit_app.messages import t

ANSWER = "answer_about_views"
FIRST_PAGE = "overview"  # its address is the app's own
COUNTRY, VERSION = "country", data.ASKED_VERSION


def show(user: User, version: Version) -> None:
    """Draw the menu; a view of a page that the reader may not open is not offered."""
    answers.tell(ANSWER)
    views = [view for view in data_kept.views() if links.is_open(view.page)]
    with st.popover(t("views.menu"), icon=":material/bookmarks:", type="tertiary"):
        st.markdown(f"**{t('views.title')}**")
        if not views:
            st.caption(t("views.none"))
        for view in views:
            _open_button(view, user)
        _save(user, version)
        _change([view for view in views if actions_views.may_delete(user, view)], user)
        tour.again_button()


def _open_button(view: SavedView, user: User) -> None:
    version = view.query.get(VERSION)
    what = t(f"common.pages.{view.page}") + (f" · {formats.plain(version)}" if isinstance(version, str) else "")
    whose = "" if view.owner == user.name else f" · {t('views.shared_by', who=formats.plain(view.owner))}"
    mine = f" · {t('views.is_shared')}" if view.shared and view.owner == user.name else ""
    opens = st.button(
        formats.plain(view.name), key=f"view_{view.id}", type="tertiary", icon=":material/bookmark:", help=what + whose + mine
    )
    if opens:
        _open(view, user)


def _open(view: SavedView, user: User) -> None:
    """Open it as its link would in a new tab, in the reader's own language."""
    asked = view.query.get(COUNTRY, [])
    if user.countries is not None and not {*([asked] if isinstance(asked, str) else asked)} <= user.countries:
        st.session_state[ANSWER] = Outcome(False, "view_of_another_country", {"name": view.name})
    url.begin_afresh()
    links.go(view.page, **address(view.query), **url.language())


def address(query: Query) -> dict[str, url.Said]:
    """The part of a query that says what is seen: all but the language, which is the reader's."""
    return {name: value for name, value in query.items() if name != messages.LANGUAGE_PARAMETER}


def _save(user: User, version: Version) -> None:
    with st.form("view_form", border=False, clear_on_submit=True):
        st.text_input(t("views.name"), key="view_name", max_chars=actions_views.LONGEST_NAME)
        st.checkbox(t("views.keep_version", version=version.name), key="view_keeps_version", help=t("views.keep_version_help"))
        if user.may(Role.MANAGER):
            st.checkbox(t("views.share"), key="view_shared", help=t("views.share_help"))
        st.form_submit_button(t("views.save"), key="view_save", icon=":material/add:", on_click=_saved, args=(version.name,))


def _saved(version: str) -> None:
    kept = st.session_state
    query = address(url.heeded())
    query.pop(VERSION, None)
    if kept.view_keeps_version:
        query[VERSION] = version
    page = kept.get(url.PAGE) or FIRST_PAGE
    shared = bool(kept.get("view_shared"))
    answers.press(lambda: actions_views.save_view(kept.view_name, page=page, query=query, shared=shared), ANSWER)


def _change(views: list[SavedView], user: User) -> None:
    if not views:
        return
    named = {view.id: view.name if view.owner == user.name else f"{view.name} ({view.owner})" for view in views}
    with st.form("view_change", border=False, clear_on_submit=True):
        st.selectbox(t("views.which"), list(named), key="view_changed", format_func=lambda view_id: named.get(view_id, ""))
        st.text_input(t("views.new_name"), key="view_new_name", max_chars=actions_views.LONGEST_NAME)
        with st.container(horizontal=True):
            st.form_submit_button(t("views.rename"), key="view_rename", icon=":material/edit:", on_click=_renamed)
            st.form_submit_button(t("views.delete"), key="view_delete", icon=":material/delete:", on_click=_deleted)


def _renamed() -> None:
    kept = st.session_state
    answers.press(lambda: actions_views.rename_view(kept.view_changed, kept.view_new_name), ANSWER)


def _deleted() -> None:
    answers.press(lambda: actions_views.delete_view(st.session_state.view_changed), ANSWER)
