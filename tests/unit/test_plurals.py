"""Texts with a number agree with it, in both languages: one row is doubtful, two are, and in French none is of the singular."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pytest

from pipeline.metrics import Metric
from pipeline.notify import notices, report_mail
from pipeline.notify.event import Rows
from pipeline.notify.mail import Words
from pipeline.notify.report_texts import REPORT_TEXTS
from pipeline.notify.texts import TEXTS as MAIL_TEXTS
from pipeline.plurals import FORMS, form, length
from pipeline.sheets.texts import TEXTS as SHEET_TEXTS
from streamlit_app import formats, messages
from streamlit_app.components import chart, early_warnings, problems, restatement_log
from streamlit_app.components.problems import Doubtful
from streamlit_app.data import Answer, Question
from streamlit_app.data_definitions import Cause, Reason
from streamlit_app.views import definitions

BASIS = chart.Basis(date(2019, 5, 15), "v0007", "demo bank", 90, "COMPLETED transactions, every type")
NONE = Doubtful(0, 0, Counter(), Counter(), 0, 0, 0, 0, 0)


@pytest.fixture(params=["en", "fr"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(messages, "language", lambda: request.param)
    return str(request.param)


def plain(text: str) -> str:
    """With ordinary spaces."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("spoken", "singular"),
    [("en", {1}), ("fr", {0, 1})],
)
def test_nothing_is_singular_in_french_and_plural_in_english(spoken: str, singular: set[int]) -> None:
    numbers = (0, 1, 2, 10, 11, 21, 101, 1_000_000, 1_000_001)
    assert {number for number in numbers if form(number, spoken) == "one"} == singular


def test_lengths_are_counted_as_the_language_does() -> None:
    assert [length(number, "day", "en") for number in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
    assert [plain(length(number, "hour", "fr")) for number in (0, 1, 2)] == ["0 heure", "1 heure", "2 heures"]


def test_the_header_counts_doubtful_rows_and_their_transactions(language: str) -> None:
    told = {
        rows: plain(problems.in_short(replace(NONE, kept_rows=rows, doubtful_transactions=rows, transactions=100)))
        for rows in (0, 1, 2)
    }
    assert (
        told
        == {
            "en": {
                0: "0 doubtful rows (0 transactions, 0.00% of all)",
                1: "1 doubtful row (1 transaction, 1.00% of all)",
                2: "2 doubtful rows (2 transactions, 2.00% of all)",
            },
            "fr": {
                0: "0 ligne douteuse (0 transaction, 0,00 % du total)",
                1: "1 ligne douteuse (1 transaction, 1,00 % du total)",
                2: "2 lignes douteuses (2 transactions, 2,00 % du total)",
            },
        }[language]
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            1,
            {
                "en": "**1 row is rejected and in no figure**: 1 × rows dated after today. "
                "**1 row is used all the same**, as far as it can be read: 1 × rows without a customer.",
                "fr": "**1 ligne est rejetée et n'entre dans aucun chiffre** : 1 × lignes datées d'après aujourd'hui. "
                "**1 ligne est utilisée malgré tout**, pour ce qui en est lisible : 1 × lignes sans client.",
            },
        ),
        (
            2,
            {
                "en": "**2 rows are rejected and in no figure**: 2 × rows dated after today. "
                "**2 rows are used all the same**, as far as they can be read: 2 × rows without a customer.",
                "fr": "**2 lignes sont rejetées et n'entrent dans aucun chiffre** : 2 × lignes datées d'après aujourd'hui. "
                "**2 lignes sont utilisées malgré tout**, pour ce qui en est lisible : 2 × lignes sans client.",
            },
        ),
    ],
)
def test_overview_says_what_became_of_one_row_and_of_two(language: str, rows: int, told: dict[str, str]) -> None:
    found = Doubtful(rows, rows, Counter(in_the_future=rows), Counter(missing_user_id=rows), 0, 0, 0, 0, 0)
    assert plain(problems.in_words(found)) == told[language]


def test_a_caption_counts_what_is_hidden_and_what_is_withheld(language: str) -> None:
    def end(number: int) -> str:
        words = chart.footnote(pa.table({}), replace(BASIS, withheld=number), hidden=number)
        return plain(" · ".join(words.split(" · ")[3:]))

    assert [end(number) for number in (0, 1, 2)] == {
        "en": [
            "",
            "1 point that may still change is hidden · 1 figure of fewer than 10 customers, or that would tell of one, is "
            "withheld",
            "2 points that may still change are hidden · 2 figures of fewer than 10 customers are withheld, counting those that "
            "would tell of them",
        ],
        "fr": [
            "",
            "1 point qui peut encore changer est masqué · 1 chiffre de moins de 10 clients, ou qui en révélerait un, n'est pas "
            "montré",
            "2 points qui peuvent encore changer sont masqués · 2 chiffres de moins de 10 clients ne sont pas montrés, y compris "
            "ceux qui les révéleraient",
        ],
    }[language]


