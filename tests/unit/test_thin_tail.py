"""Unusually thin last days: found on series laid out by hand, told to whom they concern, and by no withheld figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from page_kit import opened, words
from test_pages import whole_app
from test_reports import ADA, House, house

from pipeline import cli, listings, reporting
from pipeline.errors import ConfigurationError
from pipeline.marts import Reader, ThinTail
from pipeline.marts.thin_tail import read, thin_tail
from pipeline.marts.withholding import withheld_tail
from pipeline.notify.letter import Letter
from pipeline.notify.mail import render
from pipeline.notify.report_texts import REPORT_TEXTS
from pipeline.runs.reports import WEEKLY
from streamlit_app import data, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import headline, thin_days

AS_OF = date(2019, 5, 16)  # a Thursday
WEEK = [240, 240, 240, 240, 240, 200, 100]  # Friday to Thursday; as_of is its last day
QUIET = [70, 70, 70, 70, 70, 70, 70]
__all__ = ["house"]


def tail(*last: int, weeks: list[int] | None = None, until: date = AS_OF) -> ThinTail | None:
    """Of nine ordinary weeks whose last days are replaced."""
    active = (weeks or WEEK) * 9
    active[len(active) - len(last) :] = last
    return thin_tail(np.array(active, dtype=np.int64), as_of=until)


def test_ordinary_weeks_have_no_thin_tail_though_a_weekday_holds_less_than_half_of_the_day_before() -> None:
    """100 after 200 after 240 is what every week of them looks like."""
    assert tail() is None


def test_the_tail_begins_after_the_last_day_that_is_as_usual() -> None:
    """144, 100, 119 and 59 of usually 240, 240, 200 and 100: 60 % is as usual, 42, 59.5 and 59 % are not."""
    found = tail(144, 100, 119, 59)
    assert found == ThinTail(date(2019, 5, 14), AS_OF, 100 / 240, 119 / 200, 59)
    assert found.days == 3


def test_a_thin_day_in_the_middle_is_no_tail() -> None:
    assert tail(3, 3, 240, 200, 100) is None
    assert tail(3, 240, 200, 20) == ThinTail(AS_OF, AS_OF, 0.2, 0.2, 20)


def test_a_holiday_among_the_weeks_before_does_not_make_a_day_usual_that_is_not() -> None:
    """The median of eight Thursdays, of which two were empty, is still that of the six others."""
    active = WEEK * 9
    active[-15], active[-29], active[-1] = 0, 0, 59
    found = thin_tail(np.array(active, dtype=np.int64), as_of=AS_OF)
    assert found is not None
    assert (found.first, found.high) == (AS_OF, 0.59)


def test_a_small_bank_does_not_cry_wolf() -> None:
    assert tail(0, 0, weeks=[49] * 7) is None
    assert tail(0, 0, weeks=[50] * 7) == ThinTail(AS_OF - timedelta(days=1), AS_OF, 0.0, 0.0, 0)


def test_a_history_of_less_than_eight_weeks_and_a_day_is_not_judged() -> None:
    assert thin_tail(np.array([240] * 55 + [0], dtype=np.int64), as_of=AS_OF) is None
    assert thin_tail(np.array([], dtype=np.int64), as_of=AS_OF) is None
    assert thin_tail(np.array([240] * 56 + [0], dtype=np.int64), as_of=AS_OF) is not None


class Counted:
    """A database of one table, which answers every question with it."""

    def __init__(self, counts: dict[date, int]) -> None:
        self.table = pa.table({"date": pa.array(counts, pa.date32()), "active_customers": pa.array(counts.values(), pa.int32())})

    def query(self, _: str, parameters: dict[str, object]) -> pa.Table:
        assert (parameters["since"], parameters["as_of"]) == (date(2019, 1, 24), AS_OF)
        return self.table


def test_days_without_a_row_are_days_without_anybody() -> None:
    counts = {AS_OF - timedelta(days=back): 240 for back in range(111, 2, -1)}
    found = read(Counted(counts), as_of=AS_OF, countries=None)  # type: ignore[arg-type]
    assert found == ThinTail(AS_OF - timedelta(days=2), AS_OF, 0.0, 0.0, 0)
    assert read(Counted({}), as_of=AS_OF, countries=None) is None  # type: ignore[arg-type]


def test_a_viewer_gets_no_share_that_tells_of_fewer_than_ten() -> None:
    of_nine, of_none = (ThinTail(AS_OF, AS_OF, share, share, fewest) for share, fewest in ((0.04, 9), (0.0, 0)))
    hidden = withheld_tail(of_nine)
    assert hidden == ThinTail(AS_OF, AS_OF, None, None, None)
    assert withheld_tail(of_none) == of_none
    assert withheld_tail(None) is None


@pytest.fixture
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")


@pytest.mark.usefixtures("in_english")
def test_the_banner_names_the_days_and_how_much_of_the_usual_they_hold() -> None:
    six = ThinTail(date(2019, 5, 11), AS_OF, 0.0298, 0.559, 7)
    beginning = "**The last 6 days (11 May 2019 to 16 May 2019) hold 3–56% of their usual active customers.** Loading may not be"
    assert thin_days.in_words(six).startswith(beginning)
    one = thin_days.in_words(ThinTail(AS_OF, AS_OF, None, None, None))
    assert one.startswith("**The last day (16 May 2019) holds less than 60% of its usual active customers.** ")


SIX = ThinTail(date(2019, 5, 5), date(2019, 5, 10), 0.05, 0.56, 12)


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_everybody_reads_of_it_above_the_page_and_on_the_cards_of_the_last_days(
    monkeypatch: pytest.MonkeyPatch,
    come_in: Callable[..., None],
) -> None:
    monkeypatch.setattr(data, "thin_tail", lambda: SIX)
    come_in(User("vera", Role.VIEWER))
    assert [warning.value for warning in whole_app().warning if "The last 6 days" in warning.value] != []
    card = "few active since 5 May 2019: may still "
    notes = [note.value for note in opened("overview").markdown if card in note.value]
    assert len(notes) == len(headline.OF_THE_LAST_DAYS) - 1  # the churn rate is of April
    assert sum(f"{card}rise" in note for note in notes) == 4
    short = "It may still change: few were active since 5 May 2019."
    assert words(opened("activity")).count(short) == 3  # DAU, WAU and MAU are one card; L28 of other days is to a month's end
    assert [words(opened("activity", to=day)).count(short) for day in ("2019-05-05", "2019-05-04", "2019-01-31")] == [2, 0, 0]
    assert words(opened("overview")).count(short) == 1


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_a_confined_reader_is_told_of_their_customers() -> None:
    found = data.marts.reader(data.published())
    days = found.answer(data.Question("dau", countries=("FR",))).table["value"].to_numpy().astype(np.int64)
    assert found.thin_tail(countries=("FR",)) == thin_tail(days, as_of=data.published().as_of)


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_where_the_counts_of_some_countries_stay_in_bigquery_nothing_is_said_and_all_else_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stays(*_: object, **__: object) -> None:
        raise ConfigurationError("mart_daily_counts has 9 rows and stays in BigQuery", where="published tables", next="raise it")

    monkeypatch.setattr("pipeline.marts.thin_tail.read", stays)
    found = data.marts.reader(data.published())
    assert found.thin_tail(countries=("FR",)) is None


def test_a_letter_says_it_where_its_period_has_such_days(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "thin_tail", lambda *_, **__: SIX)
    house.subscribe(ADA, frequency=WEEKLY)  # the week to 5 May
    house.subscribe(ADA)  # April
    house.look()
    reports = [Letter.from_json(delivery.payload).event.report for delivery in house.store.waiting()]
    told = {report["last"]: report["thin"] for report in reports if report is not None}
    assert told == {"2019-05-05": {"first": "2019-05-05", "last": "2019-05-10"}, "2019-04-30": None}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_letter_names_the_days_in_its_language(house: House, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(Reader, "thin_tail", lambda *_, **__: SIX)
    house.subscribe(ADA, frequency=WEEKLY, language=language)
    house.look()
    beginning = REPORT_TEXTS[language]["thin"].partition("{")[0]
    mail = render(house.letters()[ADA].event, language)
    assert beginning in mail.text
    assert beginning.replace("'", "&#39;") in mail.html


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "10 May 2019 holds less than 60.0% of its usual"), ("fr", "Le 10 mai 2019 compte moins de 60,0 % de ses")],
)
def test_one_day_is_no_row_of_days_in_a_letter(house: House, monkeypatch: pytest.MonkeyPatch, language: str, told: str) -> None:
    report = {"first": "2019-05-10", "last": "2019-05-10"}
    monkeypatch.setattr(reporting, "_thin", lambda *_: report)
    house.subscribe(ADA, frequency=WEEKLY, language=language)
    house.look()
    text = " ".join(render(house.letters()[ADA].event, language).text.split())
    assert told in text.replace("\u202f", " ").replace("\xa0", " ")


def test_the_command_line_names_the_days() -> None:
    assert "each day from 2019-05-05 to 2019-05-10 holds less than 60% of its usual" in listings.thin_tail(SIX)
    one = listings.thin_tail(replace(SIX, first=SIX.last))
    assert one.startswith("2019-05-10 holds less than 60% of its usual")
    assert one.endswith("figures of this day may still rise")


@pytest.mark.xdist_group("the bank of the pages")
def test_the_command_line_names_them_where_the_range_reaches_them(pages_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setattr(Reader, "thin_tail", lambda *_, **__: SIX)
    told = [CliRunner().invoke(cli.main, ["metric", "dau", "--to", day]).output for day in ("2019-05-05", "2019-05-04")]
    assert ["holds less than" in text for text in told] == [True, False]
