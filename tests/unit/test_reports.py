"""Reports by mail: one letter a person and period, by the rights of that person, with figures as the read side gives them."""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from page_kit import opened, press, words

from pipeline import data_problems, reporting, telling
from pipeline.clock import FixedClock
from pipeline.errors import NotCopiedError
from pipeline.marts import Question, Reader, reader
from pipeline.notify import report_mail
from pipeline.notify.event import Figure
from pipeline.notify.letter import Letter
from pipeline.notify.mail import Words
from pipeline.reporting import Period, last_period
from pipeline.runs.reports import MONTHLY, WEEKLY, Subscription
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications
from streamlit_app import actions_reports, data, formats
from streamlit_app.auth import Role, RoleError, User
from worker.postman import postman

pytestmark = [pytest.mark.xdist_group("the bank of the pages")]

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
ADA, VERA, MAX, BOB = "ada@bank.example", "vera@bank.example", "max@bank.example", "bob@bank.example"
SIGN_IN: dict[str, Any] = {
    "oidc_metadata_url": "https://id.bank.example/.well-known/openid-configuration",
    "oidc_client_id": "neopulse",
    "oidc_client_secret": "a-secret-of-sixteen",
    "oidc_cookie_secret": "0123456789abcdef" * 4,
    "oidc_public_url": "https://neopulse.bank.example",
    "role_admins": ADA,
    "role_managers": MAX,
    "role_viewers": VERA,
    "role_countries": f"{MAX}=FR",
}


@dataclass
class House:
    """The published bank of the pages, and a run store and an outbox of a test's own."""

    reader: Reader
    settings: Settings
    store: RunStore
    clock: FixedClock

    def look(self) -> int:
        return telling.look_at_reports(self.reader.version, self.settings, self.store, self.clock)

    def letters(self) -> dict[str, Letter]:
        """The letters that wait, by the one who gets each."""
        found = [Letter.from_json(delivery.payload) for delivery in self.store.waiting()]
        return {letter.recipients[0]: letter for letter in found}

    def subscribe(self, *addresses: str, frequency: str = MONTHLY, **more: Any) -> int:
        return self.store.save_report_subscription(Subscription(addresses, frequency, more.pop("language", "en"), **more), "ada")


@pytest.fixture
def house(pages_bank: Path, tmp_path: Path) -> House:
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    clock = FixedClock(NOW)
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    return House(reader(version), Settings(_env_file=None, home=tmp_path), store, clock)


