"""Numbers and dates as English and French readers write them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from jinja2 import Environment

from pipeline.settings import Settings
from pipeline.transform import DBT_PROJECT
from streamlit_app import formats, messages
from streamlit_app.views import definitions

THIN, FIXED = "\u202f", "\u00a0"  # the spaces of French typography: narrow in numbers, fixed before a unit


@pytest.fixture(params=["en", "fr"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(messages, "language", lambda: request.param)
    return str(request.param)


def expect(language: str, text: str, *, en: str, fr: str) -> None:
    assert text == {"en": en, "fr": fr}[language]


def test_counts_are_grouped_and_rounded_to_whole_customers(language: str) -> None:
    expect(language, formats.number(18_766.4), en="18,766", fr=f"18{THIN}766")


def test_days_in_a_row_are_one_and_what_is_not_named_is_counted(language: str) -> None:
    days = [date(2009, 12, day) for day in (6, 24, 25, 26, 31)] + [date(2010, 1, 1)]
    expect(
        language,
        ", ".join(" ".join(span.split()) for span in formats.spans(days, most=3)[0]),
        en="6 Dec 2009, 24–26 Dec 2009, 31 Dec 2009 – 1 Jan 2010",
        fr="6 déc. 2009, 24–26 déc. 2009, 31 déc. 2009 – 1 janv. 2010",
    )
    assert [formats.spans(days, most=most)[1] for most in (0, 1, 2, 3)] == [6, 5, 2, 0]
    apart = [f"2019-{month:02}-{day:02}" for month in range(1, 7) for day in range(1, 29, 4)]  # 42, no two in a row
    told = definitions._which(apart)
    assert told.startswith({"en": "1 Jan 2019, 5 Jan 2019,", "fr": "1 janv. 2019, 5 janv. 2019,"}[language])
    end = {
        "en": "17 Jun 2019 …; 2 more days stand in the files",
        "fr": "17 juin 2019 … ; la suite (2 jours) est dans les fichiers",
    }
    assert " ".join(told.split()).endswith(end[language])


def test_a_fraction_is_written_as_a_percentage(language: str) -> None:
    expect(language, formats.share(0.0541), en="5.4%", fr=f"5,4{THIN}%")
    expect(language, formats.share(0.5, 0), en="50%", fr=f"50{THIN}%")


def test_an_interval_names_its_unit_once(language: str) -> None:
    expect(language, formats.interval(0.049, 0.0591), en="4.9–5.9%", fr=f"4,9–5,9{THIN}%")


def test_changes_carry_their_sign_and_no_change_carries_none(language: str) -> None:
    expect(language, formats.signed_number(-1204), en="−1,204", fr=f"−1{THIN}204")
    expect(language, formats.signed_share(0.031), en="+3.1%", fr=f"+3,1{THIN}%")
    expect(language, formats.signed_points(-0.015), en="−1.5 pp", fr=f"−1,5{FIXED}pt")
    expect(language, formats.signed_decimal(-0.004), en="0.00", fr="0,00")


def test_amounts_name_their_currency_and_leave_the_cents_out(language: str) -> None:
    expect(language, formats.money(12_345_678.4), en="US$12,345,678", fr=f"12{THIN}345{THIN}678{FIXED}$US")


def test_dates_are_written_in_words(language: str) -> None:
    expect(language, formats.day(date(2019, 5, 15)), en="15 May 2019", fr="15 mai 2019")
    expect(language, formats.month(date(2018, 8, 1)), en="Aug 2018", fr="août 2018")


def test_a_moment_is_told_in_the_time_zone_of_the_bank(language: str) -> None:
    moment = datetime(2019, 5, 15, 22, 30, tzinfo=UTC)
    expect(language, formats.moment(moment, "Europe/Paris"), en="16 May 2019, 00:30", fr="16 mai 2019, 00:30")


def test_who_served_is_named_in_words_and_products_by_their_names(language: str) -> None:
    expect(language, formats.service("demo bank"), en="demo bank", fr="banque de démonstration")
    assert [formats.service(name) for name in ("Census API v1", "")] == ["Census API v1", "–"]


def test_what_is_not_known_is_a_dash_and_never_a_zero(language: str) -> None:
    writers = (formats.number, formats.decimal, formats.share, formats.money, formats.day, formats.month, formats.moment)
    assert {writer(None) for writer in writers} == {"–"}, language


def test_codes_from_the_data_get_names_and_unknown_codes_stay_themselves(language: str) -> None:
    expect(language, formats.dimension_value("country", "GB"), en="United Kingdom", fr="Royaume-Uni")
    expect(language, formats.dimension_value("country", "unknown"), en="unknown", fr="inconnu")
    expect(language, formats.dimension_value("type", "TOPUP"), en="Top-up", fr="Approvisionnement")
    assert formats.dimension_value("plan", "PLATINUM") == "PLATINUM"
    assert [formats.dimension_value("country", code) for code in ("XX", "ZZ")] == ["XX", "ZZ"]


def test_the_activity_rule_that_the_settings_write_is_told_in_the_readers_language(language: str) -> None:
    expect(
        language,
        formats.rule(Settings(_env_file=None).activity_rule),
        en="COMPLETED transactions, not FEE, TAX, CASHBACK, REFUND, CARD_REFUND",
        fr="transactions COMPLETED, sauf FEE, TAX, CASHBACK, REFUND, CARD_REFUND",
    )
    wide = Settings(
        _env_file=None, activity_states="COMPLETED,PENDING", activity_excluded_types="", activity_minimum_amount=1.5
    ).activity_rule
    expect(
        language,
        formats.rule(wide),
        en="COMPLETED or PENDING transactions, every type, at least 1.5 USD",
        fr="transactions COMPLETED ou PENDING, tous types, au moins 1,5 USD",
    )
    own = Settings(_env_file=None, activity_excluded_types="gebühr,r&d-tax 2.0", activity_minimum_amount=1_000_000).activity_rule
    expect(
        language,
        formats.rule(own),
        en="COMPLETED transactions, not GEBÜHR, R&D-TAX 2.0, at least 1,000,000 USD",
        fr="transactions COMPLETED, sauf GEBÜHR, R&D-TAX 2.0, au moins 1\u202f000\u202f000 USD",
    )


@pytest.mark.parametrize("least", [0, 0.01, 1.5, 5, 5.0, 1_000_000, 0.1 + 0.2])
@pytest.mark.parametrize("excluded", ["", "FEE", "FEE,Service charge / SEPA-CT"])
def test_the_models_write_the_rule_word_for_word_as_the_settings_do(least: float, excluded: str) -> None:
    settings = Settings(
        _env_file=None, activity_states="COMPLETED,PENDING", activity_excluded_types=excluded, activity_minimum_amount=least
    )
    variables = {
        "activity_states": list(settings.activity_states),
        "activity_excluded_types": list(settings.activity_excluded_types),
        "activity_minimum_amount": settings.activity_minimum_amount,
    }
    macros = (DBT_PROJECT / "macros" / "activity.sql").read_text(encoding="utf-8")
    template = Environment(extensions=["jinja2.ext.do"]).from_string(macros + "{{ activity_rule() }}")
    assert template.render(var=variables.__getitem__).strip() == settings.activity_rule


def test_a_rule_in_other_words_is_left_as_it_is(language: str) -> None:
    assert formats.rule("whatever the bank says") == "whatever the bank says", language


def test_the_days_of_the_week_have_their_names() -> None:
    assert [formats.weekday(day) for day in (0, 6)] == ["Monday", "Sunday"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Prices went up", "Prices went up"),
        ("100 % de l'effet, enfin", r"100 \% de l\'effet\, enfin"),
        ("a  line\nand # another", r"a line and \# another"),
        ("**bold** _it_ ~~no~~ `code` [^1]", r"\*\*bold\*\* \_it\_ \~\~no\~\~ \`code\` \[\^1\]"),
        ("![x](y) <b>&amp;", r"\!\[x\]\(y\) \<b\>\&amp\;"),
        ("$x^2$ costs $5", r"\$x\^2\$ costs \$5"),
        (":red[stop] at 12:30", r"\:red\[stop\] at 12\:30"),
        (":material/check: :smile: :+1:", "\\:{0}material\\/check\\: \\:{0}smile\\: \\:{0}\\+1\\:"),
        ("https://x.example www.x.example", "https\\:{0}\\/\\/x\\.example www{0}\\.x\\.example"),
        ("ada@bank.example", "ada\\@{0}bank\\.example"),
        ("a -> b <= c", "a {0}\\-\\> b {0}\\<\\= c"),
        ("\\", "\\\\"),
        (" ", "–"),
    ],
)
def test_somebodys_words_in_plain_type_are_read_as_they_were_written(written: str, shown: str) -> None:
    assert formats.plain(written) == shown.replace("{0}", formats.NOT_JOINED)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Spain", "Spain"),
        ("Côte d'Ivoire (CI)", "Côte d'Ivoire (CI)"),
        ("METAL_FREE", "METAL_FREE"),
        ("**P**", "`**P**`"),
        ("www.x.example/a", "`www.x.example/a`"),
        ("see WWW.x.example", "`see WWW.x.example`"),
    ],
)
def test_a_name_of_the_bank_in_a_sentence_is_no_link(name: str, shown: str) -> None:
    assert formats.in_words(name) == shown
