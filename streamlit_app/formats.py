"""Numbers and dates as the reader's language writes them. Rates come in as fractions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_interval, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from pipeline import app_texts
from streamlit_app import messages

LOCALES = {"en": "en_GB", "fr": "fr_FR"}
MONEY = {"en": "¤#,##0", "fr": "#,##0\u00a0¤"}
PERCENT = {"en": "%", "fr": "\u202f%"}
NO_COUNTRY = "ZZ"  # by ISO 3166, for whoever needs a code
MONTH = re.compile(r"\d{4}-\d{2}")
WORDS = re.compile(r"[^\W_](?:[\w .,'’()+/–-]*[\w)+])?")
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")  # what markdown may read as more than itself, unless a backslash is before it
# What Streamlit reads in a text in spite of backslashes: icons and emoji, addresses of pages and people, arrows.
READ_ANYWAY = re.compile(r":(?=[\w+./-]+:|//)|(?i:www)(?=\.)|@(?=[\w-])|(?<!\S)(?=(?:<->|->|<-|--|[<>~]=)(?!\S))")
NOT_JOINED = "\u2060"  # no width, and no line breaks at it
ICON = ":material/"  # which Streamlit looks for in code too
# Marks of direction, spaces of no width, and controls but those that part words. Those that join letters and emoji stay.
UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
NOTHING = "–"
# A page writes the same numbers and days many times over, and each takes Babel a tenth of a millisecond. What is kept for 0.0
# would be found for -0.0 too, so that a zero is added to what may be one.
KEPT = 5_000
_decimal, _percent, _currency, _date, _unit = (
    lru_cache(KEPT, typed=True)(write) for write in (format_decimal, format_percent, format_currency, format_date, format_unit)
)
MINUS = "−"


def number(value: float | None) -> str:
    """A count: 18,766."""
    return NOTHING if value is None else _decimal(round(value), locale=_locale())


def decimal(value: float | None, digits: int = 2) -> str:
    """A ratio: 1.42."""
    return NOTHING if value is None else _decimal(value + 0.0, format=_pattern(digits), locale=_locale())


def share(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage: 0.054 is 5.4%."""
    if value is None:
        return NOTHING
    return _percent(value + 0.0, format=_pattern(digits) + PERCENT[messages.language()], locale=_locale())


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """A proportion's interval: 4.9–5.9%."""
    if low is None or high is None:
        return NOTHING
    return f"{decimal(low * 100, digits)}–{share(high, digits)}"


def exactly(value: float) -> str:
    """A number with all the digits that it has: 1,100 or 0.0375."""
    return str(_decimal(value + 0, format="#,##0.########", locale=_locale()))


def signed_number(value: float | None) -> str:
    """A change of a count: +1,204 or −87."""
    return NOTHING if value is None else _sign(value, 0) + number(abs(value))


def signed_decimal(value: float | None, digits: int = 2) -> str:
    """A change of a ratio: +0.12."""
    return NOTHING if value is None else _sign(value, digits) + decimal(abs(value), digits)


def signed_points(value: float | None, digits: int = 1) -> str:
    """A change of a share in percentage points: +0.4 pp."""
    if value is None:
        return NOTHING
    return _sign(value * 100, digits) + messages.t("common.points", value=decimal(abs(value) * 100, digits))


def signed_share(value: float | None, digits: int = 1) -> str:
    """A relative change: +3.1%."""
    return NOTHING if value is None else _sign(value * 100, digits) + share(abs(value), digits)


def money(value: float | None, currency: str = "USD") -> str:
    """An amount without cents: US$12,345."""
    if value is None:
        return NOTHING
    return _currency(value, currency, format=MONEY[messages.language()], locale=_locale(), currency_digits=False)


def day(value: date | None) -> str:
    """A day: 15 May 2019."""
    return NOTHING if value is None else _date(value, format="d MMM y", locale=_locale())


def spans(days: Sequence[date], *, most: int) -> tuple[list[str], int]:
    """Days in their order, those in a row as one (6 Jan 2019, 24–26 Dec 2019), and how many are left untold."""
    rows: list[list[date]] = []
    for one in days:
        if rows and one - rows[-1][-1] == timedelta(days=1):
            rows[-1].append(one)
        else:
            rows.append([one])
    told = [day(row[0]) if len(row) == 1 else format_interval(row[0], row[-1], "yMMMd", locale=_locale()) for row in rows[:most]]
    return told, sum(map(len, rows[most:]))