@pytest.mark.parametrize(
    ("frequency", "as_of", "name", "first", "last"),
    [
        (MONTHLY, date(2026, 10, 30), "2026-09", date(2026, 9, 1), date(2026, 9, 30)),
        (MONTHLY, date(2026, 10, 31), "2026-10", date(2026, 10, 1), date(2026, 10, 31)),
        (MONTHLY, date(2026, 1, 15), "2025-12", date(2025, 12, 1), date(2025, 12, 31)),
        (WEEKLY, date(2026, 11, 28), "2026-W47", date(2026, 11, 16), date(2026, 11, 22)),
        (WEEKLY, date(2026, 11, 29), "2026-W48", date(2026, 11, 23), date(2026, 11, 29)),
        (WEEKLY, date(2027, 1, 3), "2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
    ],
)
def test_the_last_whole_period_is_that_whose_last_day_is_loaded(
    frequency: str, as_of: date, name: str, first: date, last: date
) -> None:
    period = last_period(frequency, as_of)
    assert (period.name, period.first, period.last) == (name, first, last)


def test_each_address_gets_one_letter_a_period_however_often_the_worker_looks(house: House) -> None:
    house.subscribe(ADA, BOB)
    assert [house.look(), house.look()] == [2, 0]
    house.subscribe(ADA, frequency=WEEKLY)
    assert house.look() == 1
    man = postman(house.settings, house.store, house.clock)
    for _ in range(4):
        man.deliver_next()
    assert len(list((house.settings.home / "outbox").glob("*.eml"))) == 3
    assert (house.look(), house.store.waiting()) == (0, [])


def test_a_letter_is_not_written_again_when_another_carrier_serves(house: House) -> None:
    house.subscribe(ADA)
    house.look()
    house.settings = Settings(_env_file=None, home=house.settings.home, smtp_url="smtp://127.0.0.1:2525")
    assert house.look() == 0


def test_what_is_switched_off_is_not_sent(house: House) -> None:
    house.subscribe(ADA, enabled=False)
    assert house.look() == 0


def test_the_figures_are_those_of_the_periods_end_as_the_read_side_gives_them(house: House) -> None:
    house.subscribe(ADA, frequency=WEEKLY)
    house.look()
    report = house.letters()[ADA].event.report
    assert report is not None
    last = last_period(WEEKLY, house.reader.version.as_of).last
    assert last < house.reader.version.as_of
    active = {row["date"]: row["value"] for row in house.reader.answer(Question("active_customers")).rows()}
    assert report["headline"][0]["value"] == active[last]
    churn = [row for row in house.reader.answer(Question("monthly_churn_rate", by="plan_tier")).rows() if not row["provisional"]]
    month = max(row["month"] for row in churn if row["final_on"] <= last)
    wanted = {row["plan_tier"]: row["value"] for row in churn if row["month"] == month}
    assert {row["name"]: row["value"] for row in report["churn"][0]["rows"]} == wanted


@pytest.mark.parametrize(("language", "heading"), [("en", "The month of April 2019"), ("fr", "Rapport du mois : avril 2019")])
def test_the_mail_loads_nothing_from_anywhere_and_leads_to_the_page_with_its_filters(
    house: House, language: str, heading: str
) -> None:
    house.subscribe(ADA, language=language, countries=("FR",))
    house.look()
    message = email.message_from_bytes(house.letters()[ADA].message(), policy=policy.default)
    html = message.get_body(("html",)).get_content()
    text = message.get_body(("plain",)).get_content()
    assert heading in html
    assert heading in text
    assert "src=" not in html
    assert "<style" not in html
    assert html.count("href=") == 1
    assert f"/?lang={language}&amp;version=v0001&amp;window=90&amp;country=FR" in html


def link_of(letter: Letter) -> dict[str, list[str]]:
    report = letter.event.report
    assert report is not None
    found = urlsplit(report["link"])
    assert found.path == "/"  # Overview
    return parse_qs(found.query)


def both_parts(letter: Letter) -> list[str]:
    message = email.message_from_bytes(letter.message(), policy=policy.default)
    return [" ".join(message.get_body((form,)).get_content().split()) for form in ("plain", "html")]


def test_the_link_of_several_countries_leads_to_these_and_of_no_country_to_all(house: House) -> None:
    house.subscribe(ADA, countries=("GB", "FR"))
    house.subscribe(BOB)
    house.look()
    letters = house.letters()
    assert link_of(letters[ADA]) == {"lang": ["en"], "version": ["v0001"], "window": ["90"], "country": ["GB", "FR"]}
    assert link_of(letters[BOB]) == {"lang": ["en"], "version": ["v0001"], "window": ["90"]}


@pytest.mark.parametrize(
    ("language", "promise"),
    [
        ("en", "Open the same key figures in neopulse, while version v0001 is kept"),
        ("fr", "Ouvrir les mêmes chiffres clés dans neopulse, tant que la version v0001 est conservée"),
    ],
)
@pytest.mark.parametrize("countries", [(), ("FR",), ("GB", "FR")])
def test_the_key_figures_that_a_letter_promises_are_those_of_the_page_that_it_leads_to(
    house: House, admin: None, monkeypatch: pytest.MonkeyPatch, language: str, promise: str, countries: tuple[str, ...]
) -> None:
    del admin
    last = house.reader.version.as_of
    monkeypatch.setattr(reporting, "last_period", lambda *_: Period("2019-W19", last - timedelta(days=6), last))
    house.subscribe(ADA, frequency=WEEKLY, language=language, countries=countries)
    house.look()
    letter = house.letters()[ADA]
    assert all(promise in part for part in both_parts(letter))
    page = opened("overview", **link_of(letter))
    assert [error.message for error in page.exception] == []
    shown = [metric.value.removeprefix(":gray[").removesuffix("]").replace("\xa0", "\u202f") for metric in page.metric]
    told = [Words(language).figure(figure).value.replace("\xa0", "\u202f") for figure in figures_of(letter)]
    nothing = Words(language).word("none")  # a page has a dash in its place
    assert (shown, len(told)) == ([formats.NOTHING if value == nothing else value for value in told], 8)


def figures_of(letter: Letter) -> list[Figure]:
    assert letter.event.report is not None
    return [Figure.from_json(figure) for figure in letter.event.report["headline"]]


@pytest.mark.parametrize(("language", "words"), [("en", "Open neopulse"), ("fr", "Ouvrir neopulse")])
def test_of_a_day_before_the_last_one_a_letter_promises_no_figures_for_no_page_has_them(
    house: House, language: str, words: str
) -> None:
    house.subscribe(ADA, frequency=WEEKLY, language=language)
    house.look()
    text, html = both_parts(house.letters()[ADA])
    assert f"{words} http://" in text
    assert f">{words}</a>" in html


def test_a_viewer_of_several_countries_and_a_bank_too_young_for_a_rate_are_promised_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = house.reader.version.as_of
    [first_day] = house.reader.relation("dim_publication")["first_day"].to_pylist()
    period = Period("2019-W19", last - timedelta(days=6), last)
    figures = house.reader.headline()
    (until,) = [figure.until for figure in figures if figure.period == "month"]

    def is_promised(role: Role, *countries: str) -> bool:
        person = reporting.Recipient(ADA, role, countries or None)
        return reporting._is_on_the_page(house.reader, period, person, figures)

    assert [is_promised(role) for role in (Role.VIEWER, Role.MANAGER, Role.ADMIN)] == [True] * 3
    assert [is_promised(role, "FR") for role in (Role.VIEWER, Role.MANAGER)] == [True, True]
    assert [is_promised(role, "FR", "GB") for role in (Role.VIEWER, Role.MANAGER)] == [False, True]
    month_before = (until.replace(day=1) - timedelta(days=1)).replace(day=1)
    enough = (month_before - first_day).days
    for window, promised in ((enough, True), (enough + 1, False)):
        monkeypatch.setattr(house.reader, "version", replace(house.reader.version, inactivity_days=window))
        assert is_promised(Role.MANAGER) is promised


@pytest.mark.parametrize(
    ("language", "frequency", "told"),
    [
        ("en", WEEKLY, "counted over 28 days, not over this week alone."),
        ("en", MONTHLY, "counted over 28 days, whatever the length of the month."),
        ("fr", WEEKLY, "comptés sur 28 jours, et non sur cette seule semaine."),
        ("fr", MONTHLY, "comptés sur 28 jours, quelle que soit la longueur du mois."),
    ],
)
def test_a_letter_says_over_how_many_days_its_figures_count_and_what_each_is_compared_with(
    house: House, language: str, frequency: str, told: str
) -> None:
    house.subscribe(ADA, frequency=frequency, language=language)
    house.look()
    letter = house.letters()[ADA]
    against = {
        "en": ("against 28 days before", "against the 28 days before", "against the month before"),
        "fr": ("par rapport à 28 jours plus tôt", "par rapport aux 28 jours précédents", "par rapport au mois précédent"),
    }[language]
    for part in both_parts(letter):
        assert told in part
        assert [part.count(words) for words in against] == [3, 4, 1]
    last = last_period(frequency, house.reader.version.as_of).last
    new = {row["date"]: row["value"] for row in house.reader.answer(Question("new_customers")).rows()}
    days = [last - timedelta(days=back) for back in range(56)]
    (figure,) = [figure for figure in figures_of(letter) if figure.label["en"] == "New customers"]
    assert (figure.value, figure.before) == (sum(new[day] for day in days[:28]), sum(new[day] for day in days[28:]))


def test_a_french_letter_names_its_countries_and_says_its_rule_in_french(house: House) -> None:
    house.subscribe(ADA, language="fr", countries=("FR", "GB"))
    house.look()
    for part in both_parts(house.letters()[ADA]):
        assert "Clients : France, Royaume-Uni" in part
        assert "comptées : transactions COMPLETED, sauf FEE" in part


def test_a_letter_that_an_older_neopulse_left_waiting_promises_no_figures(house: House) -> None:
    house.subscribe(ADA)
    house.look()
    letter = house.letters()[ADA]
    older = {name: value for name, value in (letter.event.report or {}).items() if name != "is_on_the_page"}
    assert "Open neopulse" in both_parts(replace(letter, event=replace(letter.event, report=older)))[0]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_is_wrong_with_the_banks_rows_is_told_in_words(house: House, language: str) -> None:
    house.subscribe(ADA, language=language)
    house.look()
    message = email.message_from_bytes(house.letters()[ADA].message(), policy=policy.default)
    text = message.get_body(("plain",)).get_content()
    commonest = max(house.reader.relation("mart_data_quality").to_pylist(), key=lambda row: row["rows_affected"])
    assert data_problems.WHAT[language][commonest["reason"]] in text


@pytest.mark.parametrize(
    ("language", "name", "few"),
    [("en", "Metal (free)", "fewer than 30, too few to judge"), ("fr", "Metal (gratuit)", "moins de 30, trop peu pour juger")],
)
def test_churn_by_plan_has_readable_names_and_marks_what_is_of_too_few(house: House, language: str, name: str, few: str) -> None:
    row = {"name": "METAL_FREE", "value": 0.0, "low": 0.0, "high": 0.56, "n": 3}
    rows = [row | {"name": "STANDARD", "n": 30}, row, row | {"name": "NEW_PLAN", "n": 29}]
    split = report_mail._split({"by": "plan", "month": "2019-04-01", "rows": rows, "total": 3}, Words(language))
    assert [line["name"] for line in split["rows"]] == ["Standard", name, "NEW_PLAN"]
    assert [(line["is_thin"], few in line["note"]) for line in split["rows"]] == [(False, False), (True, True), (True, True)]
    house.subscribe(ADA, language=language)
    house.look()
    message = email.message_from_bytes(house.letters()[ADA].message(), policy=policy.default)
    html, text = (message.get_body((form,)).get_content() for form in ("html", "plain"))
    assert "STANDARD" not in html + text
    assert few in text
    assert '<td width="100%" height="12" bgcolor="#b8c0c8"' in html  # the longest bar, of few


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    words = Words("en")
    assert [words._change(change, "ratio") for change in (-0.004, 0.004, -0.006)] == ["0.00", "0.00", "−0.01"]
    assert [words._change(change, "share") for change in (-0.0004, -0.0006)] == ["0.0 points", "−0.1 points"]
    assert words._change(-0.4, "customers") == "0"


def test_everybody_gets_what_they_may_see_and_who_would_see_nothing_gets_nothing(house: House) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, **SIGN_IN)
    house.subscribe(ADA, MAX, VERA, BOB)
    house.subscribe(MAX, countries=("GB",), frequency=WEEKLY)
    assert house.look() == 4
    reports = {address: letter.event.report or {} for address, letter in house.letters().items()}
    assert {address: report["countries"] for address, report in reports.items()} == {
        ADA: None,
        MAX: ["FR"],
        VERA: None,
        BOB: None,
    }
    of_france = house.reader.headline(countries=("FR",))
    assert reports[MAX]["headline"][5]["n"] == of_france[5].n != reports[ADA]["headline"][5]["n"]
    assert reports[MAX]["problems"] is None
    assert reports[ADA]["problems"]["rows"] >= 0
    few = [row for report in (reports[VERA], reports[BOB]) for split in report["churn"] for row in split["rows"]]
    assert all(row["n"] is None or row["n"] >= 10 for row in few)
    assert any(row["n"] is None for row in few)
    assert all(row["n"] is not None for split in reports[ADA]["churn"] for row in split["rows"])


