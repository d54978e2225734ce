"""The app: who is looking, which pages they may open, and the frame around each page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from streamlit_app import actions, auth, messages, navigation
from streamlit_app.components import frame, links, sign_in, states, url
from streamlit_app.messages import t

ICON = Path(__file__).parent / "static" / "icon.png"  # a file: an icon by name would be fetched from elsewhere

st.set_page_config(page_icon=str(ICON), layout="wide", initial_sidebar_state=220)
with states.guarded(), messages.one_language(), sign_in.asked(navigation.addresses()):
    url.follow_history()
    user = auth.current_user()
    actions.note_sign_in()
    sections = navigation.open_to(user)
    links.remember({name: page for pages in sections.values() for name, page in pages.items()})
    listed = {t(f"common.sections.{section}"): list(pages.values()) for section, pages in sections.items()}
    opened = st.navigation(listed | {"": navigation.in_vain(sections)})
    url.enter(opened.url_path)
    frame.show(user)
    opened.run()
