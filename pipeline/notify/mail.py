"""An event as a mail: subject, text and HTML in the language of its readers, and the message that carries them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import plurals
from pipeline.errors import ConfigurationError, without_controls
from pipeline.mail_addresses import unusable
from pipeline.notify import app_words, notices, report_mail
from pipeline.notify.event import Event, Figure, Rows
from pipeline.notify.texts import TEXTS
from pipeline.settings import DEMO_BANK

LOCALES = {"en": "en_GB", "fr": "fr_FR"}
DIGITS = {"share": 3, "ratio": 2, "usd": 2}  # behind the point of a figure as a mail writes it, by unit
MINUS = "−"  # as on the pages
IN_SUBJECT = ("customers", "share")  # the first figure of each of these units goes into the subject

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=lambda name: bool(name and name.endswith(".html.j2")),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Mail:
    """What a reader sees."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class ShownFigure:
    """One figure in words: its label, its value, and what qualifies it."""

    label: str
    value: str
    notes: tuple[str, ...]


def render(event: Event, language: str) -> Mail:
    """The mail of an event; the same event makes the same mail."""
    words = Words(language)
    if event.report is not None:
        return _report(event, event.report, words)
    content = {
        "language": language,
        "event": _in_words(event, language),
        "is_demo": event.source == DEMO_BANK,
        "title": words.title(event),
        "thin": report_mail.thin_days(event.thin, words),
        "figures": [words.figure(figure) for figure in event.headline],
        "notice": notices.lines(event.notice, words) if event.notice else None,
        "as_of": words.day(event.as_of),
        "rows": words.rows(event.rows),
        "duration": words.duration(event.seconds),
        "word": words.word,
        "number": words.number,
        "days": words.days,
    }
    return _filled("mail", content, words.subject(event))


def _report(event: Event, report: Mapping[str, Any], words: Words) -> Mail:
    content = {
        "language": words.language,
        "event": _in_words(event, words.language),
        "is_demo": event.source == DEMO_BANK,
        "word": words.word,
        "number": words.number,
        "days": words.days,
        **report_mail.shown(report, words),
    }
    return _filled("report", content, words.subject(event))


def _filled(template: str, content: Mapping[str, Any], subject: str) -> Mail:
    """The mail of two templates, without signs that a mail server refuses or that no text can hold."""
    parts = (_TEMPLATES.get_template(f"{template}.{form}.j2").render(content) for form in ("txt", "html"))
    return Mail(*map(without_controls, (subject, *parts)))


def _in_words(event: Event, language: str) -> Event:
    return replace(event, activity_rule=app_words.rule(event.activity_rule, language))


def compose(event: Event, *, sender: str, recipients: Sequence[str], language: str) -> bytes:
    """The message as it would travel, the same bytes for the same event.

    Raises ConfigurationError where an address cannot be used.
    """
    mail = render(event, language)
    message = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))  # for which nothing has to be asked of a server
    message["Subject"] = mail.subject
    message["From"] = _addresses([sender], "NEOPULSE_MAIL_FROM")
    message["To"] = _addresses(recipients, "NEOPULSE_MAIL_TO")
    message["Date"] = format_datetime(event.at)
    message["Message-ID"] = f"<{worldwide_key(event)}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message.set_boundary(f"=_neopulse_{_digest(event)}")
    return message.as_bytes()


def worldwide_key(event: Event) -> str:
    """The event's key, set apart from that of another installation whose runs have the same numbers."""
    return f"{event.key}.{_digest(event)[:8]}"


def _digest(event: Event) -> str:
    """The same for the same event; the moment sets runs of the same number in another home apart."""
    return hashlib.sha256(f"{event.key} {event.at.isoformat()}".encode()).hexdigest()[:24]


def _addresses(addresses: Sequence[str], setting: str) -> str:
    """The addresses of a setting as one header value."""
    if unusable(addresses):
        raise ConfigurationError(
            "A mail address cannot be used",
            where=setting,
            safe="No mail was written",
            next=f"mend {setting}, then neopulse check",
        )
    return ", ".join(addresses)