def test_a_letter_of_two_countries_tells_a_viewer_nothing_that_is_withheld_of_one_of_them(house: House) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, **SIGN_IN)
    period = last_period(MONTHLY, house.reader.version.as_of)
    subscription = Subscription((VERA,), MONTHLY, "en")

    def told(*countries: str, role: Role = Role.VIEWER) -> dict[str, Any]:
        person = reporting.Recipient(VERA, role, countries)
        return reporting.content(house.reader, subscription, period, person, app="http://x")

    def active(*countries: str, role: Role = Role.VIEWER) -> float | None:
        figures = told(*countries, role=role)["headline"]
        [value] = [figure["value"] for figure in figures if figure["label"]["en"] == "Active customers"]
        return None if value is None else float(value)

    really = {country: active(country, role=Role.MANAGER) or 0 for country in house.reader.dimension_values("country")}
    [few, *_] = [country for country, count in really.items() if 0 < count < 10]
    many = [country for country, count in really.items() if count >= 10]
    assert active(many[0], few, role=Role.MANAGER) == really[many[0]] + really[few]
    assert active(many[0], few) is None
    assert active(*many[:2]) == really[many[0]] + really[many[1]]
    hidden = {row["name"] for split in told(few)["churn"] for row in split["rows"] if row["n"] is None}
    beside = {row["name"] for split in told(many[0], few)["churn"] for row in split["rows"] if row["n"] is None}
    assert hidden <= beside != set()


