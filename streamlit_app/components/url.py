"""Widgets bound to the URL by code, never by label: a link means the same in every language.

Streamlit's own `bind="query-params"` writes the label that the reader sees ("Royaume-Uni"), and a link made in French
would lose its filter in English. It also keeps its own copy of the URL, so the two ways cannot be mixed on one page.

A filter of several values stands in it once for each (`?country=ES&country=FR`).

What several pages ask for in the same words (SHARED) goes along from page to page: a page begins with it in its URL, also where
the page has no widget for it, so that the next one has it again.

On the way to a page that begins with a query, Streamlit puts a step into the browser's history that nobody made: the page that is
left, with that query. The way back comes by it, so each is noted (LEFT) and shows the page as it was left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pipeline.marts import CUSTOMER_DIMENSIONS
from streamlit_app import messages

Value = TypeVar("Value")
Said = str | list[str]  # what an address says at a key: one value, or several

MOST_DIGITS = 18  # of a number in an address; Python reads no number of thousands of digits
SIDES = ("a", "b")  # two segments that a page compares, each with filters of its own
SEVERAL = (*CUSTOMER_DIMENSIONS, *(f"{side}_{dimension}" for side in SIDES for dimension in CUSTOMER_DIMENSIONS))
SHARED = (
    *CUSTOMER_DIMENSIONS,
    "from",
    "to",
    "grain",
    "window",
    "version",
    "only_final",
)
ALONG = (*SHARED, messages.LANGUAGE_PARAMETER)
OF_A_PAGE = ("grain",)  # of these the pages have defaults of their own, so that also one that is some page's goes along
EVERY = "all"
KEPT, PAGE, FRESH = "_kept_filters", "_page_of_the_filters", "_begun_afresh"
CARRIED, UNREAD = "_carried_filters", "_unread_filters"
ADDRESS, LEFT = "_address", "_pages_as_they_were_left"
Query = tuple[tuple[str, tuple[str, ...]], ...]  # of an address, in its order


def bind(key: str, default: Value, *, read: Callable[[str], Value | None], draw: Callable[[Value], Value | None]) -> Value:
    """Draw the widget `key`, starting from the URL's value where that is a good one, and write what it holds back.

    `draw` gets the value to start from. What it cannot hold any more, or was emptied of, counts as the default. A value of the
    URL that cannot be read stays there until the reader chooses, so that the page can say what its link asked for; one that
    could be read before, and cannot any more, goes. So stays a default that a link names: to take it out would be a step of the
    browser's history, and the way back would lead to it.
    """
    written = st.query_params.get(key)
    found = None if written is None else read(written)
    unknown = [written] if written is not None and found is None else []
    start = default if found is None else found
    return _bound(key, start, unknown, default=default, draw=draw, names_default=found == default)


def bind_several(
    key: str, *, read: Callable[[str], str | None], draw: Callable[[tuple[str, ...]], tuple[str, ...] | None]
) -> tuple[str, ...]:
    """The same for a widget that holds any number of values, in the order of their texts; none of them is its default."""
    written = [text for text in dict.fromkeys(st.query_params.get_all(key)) if text not in ("", EVERY)]
    found = tuple(sorted({value for text in written if (value := read(text)) is not None}))
    return _bound(key, found, [text for text in written if read(text) is None], default=(), draw=draw)


def _bound(
    key: str,
    start: Value,
    unknown: list[str],
    *,
    default: Value,
    draw: Callable[[Value], Value | None],
    names_default: bool = False,
) -> Value:
    _begin_afresh(key, start)
    drawn = draw(start)
    value = default if drawn is None else drawn
    unread: dict[str, list[str]] = st.session_state.setdefault(UNREAD, {})
    waits = value == start and (key not in unread or unread[key])
    unread[key] = unknown if waits else []
    if not unread[key] and not (names_default and value == start):
        remember(key, value, default)
    if value != start:
        keep(key, EVERY if value == default and key not in OF_A_PAGE else value)
    _note_address()
    return value


def unheeded(key: str) -> str | None:
    """What the page's own link asks for at a key and does not get, because it is not there; None where all is as it asks.

    A value of the page before that this page does not have, such as its grain, is not asked for by a link.
    """
    unknown: list[str] = st.session_state.get(UNREAD, {}).get(key, [])
    return ", ".join(unknown) if unknown and key not in st.session_state.get(CARRIED, ()) else None


def heeded() -> dict[str, Said]:
    """What the URL asks for and the page follows."""
    unread: dict[str, list[str]] = st.session_state.get(UNREAD, {})
    followed = {key: _without(_said(key), unread.get(key, [])) for key in st.query_params}
    return {key: said for key, said in followed.items() if said}


def _said(key: str) -> Said:
    """What the address says at a key: several values in their order, each once; where there can be one value, the last one."""
    texts = sorted({*st.query_params.get_all(key)} - {""}) if key in SEVERAL else [st.query_params[key]]
    return as_said(texts)


def as_said(texts: Sequence[str]) -> Said:
    """Texts of one key as an address holds them."""
    return texts[0] if len(texts) == 1 else list(texts)


def _without(said: Said, unknown: Sequence[str]) -> Said:
    return as_said([text for text in ([said] if isinstance(said, str) else said) if text not in unknown])


def language() -> dict[str, str]:
    """The language that the reader chose, where the address says one."""
    chosen = st.query_params.get(messages.LANGUAGE_PARAMETER)
    return {} if chosen is None else {messages.LANGUAGE_PARAMETER: chosen}


def follow_history() -> None:
    """After Back or Forward the address counts, not what the widgets still show; called first in each drawing of the app."""
    language = messages.LANGUAGE_PARAMETER  # is asked for before its switch is drawn
    if not _is_history():
        kept = st.session_state.get(KEPT, {}).get(language, EVERY)
        if kept != EVERY and language not in st.session_state and language not in st.query_params:
            _speak(kept)  # a page that is opened has nothing in its address yet
        return
    begin_afresh()
    if language in st.session_state:
        _speak(messages.language_of_the_address())


def _speak(language: str) -> None:
    st.session_state[messages.LANGUAGE_PARAMETER] = language
    messages.look_again()


def _is_history() -> bool:
    """Whether the reader came here by Back or Forward."""
    drawing = get_script_run_ctx(suppress_warning=True)
    return drawing is not None and drawing.is_history_navigation


def replace(old: Collection[str], new: Mapping[str, Said]) -> None:
    """Let the address say something in the place of these keys, in one step of the browser's history.

    Not after Back or Forward, which another step would undo: nobody could go back beyond this page.
    """
    if {*old}.isdisjoint(st.query_params) or _is_history():
        return
    kept = {key: as_said(st.query_params.get_all(key)) for key in st.query_params if key not in old}
    st.query_params.from_dict({**kept, **new})


def begin_afresh() -> None:
    """Let what opens next begin as a link does in a new tab: with what its address says, and nothing that was chosen before."""
    st.session_state[KEPT] = {}
    st.session_state[PAGE] = None
    st.session_state[FRESH] = set()


def _begin_afresh(key: str, start: object) -> None:
    """A widget that is on the screen already would hold on to what it shows: once after `begin_afresh` it is set."""
    begun: set[str] | None = st.session_state.get(FRESH)
    if begun is not None and key not in begun:
        begun.add(key)
        if key in st.session_state:
            st.session_state[key] = start


def enter(page: str) -> None:
    """Begin a page with the filters of the page before; what its own link says counts more, and is kept for the next."""
    if _is_history():
        _as_it_was_left(page)
    if st.session_state.get(PAGE) != page:
        _begin(page)
    _note_address(page)


def _begin(page: str) -> None:
    st.session_state[PAGE] = page
    kept: dict[str, Said] = st.session_state.setdefault(KEPT, {})
    unread: dict[str, list[str]] = st.session_state.get(UNREAD, {})
    for key in [key for key in kept if unread.get(key) and key not in st.session_state.get(CARRIED, ())]:
        kept[key] = _without(kept[key], unread[key])  # the page before said that its link asked for what is not there
        if not kept[key]:
            del kept[key]
    kept.update({key: said for key in ALONG if key in st.query_params and (said := _said(key))})
    order = dict.fromkeys([*(key for key, _ in _last_address()[1]), *kept])  # as it was: the same query is no step of the history
    carried = {key: kept[key] for key in order if key in kept and key not in st.query_params and kept[key] != EVERY}
    st.session_state[CARRIED], st.session_state[UNREAD] = set(carried), {}
    if carried:
        note_leaving(page, {**{key: _said(key) for key in st.query_params}, **carried})
        st.query_params.update(carried)  # at once: each writing is a step of the browser's history


def note_leaving(page: str, query: Mapping[str, Said]) -> None:
    """Say, before it happens, that the reader goes on to a page that begins with this query."""
    left, step = _last_address(), tuple((key, tuple(_texts(said))) for key, said in query.items())
    if left[0] not in (None, page) and left[1] != step:
        st.session_state.setdefault(LEFT, {})[left[0], step] = left[1]


def _as_it_was_left(page: str) -> None:
    """After Back to a step that nobody made: the address of the page when the reader left it; once, for it then stands there."""
    left, here = st.session_state.get(LEFT, {}), (page, _query())
    whole: Query | None = left.get(here)
    st.session_state[LEFT] = {step: query for step, query in left.items() if here not in (step, (step[0], query))}
    if whole is not None:
        st.query_params.from_dict({key: as_said(texts) for key, texts in whole})


def _last_address() -> tuple[str | None, Query]:
    last: tuple[str | None, Query] = st.session_state.get(ADDRESS, (None, ()))
    return last


def _note_address(page: str | None = None) -> None:
    """Where the reader is, which is a step that somebody made."""
    address = (_last_address()[0] if page is None else page, _query())
    st.session_state[ADDRESS] = address
    st.session_state.get(LEFT, {}).pop(address, None)


def _query() -> Query:
    return tuple((key, tuple(st.query_params.get_all(key))) for key in st.query_params)


def keep(key: str, value: object) -> None:
    """What a reader chose goes along to the next page; EVERY is nothing that does."""
    if key in ALONG:
        st.session_state.setdefault(KEPT, {})[key] = as_said(_texts(value)) or EVERY


def remember(key: str, value: object, default: object) -> None:
    """Let the URL say what differs from the default, and nothing else."""
    if value == default:
        if key in st.query_params:
            del st.query_params[key]
    elif st.query_params.get_all(key) != _texts(value):
        st.query_params[key] = as_said(_texts(value))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, tuple | list) else [str(value)]


def one_of(options: list[str]) -> Callable[[str], str | None]:
    """Reads a code that must be among the options."""
    return lambda written: written if written in options else None


def whole_number(low: int, high: int) -> Callable[[str], int | None]:
    """Reads a whole number within limits."""

    def read(written: str) -> int | None:
        is_number = written.isascii() and written.isdigit() and len(written) <= MOST_DIGITS
        return int(written) if is_number and low <= int(written) <= high else None

    return read


def day(low: date, high: date) -> Callable[[str], date | None]:
    """Reads an ISO date within limits."""

    def read(written: str) -> date | None:
        try:
            found = date.fromisoformat(written)
        except ValueError:
            return None
        return found if low <= found <= high else None

    return read
