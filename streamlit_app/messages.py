"""Every text of the app, by key and language, from the catalogues in `locales/<language>/<area>.yml`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
import yaml

from pipeline import plurals
from streamlit_app import typography

LANGUAGES = ("en", "fr")
WRITES_ALIKE = {"en": ("en", "en-GB", "en-US"), "fr": ("fr", "fr-FR")}  # browsers by their locale
LANGUAGE_PARAMETER = "lang"
CATALOGUES = Path(__file__).parent / "locales"


class MissingMessageError(KeyError):
    """A text that some catalogue does not have."""


def t(key: str, *, count: Any = None, **values: object) -> str:
    """The text of `area.name` in the reader's language, with `{placeholders}` filled in.

    Where its words depend on a number, the catalogues have a text for `one` and for `other`: `count`, a whole number, chooses
    between them.
    """
    return text(key, language(), count=count, **values)


def named(name: str, value: object) -> str:
    """A value behind its name and a colon, as the reader's language sets them."""
    return t("common.named", name=name, value=value)


def text(key: str, language: str, /, *, count: Any = None, **values: object) -> str:
    """The text of `area.name` in one language; raises MissingMessageError where the catalogue lacks it, or it has no forms."""
    area, _, name = key.partition(".")
    if count is not None:
        name = f"{name}.{plurals.form(count, language)}"
    try:
        message = catalogue(language, area)[name]
    except (KeyError, FileNotFoundError):
        raise MissingMessageError(f"{key} in {language}") from None
    return message.format_map(values) if values else message


def in_english(said: str) -> str:
    """What models and syncs say of themselves, which is English; where the page is not, that is said."""
    return said if language() == "en" else f"{t('definitions.in_en')} {said}"


def has(key: str) -> bool:
    """Whether the catalogues know the key; for names that come from data, such as a plan or a transaction type."""
    area, _, name = key.partition(".")
    return name in catalogue(LANGUAGES[0], area)


@cache
def catalogue(language: str, area: str) -> Mapping[str, str]:
    """One area's texts by dotted name, as their language sets them."""
    content = yaml.safe_load((CATALOGUES / language / f"{area}.yml").read_text(encoding="utf-8"))
    return {name: typeset(message, language) for name, message in _flat("", content)}


def typeset(message: str, language: str) -> str:
    """A text that was written with ordinary spaces, as its language sets it."""
    return typography.french(message) if language == "fr" else message


def _flat(prefix: str, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in content.items():
        pairs += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", str(value))]
    return pairs


class _OfThisDrawing(threading.local):
    language: str | None = None


_known = _OfThisDrawing()


@contextmanager
def one_language() -> Iterator[None]:
    """Within the block the language is looked up once: every text asks for it, and one drawing of a page is in one language."""
    before = _known.language
    _known.language = before or _looked_up()
    try:
        yield
    finally:
        _known.language = before


def look_again() -> None:
    """The switch has been drawn, which may have been set by an address: from here on its language counts."""
    if _known.language is not None:
        _known.language = _looked_up()


def language() -> str:
    """The reader's language: the switch, else `?lang=`, else the browser's, else English."""
    return _known.language or _looked_up()


def language_of_the_address() -> str:
    """The language of `?lang=`, else the browser's, whatever the switch says."""
    found = _in_the_address()
    return found if found in LANGUAGES else browser_language()


def _looked_up() -> str:
    switched = _switched()
    return switched if switched in LANGUAGES else language_of_the_address()


def _switched() -> str | None:
    return st.session_state.get(LANGUAGE_PARAMETER)


def _in_the_address() -> str | None:
    return st.query_params.get(LANGUAGE_PARAMETER)


def browser_language() -> str:
    """The language that the browser asks for, where the app speaks it; else English."""
    wanted = (st.context.locale or "")[:2].lower()
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def browser_writes_alike() -> bool:
    """Whether the browser, which writes the numbers of some tables by itself, writes them as the page does."""
    return st.context.locale in WRITES_ALIKE[language()]