def test_an_address_that_no_rule_can_name_is_left_out_and_those_behind_it_get_theirs(house: House) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, **SIGN_IN)
    for address in (ADA, "ada @bank.example", VERA):
        house.subscribe(address)
    assert house.look() == 2
    assert set(house.letters()) == {ADA, VERA}


def test_a_letter_that_cannot_be_made_is_said_and_those_behind_it_are_sent(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, **SIGN_IN)
    house.subscribe(MAX, ADA)
    content = reporting.content

    def of_all_countries(reader: Any, subscription: Any, period: Any, person: Any, **more: Any) -> Any:
        if person.countries is not None:
            raise NotCopiedError("mart_customers was left in BigQuery")
        return content(reader, subscription, period, person, **more)

    monkeypatch.setattr(reporting, "content", of_all_countries)
    assert house.look() == 1
    assert set(house.letters()) == {ADA}
    assert "cannot be made: mart_customers was left in BigQuery" in caplog.text
    monkeypatch.undo()
    assert house.look() == 1
    assert set(house.letters()) == {ADA, MAX}


def test_a_report_that_comes_in_the_place_of_one_that_was_taken_away_is_sent_too(house: House) -> None:
    first = house.subscribe(ADA)
    assert house.look() == 1
    house.store.delete_report_subscription(first)
    second = house.subscribe(ADA)
    assert second > first
    assert house.look() == 1


