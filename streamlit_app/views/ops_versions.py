"""The versions: what readers see, the way back, two side by side, and the candidate that waits for an admin."""

from __future__ import annotations

from streamlit_app import operations_versions
from streamlit_app.components import answers, comparison, filters, held_candidate, page_head, states, version_table
from streamlit_app.messages import t

SECTIONS = ("kept", "compare", "decisions")


def show() -> None:
    """The page."""
    zone = page_head.show(t("ops_versions.title"))
    answers.tell()
    with states.guarded():
        waiting = operations_versions.held()
        if waiting is not None:
            held_candidate.show(waiting, zone)
    label = t("ops_versions.section")
    section = filters.choice("section", SECTIONS, label=label, name=lambda name: t(f"ops_versions.sections.{name}"))
    filters.tell_unheeded()
    with states.guarded():
        {"kept": version_table.show, "compare": comparison.show, "decisions": held_candidate.decisions}[section](zone)
