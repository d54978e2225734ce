"""The toolbar that Streamlit lays over each chart, without the two entries that give files away unasked."""

from __future__ import annotations

import streamlit as st

PAST_THE_RIGHTS = ("Download as PNG", "Copy Vega-Lite spec")  # as Streamlit names them, in English whatever the page's language


def without_files() -> None:
    """Hide them: no option of Streamlit does, and the app's own files check who asks and note it down."""
    buttons = ", ".join(f'button[aria-label^="{name}"]' for name in PAST_THE_RIGHTS)
    st.html(f'<style>[data-testid="stElementToolbarButton"]:has({buttons}) {{ display: none }}</style>')
