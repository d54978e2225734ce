"""What a page says when there is nothing to draw: empty, stale, broken, and before the first version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec
from uuid import uuid4

import streamlit as st

from pipeline.errors import NeopulseError, NotCopiedError, OtherEditionError
from pipeline.marts import ConfinedError
from streamlit_app import auth, data, formats, messages
from streamlit_app.auth import AdmissionError, SignInError
from streamlit_app.components import links
from streamlit_app.messages import t

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
POLL_SECONDS = 2


def empty(text: str, *, next: str | None = None) -> None:
    """Nothing fits the question: say so, and what to change."""
    st.info(text + (f"  \n{next}" if next else ""), icon=":material/filter_alt_off:")


def empty_card(title: str, text: str, *, next: str | None = None) -> None:
    """The card of a chart that has nothing to draw, under its title."""
    with st.container(border=True):
        st.markdown(f"**{title}**")
        empty(text, next=next)


def stale(text: str, *, next: str | None = None) -> None:
    """The figures are whole but older than they should be."""
    st.warning(text + (f"  \n{next}" if next else ""), icon=":material/schedule:")


def no_such_page() -> None:
    """The address is of no page, or of one that this reader may not open: say so, and the way back."""
    st.header(t("common.no_such_page.title"))
    st.markdown(t("common.no_such_page.explained"))
    links.to("overview", t("common.no_such_page.back"))


def unheeded(lines: list[str]) -> None:
    """The page's link asks for what is not there: what it asks and what is shown instead; nothing where all is as it asks."""
    if lines:
        st.warning("  \n".join(lines), icon=":material/link_off:")


def broken(error: Exception) -> None:
    """Something failed: what, where, what is safe and what to do; never a traceback."""
    if isinstance(error, ConfinedError | NotCopiedError):
        empty(t("common.confined" if isinstance(error, ConfinedError) else "common.not_copied"))
        return
    if isinstance(error, OtherEditionError):
        log.warning("%s", error.what)
        empty(t("common.other_edition", version=formats.plain(error.version)))
        return
    if isinstance(error, SignInError):
        lines = [t(f"sign_in.refused.{error.reason}")]
    elif isinstance(error, AdmissionError):
        area = "sign_in.refused" if auth.signs_in() else "common.admission"
        lines = [t(f"{area}.{error.reason}", place=error.where, who=formats.literal(error.place))]
    elif isinstance(error, NeopulseError):
        lines = in_lines(str(error))
    else:
        reference = uuid4().hex[:8]
        log.error("a page failed, reference %s", reference, exc_info=error)
        lines = [t("common.broken.unexpected"), t("common.broken.reference", reference=reference)]
    st.error("  \n".join(lines), icon=":material/error:")


def in_lines(error: str) -> list[str]:
    """An error as it is kept: what happened, then where, what is safe and the next command, by the words of the catalogues.

    It may quote a bank's file or a service: nothing in it is read as more than words.
    """
    what, *rest = error.splitlines() or [""]
    lines = [f"**{formats.plain(what.strip())}**"]
    for line in rest:
        label, _, said = line.strip().partition(": ")
        key = f"common.broken.{label}"
        lines.append(messages.named(t(key), formats.plain(said)) if messages.has(key) else formats.plain(line.strip()))
    return lines


def how_far(step: str, doing: str) -> str:
    """A step's name beside its progress, and what it is doing where it says so."""
    return step + (f" · {formats.plain(doing)}" if doing else "")


@contextmanager
def guarded() -> Iterator[None]:
    """A failure inside is told on the page, and the rest of the page stands."""
    try:
        yield
    except Exception as error:
        broken(error)


def guard(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The same around a function; for fragments, which run again by themselves."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with guarded(), messages.one_language():
            draw(*args, **kwargs)

    return drawn


def before_the_first_version() -> None:
    """No version yet: what to do, and how far the run is that makes one."""
    st.header(t("common.no_version.title"))
    _first_run()


@st.fragment(run_every=POLL_SECONDS)
@guard
def _first_run() -> None:
    if data.current_version() is not None:
        st.rerun()
    run = data.latest_run()
    if run is None:
        st.markdown(t("common.no_version.start"))
        st.code(t("common.no_version.commands"), language="bash")
        links.to("ops_runs", t("common.no_version.or_on_the_page"))
        return
    st.markdown(t(f"common.no_version.{run.state}", run=run.id))
    for step in run.steps:
        done = 1.0 if step.state == "succeeded" else step.progress or 0.0
        label = f"{t(f'common.steps.{step.name}')} · {t(f'common.step_states.{step.state}')}"
        st.progress(min(done, 1.0), text=how_far(label, step.progress_text))
    if run.error:
        st.error("  \n".join(in_lines(run.error)), icon=":material/error:")
        st.caption(t("common.no_version.see_runs", started=formats.moment(run.started_at)))