@pytest.mark.parametrize("change", ["role", "countries", "off", "deleted"])
def test_a_letter_that_waits_is_taken_back_where_its_reader_may_not_see_it_any_more(house: House, change: str) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, **SIGN_IN)
    number = house.subscribe(MAX)
    house.look()
    house.subscribe(ADA)
    house.look()
    rules = {"role": {"role_managers": BOB}, "countries": {"role_countries": f"{MAX}=GB"}}.get(change, {})
    house.settings = Settings(_env_file=None, home=house.settings.home, **(SIGN_IN | rules))
    if change == "off":
        house.store.save_report_subscription(replace(house.store.report_subscription(number), enabled=False), "ada")
    if change == "deleted":
        house.store.delete_report_subscription(number)
    man = postman(house.settings, house.store, house.clock)
    for _ in range(3):
        man.deliver_next()
    (written,) = (house.settings.home / "outbox").glob("*.eml")
    assert f"To: {ADA}" in written.read_text()
    assert house.store.waiting() == []
    made_anew = house.look()
    assert made_anew == (1 if change in ("role", "countries") else 0)
    if made_anew:
        letter = house.letters()[MAX].event.report
        assert letter is not None
        assert (letter["role"], letter["countries"]) == (("VIEWER", ["FR"]) if change == "role" else ("MANAGER", ["GB"]))


