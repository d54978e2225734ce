"""What Streamlit's look leaves out: paper, colours that the system forces, and labels that have no room on one line."""

from __future__ import annotations

import streamlit as st

# Streamlit ends the label of a card in dots where the page is narrow, or enlarged.
NARROW = '[data-testid="stMetricLabel"] :is(div, p) { white-space: normal; overflow: visible }'

# The navigation would take a quarter of each sheet, and a row of cards be torn apart.
PAPER = '[data-testid="stSidebar"] { display: none !important } [data-testid="stGridCell"] { break-inside: avoid }'
# Of the dark theme, what is coloured to tell something keeps its hue and is dark instead of light; the rest is ink on the sheet.
COLOURED = '[data-testid="stSlider"], [data-testid="stCheckbox"], [data-testid="stButtonGroup"]'
DARK_ON_PAPER = f"""
html, body {{ background: white !important }}
.stApp, .stApp *:not(canvas, img, :is({COLOURED}) *) {{
    background: transparent !important; color: #12181b !important; border-color: #c8cfd2 !important
}}
.stApp :is(canvas, {COLOURED}) {{ color: #e4eaec !important; filter: invert(1) hue-rotate(180deg) brightness(1.13) }}
"""

# Contrast themes of Windows take every background away, and with it what is chosen, switched on or how far a slider stands.
FORCED_COLOURS = """
[role="radio"][aria-checked="true"] { background: Highlight !important }
[role="radio"][aria-checked="true"] * { color: HighlightText !important; forced-color-adjust: none }
[data-testid="stSlider"] [role="group"] > div > div:first-child { background: ButtonText }
[data-testid="stSlider"] div:has(> div > input) { background: Highlight; border: 2px solid ButtonText }
[data-testid="stCheckbox"] span:has(> [role="switch"]) + div { border: 1px solid ButtonText }
[data-testid="stCheckbox"] span:has(> [role="switch"]) + div > div { background: ButtonText }
[data-testid="stCheckbox"] span:has(> [role="switch"]:checked) + div { background: Highlight }
"""


def add() -> None:
    """Add it to the page; what is printed follows the theme that the reader has."""
    paper = PAPER + (DARK_ON_PAPER if st.context.theme.type == "dark" else "")
    st.html(f"<style>{NARROW} @media print {{ {paper} }} @media (forced-colors: active) {{ {FORCED_COLOURS} }}</style>")
