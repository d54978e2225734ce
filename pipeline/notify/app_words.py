"""Customers, their segments and the activity rule in a letter, called as the app calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from pipeline import app_texts
from pipeline.settings import PROJECT


def value(dimension: str, code: str, language: str) -> str:
    """A value as the app calls it; the value itself where its catalogues know none."""
    if dimension == "country" and code in (territories := Locale.parse(language).territories):
        return str(territories[code])
    if dimension == "signup_cohort":
        with suppress(ValueError):  # "unknown" is no month
            return str(format_date(date.fromisoformat(f"{code}-01"), "MMM y", locale=language))
    return _text("unknown" if code == "unknown" else f"values.{dimension}.{code}", language) or code


def segment(chosen: Mapping[str, Sequence[str]], language: str) -> str:
    """Filters as the app says them: "Country: France or Spain, Plan: Metal"."""
    named = _text("named", language) or "{name}: {value}"
    return ", ".join(
        named.format(
            name=_text(f"dimensions.{dimension}", language) or dimension,
            value=_either([value(dimension, code, language) for code in codes], language),
        )
        for dimension, codes in chosen.items()
    )


def source(name: str, language: str) -> str:
    """Where the rows come from, as the app says it: "the bank's files"."""
    return _text(f"sources.{name.replace(' ', '_')}", language) or name


def rule(text: str, language: str) -> str:
    """The activity rule as the app says it: "transactions COMPLETED, sauf FEE"."""

    def say(key: str, **values: Any) -> str:
        return (_text(f"rule.{key}", language) or key).format(**values)

    def number(amount: float) -> str:
        return str(format_decimal(amount, locale=language))

    return app_texts.activity_rule(text, say=say, either=_text("or", language) or " | ", number=number)


def _either(names: Sequence[str], language: str) -> str:
    *others, last = names
    return f"{', '.join(others)}{_text('or', language) or ' | '}{last}" if others else last


def _text(key: str, language: str) -> str | None:
    return app_texts.text(PROJECT / "streamlit_app", "common", key, language)