class Words:
    """Figures, days and sentences in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = TEXTS[language]
        self._locale = Locale.parse(LOCALES[language])

    def word(self, name: str, /, *, count: int | None = None, **values: Any) -> str:
        """A text; where it has forms, that of `count`."""
        return self._texts[name if count is None else f"{name}.{plurals.form(count, self.language)}"].format(**values)

    def number(self, value: int | None) -> str:
        return "" if value is None else str(format_decimal(value, locale=self._locale))

    def days(self, value: int) -> str:
        return plurals.length(value, "day", self.language)

    def day(self, day: date | None) -> str:
        return "" if day is None else str(format_date(day, "long", locale=self._locale))

    def rows(self, rows: Rows | None) -> str:
        """What is known of the rows, in one line."""
        known = [] if rows is None else [(name, getattr(rows, name)) for name in ("read", "rejected", "written")]
        return ", ".join(
            self.word(f"rows.{name}", count=count, n=self.number(count)) for name, count in known if count is not None
        )

    def duration(self, seconds: float | None) -> str:
        """How long a run took; nothing where nobody measured it."""
        if seconds is None:
            return ""
        minutes, rest = divmod(round(seconds), 60)
        if minutes:
            return self.word("minutes", minutes=self.number(minutes), seconds=rest)
        return self.word("seconds", n=format_decimal(seconds, "#,##0.0", locale=self._locale))

    def title(self, event: Event) -> str:
        if event.report is not None:
            return report_mail.title(event.report, self)
        if event.notice is not None:
            return notices.title(event.notice, self)
        step = event.failure.step if event.failure else ""
        return self.word(f"title.{event.status}", as_of=self.day(event.as_of), run_id=event.run_id, step=step)

    def subject(self, event: Event) -> str:
        if event.notice is not None:
            subject = f"neopulse{self.word('colon')}{self.title(event)}"
        elif event.failure is not None:
            subject = self.word("subject.failure", run_id=event.run_id, step=event.failure.step)
        else:
            figures = self.word("semicolon").join(self._in_subject(event))
            figures = figures or self.word("subject.no_figures", version=event.version)
            subject = self.word("subject.success", figures=figures, as_of=self.day(event.as_of))
        mark = self.word("subject.demo") + " " if event.source == DEMO_BANK else ""
        return " ".join((mark + subject).split())  # one line, whatever an error or a name brought along

    def _in_subject(self, event: Event) -> list[str]:
        """The first count and the first share that there are, with their period where it is not the day itself."""
        known = [figure for figure in event.headline if figure.value is not None]
        first = {figure.unit: figure for figure in reversed(known)}
        return [self._in_brief(first[unit]) for unit in IN_SUBJECT if unit in first]

    def _in_brief(self, figure: Figure) -> str:
        shown = self.figure(figure)
        return f"{shown.label} {shown.value}" + (f" {self._period(figure)}" if figure.period != "day" else "")

    def figure(self, figure: Figure) -> ShownFigure:
        value = self.value(figure.value, figure.unit) if figure.value is not None else self.word("none")
        return ShownFigure(figure.label[self._locale.language], value, tuple(self._notes(figure)))

    def _notes(self, figure: Figure) -> list[str]:
        notes = [self._period(figure)]
        if figure.low is not None and figure.high is not None:
            low, high = self.value(figure.low, figure.unit), self.value(figure.high, figure.unit)
            notes.append(self.word("interval", low=low, high=high))
        if figure.n is not None:
            notes.append(self.word("n", n=self.number(figure.n)))
            if figure.n < report_mail.ENOUGH and figure.value is not None:
                notes.append(report_mail.word(self.language, "thin"))
        if figure.value is not None and figure.before is not None:
            change = self._change(figure.value - figure.before, figure.unit)
            notes.append(self.word(f"before.{figure.period}", change=change))
        return notes + ([self.word("provisional")] if figure.provisional else [])

    def _period(self, figure: Figure) -> str:
        month = str(format_date(figure.until, "MMMM y", locale=self._locale))
        return self.word(f"period.{figure.period}", until=self.day(figure.until), month=month)

    def value(self, value: float, unit: str) -> str:
        """A figure in its unit."""
        formats: dict[str, Callable[[], str]] = {
            "share": lambda: format_decimal(value, self._percent_pattern, locale=self._locale),
            "ratio": lambda: format_decimal(value, "#,##0.00", locale=self._locale),
            "usd": lambda: format_currency(value, "USD", locale=self._locale),
        }
        written = formats.get(unit, lambda: format_decimal(round(value), locale=self._locale))()
        return str(written).replace("-", MINUS)

    def _change(self, change: float, unit: str) -> str:
        """With its sign; what rounds to nothing has none."""
        written = round(change, DIGITS.get(unit, 0)) + 0.0
        sign, size = "+" if written > 0 else MINUS if written < 0 else "", abs(written)
        if unit == "share":
            return f"{sign}{format_decimal(size * 100, '#,##0.0', locale=self._locale)} {self.word('points')}"
        return sign + self.value(size, unit)

    @property
    def _percent_pattern(self) -> str:
        return str(self._locale.percent_formats[None].pattern).replace("#,##0", "#,##0.0")
