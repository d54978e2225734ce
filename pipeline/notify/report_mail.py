"""A report as a mail: figures in words, bars of plain HTML; nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from babel.dates import format_date

from pipeline import plurals
from pipeline.data_problems import in_words
from pipeline.marts.thin_tail import SHARE
from pipeline.notify import app_words
from pipeline.notify.event import Figure
from pipeline.notify.report_texts import REPORT_TEXTS

WIDEST = 100  # percent of a bar's cell
ENOUGH = 30  # below this n a share is grey and said to be of too few


class Wording(Protocol):
    """Figures and days in a language; the mail's words."""

    language: str

    def number(self, value: int | None) -> str:
        """A count."""

    def day(self, day: date | None) -> str:
        """A day."""

    def value(self, value: float, unit: str) -> str:
        """A figure in its unit."""

    def figure(self, figure: Figure) -> Any:
        """One headline figure in words."""


def word(language: str, name: str, *, count: int | None = None, **values: Any) -> str:
    """A text of the report; where it has forms, that of `count`."""
    return REPORT_TEXTS[language][name if count is None else f"{name}.{plurals.form(count, language)}"].format(**values)


def title(report: Mapping[str, Any], words: Wording) -> str:
    """Of which week or month the report is."""
    last = date.fromisoformat(report["last"])
    month = _month(last, words.language)
    return word(words.language, f"title.{report['frequency']}", last=words.day(last), month=month)


def shown(report: Mapping[str, Any], words: Wording) -> dict[str, Any]:
    """Everything that the templates put into place, in the words of one language."""
    language = words.language

    def told(name: str, **values: Any) -> str:
        return word(language, name, **values)

    return {
        "heading": title(report, words),
        "of_whom": _of_whom(report, language),
        "counted": told(f"counted.{report['frequency']}"),
        "figures": [words.figure(Figure.from_json(figure)) for figure in report["headline"]],
        "churn": [_split(split, words) for split in report["churn"]],
        "thin": thin_days(report.get("thin"), words),  # none in a letter that an older neopulse left waiting
        "problems": _problems(report["problems"], words),
        "link": report["link"],
        "is_on_the_page": report.get("is_on_the_page", False),
        "told": told,
        "frequency": told(report["frequency"]),
    }


def _of_whom(report: Mapping[str, Any], language: str) -> str:
    if report["countries"] is None:
        return word(language, "of_all")
    return word(
        language, "of_some", countries=", ".join(app_words.value("country", code, language) for code in report["countries"])
    )


def _split(split: Mapping[str, Any], words: Wording) -> dict[str, Any]:
    """One table of bars; a bar's length is its share of the longest one."""
    longest = max((row["value"] or 0 for row in split["rows"]), default=0) or 1
    month = _month(date.fromisoformat(split["month"]), words.language)
    by = word(words.language, f"by.{split['by']}")
    return {
        "title": word(words.language, "churn", month=month, by=by),
        "shown": word(words.language, "shown", shown=words.number(len(split["rows"])), total=words.number(split["total"])),
        "rows": [_bar(split["by"], row, longest, words) for row in split["rows"]],
    }


def _bar(by: str, row: Mapping[str, Any], longest: float, words: Wording) -> dict[str, Any]:
    name = app_words.value(by, row["name"], words.language)
    if row["value"] is None:
        return {"name": name, "value": "", "width": 0, "note": word(words.language, "withheld"), "is_thin": True}
    is_thin = row["n"] is not None and row["n"] < ENOUGH
    note = word(words.language, "n", n=words.number(row["n"]))
    if row["low"] is not None:
        note = f"{words.value(row['low'], 'share')} – {words.value(row['high'], 'share')}, {note}"
    return {
        "name": name,
        "value": words.value(row["value"], "share"),
        "width": max(1, round(WIDEST * row["value"] / longest)) if row["value"] else 0,
        "note": f"{note}, {word(words.language, 'thin')}" if is_thin else note,
        "is_thin": is_thin,
    }


def thin_days(thin: Mapping[str, Any] | None, words: Wording) -> str:
    """Which days at the end of the data hold far less than usual, and what follows; nothing where there are none."""
    if thin is None:
        return ""
    first, last = (words.day(date.fromisoformat(thin[end])) for end in ("first", "last"))
    name = "thin_day" if first == last else "thin_tail"
    return word(words.language, name, first=first, last=last, share=words.value(SHARE, "share"))


def _problems(problems: Mapping[str, Any] | None, words: Wording) -> dict[str, Any]:
    if problems is None:
        return {"text": word(words.language, "problems.confined"), "reasons": []}
    if not problems["kinds"]:
        return {"text": word(words.language, "problems.none"), "reasons": []}
    rows, kinds = words.number(problems["rows"]), words.number(problems["kinds"])
    text = word(words.language, "problems.some", count=problems["rows"], rows=rows, kinds=kinds)
    reasons = [f"{words.number(each['rows'])} · {in_words(each['reason'], words.language)}" for each in problems["reasons"]]
    return {"text": text, "reasons": reasons}


def _month(day: date, language: str) -> str:
    return str(format_date(day, "LLLL y" if language == "en" else "MMMM y", locale=language))
