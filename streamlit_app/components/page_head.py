"""The head of a page of the section Operations: for admins alone, its title, and whose clocks its times follow."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from streamlit_app import auth, operations
from streamlit_app.auth import Role
from streamlit_app.messages import t


def show(title: str, clocks: Callable[[str], str] = lambda zone: t("common.times_in", zone=zone)) -> str:
    """Draw it, and give the time zone of the reader; raises RoleError for whoever is no admin."""
    auth.require(Role.ADMIN)
    zone = operations.viewer_zone()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(title, width="content")
        st.caption(clocks(zone), width="content")
    return zone
