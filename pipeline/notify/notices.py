"""What a notice says, in the words of one language: a held candidate, a damaged state, an incident, a rule on a figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from babel.dates import format_date, format_datetime

from pipeline import plurals
from pipeline.notify import app_words
from pipeline.notify.event import Notice
from pipeline.notify.notice_texts import NOTICE_TEXTS

_RUN = re.compile(r"\brun (\d+)")
SHARES = ("share", "allowed", "change")
LINES = ("replaces", "body", "next")
"""The last part of the keys; a line about what was replaced stands only where something was."""


class Wording(Protocol):
    """Figures, days and the language; the mail's words."""

    language: str

    def number(self, value: int | None) -> str:
        """A count."""

    def day(self, day: date | None) -> str:
        """A day."""

    def value(self, value: float, unit: str) -> str:
        """A figure in its unit."""


@dataclass(frozen=True)
class Lines:
    """The sentences of a notice: first what was found, one a line, then what it means and what to do."""

    reasons: tuple[str, ...]
    lines: tuple[str, ...]


def title(notice: Notice, words: Wording) -> str:
    """What happened, in one line."""
    return _text(f"{notice.kind}.title", notice.values, words)


def lines(notice: Notice, words: Wording) -> Lines:
    """What is found, what it means, and what to do."""
    texts = NOTICE_TEXTS[words.language]
    reasons = tuple(_text(f"reason.{reason['rule']}", reason, words) for reason in notice.reasons)
    known = (f"{notice.kind}.{part}" for part in LINES if part != "replaces" or notice.values.get("replaced"))
    return Lines(reasons, tuple(_text(key, notice.values, words) for key in known if key in texts))


def _text(key: str, values: Mapping[str, Any], words: Wording) -> str:
    shown = {name: _shown(name, value, values, words) for name, value in values.items()}
    if "comparison" in values:
        shown["condition"] = _condition(values, shown, words)
    return NOTICE_TEXTS[words.language][key].format(**shown)


def _condition(values: Mapping[str, Any], shown: Mapping[str, str], words: Wording) -> str:
    """What a rule says; the threshold of a change is a share, and the change that was found stands beside it."""
    comparison, threshold = values["comparison"], values["threshold"]
    unit = "share" if comparison.startswith("change") else str(values["unit"])
    texts = NOTICE_TEXTS[words.language]
    says = texts[f"condition.{comparison}"].format(threshold=words.value(threshold, unit))
    return f"{says} {texts['condition.found'].format_map(shown)}" if "change" in values else says


def _shown(name: str, value: Any, values: Mapping[str, Any], words: Wording) -> str:
    """A plain value as a reader of that language writes it; a label is a text by language, `where` are filters."""
    if name == "where" and isinstance(value, Mapping):
        return f" ({app_words.segment(value, words.language)})" if value else ""
    if name == "before" and values.get("rule") == "demo_over_bank":
        return app_words.source(str(value), words.language)
    if name == "replaced":
        return _RUN.sub(lambda found: NOTICE_TEXTS[words.language]["run"].format(run=found[1]), str(value))
    if isinstance(value, Mapping):
        return str(value[words.language])
    if name in SHARES:
        return words.value(value, "share")
    if isinstance(value, float):
        return words.value(value, str(values.get("unit", "")))
    if name == "hours":
        return plurals.length(value, "hour", words.language)
    if isinstance(value, int):
        return words.number(value) if name != "run" else str(value)
    if name == "point" and values.get("grain") == "month" and value:
        return str(format_date(date.fromisoformat(str(value)), "MMMM y", locale=words.language))
    return _moment(str(value), words) if name in ("found", "before", "point", "since", "at") and value else str(value or "")


def _moment(text: str, words: Wording) -> str:
    """A day or a moment out of its ISO text; any other text as it is."""
    try:
        return words.day(date.fromisoformat(text)) if len(text) == len("2026-01-31") else _in_full(text, words.language)
    except ValueError:
        return text


def _in_full(text: str, language: str) -> str:
    return str(format_datetime(datetime.fromisoformat(text), "d MMMM y HH:mm", locale=language))