def test_days_beyond_those_that_are_named_are_counted(language: str) -> None:
    apart = [(date(2019, 1, 1) + timedelta(days=2 * number)).isoformat() for number in range(definitions.MOST_SPANS + 2)]
    ends = [plain(definitions._which(apart[: definitions.MOST_SPANS + left])).rpartition("…")[2] for left in (1, 2)]
    assert (
        ends
        == {
            "en": ["; 1 more day stands in the files", "; 2 more days stand in the files"],
            "fr": [" ; la suite (1 jour) est dans les fichiers", " ; la suite (2 jours) est dans les fichiers"],
        }[language]
    )


def test_a_window_of_one_day_is_one_day(language: str) -> None:
    windows = {1: {"en": "N = 1 day", "fr": "N = 1 jour"}, 30: {"en": "N = 30 days", "fr": "N = 30 jours"}}
    for window, told in windows.items():
        caption = chart.footnote(pa.table({}), replace(BASIS, window=window))
        assert plain(caption).startswith(f"{told[language]} · ")
        assert plain(messages.t("definitions.rule", rule="…", window=formats.days(window))).endswith(f"{told[language]}.")
    assert (
        plain(restatement_log.reason(Reason(Cause.WINDOW, {"was": 1, "now": 90})))
        == {
            "en": "N was 1 day and is 90 days",
            "fr": "N était de 1 jour et est de 90 jours",
        }[language]
    )


def test_one_judged_day_was_off_and_two_were(language: str) -> None:
    def of(off: int) -> str:
        rows = [{"value": 0.1, "by_chance": 0.02, "expected": 0.2, "observed": 0.1}] * off
        metric = Metric("silence_calibration", {}, {}, "share", "mart", "value")
        asked = Question("silence_calibration", kind="error")
        answer = Answer(asked, metric, date(2019, 5, 15), "v0007", "demo bank", 90, "every type", pa.Table.from_pylist(rows))
        return plain(early_warnings.over_the_year(answer))

    beginnings = {
        "en": ("Of the days judged over the last year, 1 in all, **1** was off", "2 in all, **2** were off"),
        "fr": ("Des jours jugés au cours de l'année écoulée, 1 en tout, **1** s'écarte ", "2 en tout, **2** s'écartent "),
    }[language]
    assert [beginning in of(off) for off, beginning in zip((1, 2), beginnings, strict=True)] == [True, True]


def test_a_mail_counts_rows_and_hours() -> None:
    told = [Words("fr").rows(Rows(read=number, rejected=number, written=number)) for number in (0, 1, 2)]
    assert told == [
        "0 lue chez la banque, 0 rejetée, 0 écrite dans le classeur",
        "1 lue chez la banque, 1 rejetée, 1 écrite dans le classeur",
        "2 lues chez la banque, 2 rejetées, 2 écrites dans le classeur",
    ]
    hours = [notices._shown("hours", number, {}, Words("en")) for number in (0, 1, 24)]
    assert hours == ["0 hours", "1 hour", "24 hours"]


@pytest.mark.parametrize(
    ("spoken", "beginnings"),
    [
        ("en", ["0 rows are rejected", "1 row is rejected, or used although it is doubtful.", "2 rows are rejected"]),
        ("fr", ["0 ligne est rejetée", "1 ligne est rejetée, ou utilisée bien que douteuse.", "2 lignes sont rejetées"]),
    ],
)
def test_a_report_counts_the_rows_of_the_bank_that_are_wrong(spoken: str, beginnings: list[str]) -> None:
    for rows, beginning in enumerate(beginnings):
        told = report_mail._problems({"rows": rows, "kinds": 1, "reasons": []}, Words(spoken))["text"]
        assert told.startswith(beginning)


@pytest.mark.parametrize("texts", [MAIL_TEXTS, REPORT_TEXTS, SHEET_TEXTS])
def test_texts_by_number_outside_the_app_have_their_forms_too(texts: dict[str, dict[str, str]]) -> None:
    for words in texts.values():
        names = {key.rpartition(".")[0] for key in words if key.endswith(tuple(f".{one}" for one in FORMS))}
        assert names
        assert {f"{name}.{one}" for name in names for one in FORMS} <= words.keys()
        assert not names & words.keys()