def test_whose_countries_follow_from_groups_gets_no_letter(house: House) -> None:
    rules = SIGN_IN | {"role_countries": "group:paris=FR"}
    house.settings = Settings(_env_file=None, home=house.settings.home, **rules)
    house.subscribe(BOB)
    assert house.look() == 0


@pytest.fixture
def admin(bank_of_the_pages: None, come_in: Callable[[User], None]) -> None:
    del bank_of_the_pages
    come_in(User("ada", Role.ADMIN))


@pytest.mark.usefixtures("admin")
def test_subscribing_is_for_admins_checks_the_addresses_and_is_noted_down(come_in: Callable[[User], None]) -> None:
    wanted = Subscription((ADA,), MONTHLY, "en")
    assert not actions_reports.save(Subscription((), MONTHLY, "en")).accepted
    assert actions_reports.save(wanted).accepted
    [saved] = data.run_store().report_subscriptions()
    actions_reports.switch(saved.id, enabled=False)
    actions_reports.delete(saved.id)
    assert data.run_store().report_subscriptions() == []
    assert [row.action for row in data.run_store().acts()] == ["delete_report", "change_report", "add_report"]
    come_in(User("max", Role.MANAGER))
    with pytest.raises(RoleError):
        actions_reports.save(wanted)


@pytest.mark.usefixtures("admin")
def test_an_address_to_which_no_mail_can_go_is_named_and_nothing_is_saved() -> None:
    wrong = ("ada\nBcc: eve@x.example", "ada@", "adé@bank.example")
    answer = actions_reports.save(Subscription((ADA, *wrong), MONTHLY, "en"))
    assert (answer.accepted, answer.values) == (False, {"addresses": ", ".join(wrong)})
    assert data.run_store().report_subscriptions() == []


@pytest.mark.usefixtures("admin")
def test_the_form_takes_semicolons_and_new_lines_and_says_what_is_wrong_until_it_is_sent_again() -> None:
    page = opened("ops_reports", lang="en")
    page.text_area[0].set_value(f"{ADA}; bob\n{BOB}")
    page = page.button[-1].click().run()
    (error,) = page.error
    assert "no mail can go to `bob`." in error.value
    assert "neopulse check" not in words(page)
    page.text_area[0].set_value(f"{ADA}; {BOB},\n{ADA}")
    page = page.button[-1].click().run()
    assert (list(page.error), list(page.exception)) == ([], [])
    assert [one.addresses for one in data.run_store().report_subscriptions()] == [(ADA, BOB)]


@pytest.mark.usefixtures("admin")
def test_the_page_shows_who_is_subscribed_and_takes_one_away_once_that_was_asked() -> None:
    actions_reports.save(Subscription((ADA,), WEEKLY, "fr", ("FR",)))
    page = opened("ops_reports", lang="en")
    assert [error.message for error in page.exception] == []
    assert ADA in words(page)
    assert "1 to be written" in words(page)
    [saved] = data.run_store().report_subscriptions()
    (asking,) = [block for block in page.get("popover") if block.proto.popover.label == "Take away"]
    (confirmed,) = asking.button
    assert confirmed.key == f"delete_report_{saved.id}"
    assert ADA in asking.markdown[0].value
    page = press(page, confirmed.key)
    assert "Nobody is subscribed yet." in words(page)