def month(value: date | None) -> str:
    """A month: May 2019."""
    return NOTHING if value is None else _date(value, format="MMM y", locale=_locale())


def moment(value: datetime | None, zone: str = "UTC") -> str:
    """A moment in a time zone: 15 May 2019, 18:22."""
    if value is None:
        return NOTHING
    return format_datetime(value, format="d MMM y, HH:mm", tzinfo=ZoneInfo(zone), locale=_locale())


def clock(value: datetime, zone: str = "UTC") -> str:
    """The time of day of a moment in a time zone: 18:22:03."""
    return format_datetime(value, format="HH:mm:ss", tzinfo=ZoneInfo(zone), locale=_locale())


def unbroken(text: str) -> str:
    """A few words that stay on one line."""
    return text.replace(" ", "\u00a0")


def duration(seconds: float | None) -> str:
    """How long something took: 42 sec, 3 min."""
    return NOTHING if seconds is None else format_timedelta(round(seconds), threshold=1.5, format="short", locale=_locale())


def days(value: int) -> str:
    """A number of days: 1 day, 90 days."""
    return length(value, "day")


def length(value: int, grain: str) -> str:
    """A number of hours, days, weeks or months: 1 month, 12 weeks."""
    return _unit(value, f"duration-{grain}", length="long", locale=_locale())


def weekday(number: int) -> str:
    """The name of a day of the week; 0 is Monday."""
    return str(Locale.parse(_locale()).days["stand-alone"]["wide"][number])


def country(alpha_2: str) -> str:
    """The name of a country by its two letters; the letters where they are no country's."""
    if alpha_2 == "unknown":
        return messages.t("common.unknown")
    if alpha_2 == NO_COUNTRY:  # which Babel calls unknown too: two groups would read alike
        return alpha_2
    return str(Locale.parse(_locale()).territories.get(alpha_2, alpha_2))


def dimension_value(dimension: str, value: str) -> str:
    """The readable name of a country, plan, OS, age band or month of joining; the value itself where the catalogues know none."""
    if dimension == "country":
        return country(value)
    if dimension == "signup_cohort" and MONTH.fullmatch(value):
        return month(date.fromisoformat(f"{value}-01"))
    key = f"common.values.{dimension}.{value}"
    return messages.t(key) if messages.has(key) else value


def service(name: str) -> str:
    """Who served a step, by the words of the catalogues where these have some; products keep their names."""
    key = f"common.services.{name}"
    return messages.t(key) if messages.has(key) else name or NOTHING


def rule(text: str) -> str:
    """The activity rule in force, which the settings write in English, in the reader's language."""
    return app_texts.activity_rule(
        text,
        say=lambda key, **values: messages.t(f"common.rule.{key}", **values),
        either=messages.t("common.or"),
        number=lambda amount: str(_decimal(amount, locale=_locale())),
    )


def either(names: Sequence[str]) -> str:
    """Names as alternatives: France, Germany or Spain."""
    *others, last = names or [""]
    return f"{', '.join(others)}{messages.t('common.or')}{last}" if others else last


def yes_or_no(value: bool) -> str:
    """What is so or is not."""
    return messages.t("common.yes" if value else "common.no")


def _sign(value: float, digits: int) -> str:
    """The sign of what is written; a change that rounds to nothing has none."""
    written = round(value, digits)
    return "+" if written > 0 else MINUS if written < 0 else ""


def _pattern(digits: int) -> str:
    return "#,##0" + ("." + "0" * digits if digits else "")


def _locale() -> str:
    return LOCALES[messages.language()]


def visible(text: str) -> str:
    """Somebody's text in one line, without what cannot be seen in it or turns the direction of what follows."""
    return " ".join(UNSEEN.sub("", text).split())


def literal(text: str) -> str:
    """Somebody else's text as it was written: no page reads it as a link, a picture, a formula or an icon."""
    shown = (visible(text) or NOTHING).replace(ICON, f":{NOT_JOINED}{ICON[1:]}")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"


def plain(text: str) -> str:
    """Somebody's own words in the type of the page, as they were written: nothing in them is a link, an icon or a formula."""
    shown = visible(text) or NOTHING
    return PUNCTUATION.sub(r"\\\g<0>", READ_ANYWAY.sub(rf"\g<0>{NOT_JOINED}", shown))


def in_words(text: str) -> str:
    """A name from the bank's files within a sentence: as it is where it is of words alone, else as `literal` has it."""
    return text if WORDS.fullmatch(text) and not READ_ANYWAY.search(text) else literal(text)
