"""The mail of a run: figures with their doubt, failures with their remedy, in two languages, sent once."""

from __future__ import annotations

import dataclasses
import email
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hand_made import House

from pipeline import steps
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError
from pipeline.marts import Headline
from pipeline.metrics import Metric
from pipeline.notify.delivery import deliver as deliver_letter
from pipeline.notify.event import Event, Figure, Notice, Rows, SyncCounts, failure, noticed, success
from pipeline.notify.letter import Letter
from pipeline.notify.mail import Words, compose, render
from pipeline.notify.outbox import Outbox
from pipeline.notify.texts import TEXTS
from pipeline.runs.holders import Holders
from pipeline.runs.store import RunStore
from pipeline.warehouse.base import DamagedStateError
from pipeline.warehouse.publication import TestSummary, Version

PUBLISHED_AT = datetime(2019, 5, 17, 4, 12, 30, tzinfo=UTC)
AS_OF = date(2019, 5, 15)
VERSION = Version(
    name="v0007",
    number=7,
    folder=Path("versions/v0007"),
    published_at=PUBLISHED_AT,
    run_id=11,
    as_of=AS_OF,
    source="demo bank",
    inactivity_days=90,
    activity_rule="COMPLETED transactions, not FEE",
    bank_timezone="Europe/Paris",
    tests=TestSummary(passed=118, failed=0, warned=2, total=120),
    rows={},
)


def figure(name: str, label: str, unit: str, value: float | None, **more: Any) -> Headline:
    metric = Metric(name, {"en": label, "fr": f"{label} (fr)"}, {"en": "d", "fr": "d"}, unit, "m", "c")
    fields = {"period": "day", "until": AS_OF, "before": None, "n": None, "low": None, "high": None, "final_on": AS_OF}
    return Headline(metric=metric, value=value, **(fields | {"provisional": False} | more))


HEADLINES = (
    figure("active_customers", "Active customers", "customers", 12_345.0, before=12_000.0),
    figure("churned_customers", "Churned", "customers", 321.0, period="28 days", provisional=True),
    figure("quick_ratio", "Quick ratio", "ratio", None, period="28 days"),
    figure(
        "monthly_churn_rate",
        "Churn",
        "share",
        0.0512,
        period="month",
        until=date(2019, 4, 30),
        n=11_000,
        low=0.0472,
        high=0.0555,
        before=0.055,
    ),
)
SYNC = SyncCounts(
    "customer_status", "embedded reverse ETL", created=4, updated=3, unchanged=19_422, deleted=2, rejected=1, invalid=5
)
SUCCESS = success(
    VERSION,
    HEADLINES,
    run_id=12,
    sheet="sheet/neopulse.xlsx",
    syncs=(SYNC,),
    rows=Rows(read=2_740_075, rejected=31, written=512),
    seconds=83.4,
    links={"app": "http://localhost:8501"},
)
ERROR = DataError(
    "2 of 120 tests failed", where="mart_<churn>", safe="Readers still see v0007", next="neopulse run --from transform"
)
FAILURE = failure("transform", ERROR, run_id=12, at=PUBLISHED_AT, source="files", version=VERSION)


def message(event: Event, **more: Any) -> EmailMessage:
    content = compose(event, **({"sender": "np@bank.example", "recipients": ("a@bank.example",), "language": "en"} | more))
    parsed = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=FixedClock(PUBLISHED_AT))


def deliver(folder: Path, store: Any, event: Event = SUCCESS, **more: Any) -> Any:
    letter = Letter(event, "np@bank.example", ("a@bank.example", "b@bank.example"), "en")
    carrier, holders = Outbox(folder / "outbox"), Holders(folder / "holders")
    return deliver_letter(letter, carrier=carrier, store=store, holders=holders, **more)


def test_the_mail_links_to_a_spreadsheet_and_names_a_workbook_by_its_path() -> None:
    address = "https://docs.google.com/spreadsheets/d/1AbC/edit"
    linked = render(dataclasses.replace(SUCCESS, sheet=address), "fr")
    assert f'Classeur : <a href="{address}">{address}</a>' in linked.html
    assert f"Classeur : {address}" in linked.text
    assert "<a href" not in render(SUCCESS, "en").html.split("Sheet:")[1].split("</p>")[0]


def test_the_subject_gives_the_figures_and_their_day() -> None:
    assert render(SUCCESS, "en").subject == (
        "[demo data] neopulse: Active customers 12,345; Churn 5.1% in April 2019 (as of 15 May 2019)"
    )
    assert render(SUCCESS, "fr").subject.replace("\u202f", " ").replace("\xa0", " ") == (
        "[données de démonstration] neopulse : Active customers (fr) 12 345 ; Churn (fr) 5,1 % en avril 2019 (au 15 mai 2019)"
    )


def test_the_text_shows_value_period_interval_n_change_and_what_is_provisional() -> None:
    lines = render(SUCCESS, "en").text.splitlines()
    assert "Active customers: 12,345 (on 15 May 2019; +345 against 28 days before)" in lines
    assert "Churned: 321 (in the 28 days to 15 May 2019; provisional)" in lines
    assert "Quick ratio: no figure (in the 28 days to 15 May 2019)" in lines
    interval = "95 % interval 4.7% to 5.6%; n = 11,000; −0.4 points against the month before"
    assert f"Churn: 5.1% (in April 2019; {interval})" in lines


@pytest.mark.parametrize(
    ("language", "of_a_day", "of_28_days", "of_a_month"),
    [
        ("en", "+345 against 28 days before", "−12 against the 28 days before", "−0.4 points against the month before"),
        (
            "fr",
            "+345 par rapport à 28 jours plus tôt",
            "−12 par rapport aux 28 jours précédents",
            "−0,4 points par rapport au mois précédent",
        ),
    ],
)
def test_each_change_says_what_it_is_compared_with_and_a_fall_has_the_minus_sign_of_the_pages(
    language: str, of_a_day: str, of_28_days: str, of_a_month: str
) -> None:
    left = figure("churned_customers", "Churned", "customers", 321.0, period="28 days", before=333.0)
    mail = render(dataclasses.replace(SUCCESS, headline=(Figure.of(left), SUCCESS.headline[0], SUCCESS.headline[3])), language)
    for told in (of_a_day, of_28_days, of_a_month):
        assert told in mail.text
        assert told in mail.html
    assert Words(language).value(-0.1, "share").startswith("−10")


def test_a_french_semicolon_has_its_narrow_space_and_the_rule_is_french_where_the_event_keeps_its_own() -> None:
    rule = "COMPLETED or PENDING transactions, not FEE, TAX, at least 1000.5 USD"
    mail = render(dataclasses.replace(SUCCESS, activity_rule=rule), "fr")
    assert "12\u202f345 (le 15 mai 2019\u202f; +345 par rapport" in mail.text
    counted = "comptées : transactions COMPLETED ou PENDING, sauf FEE, TAX, au moins 1\u202f000,5 USD."
    assert counted in mail.text
    assert counted in mail.html
    assert dataclasses.replace(SUCCESS, activity_rule=rule).to_json()["activity_rule"] == rule


def test_both_parts_tell_what_the_figures_rest_on_where_they_went_and_that_they_are_a_demo() -> None:
    mail = render(SUCCESS, "en")
    for told in (
        "Demo bank: synthetic data, no real customers.",
        "Version v0007 of run 12. Inactive after 90 days; counted: COMPLETED transactions, not FEE. 118 of 120 tests passed.",
        "sheet/neopulse.xlsx",
        "customer_status (embedded reverse ETL): 4 created, 3 updated, 19,422 unchanged, 2 deleted, 1 rejected, 5 invalid",
        "Rows: 2,740,075 read from the bank, 31 rejected, 512 written to the sheet",
        "Duration: 1 min 23 s",
        "http://localhost:8501",
    ):
        assert told in mail.text
        assert told in mail.html


def test_figures_that_may_still_rise_say_so_in_both_languages_and_parts() -> None:
    event = dataclasses.replace(SUCCESS, thin={"first": "2019-05-11", "last": "2019-05-15"})
    english, french = render(event, "en"), render(event, "fr")
    told = "Each day from 11 May 2019 to 15 May 2019 holds less than 60.0% of its usual active customers"
    assert told in english.text
    assert told in english.html
    assert "les chiffres de ces jours peuvent encore monter" in french.text
    assert "usual active" not in render(SUCCESS, "en").text
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event
    old = {name: value for name, value in SUCCESS.to_json().items() if name != "thin"}  # as an older neopulse left it waiting
    assert Event.from_json(old) == SUCCESS


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("event", [SUCCESS, FAILURE], ids=["success", "failure"])
def test_a_mail_is_ascii_with_short_lines_for_a_server_may_take_no_other(event: Event, language: str) -> None:
    content = compose(event, sender="np@bank.example", recipients=("a@bank.example",), language=language)
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 78


def test_the_colours_of_a_mail_are_its_own_so_that_a_dark_reader_can_read_it() -> None:
    for event in (SUCCESS, FAILURE):
        html = render(event, "en").html
        assert '<meta name="color-scheme" content="light">' in html
        assert "background-color:#ffffff;color:#1b1f22" in html


def test_a_sheet_on_the_web_is_a_link_and_a_file_is_not() -> None:
    address = "https://docs.google.com/spreadsheets/d/abc"
    assert f'<a href="{address}">' in render(dataclasses.replace(SUCCESS, sheet=address), "en").html
    assert 'href="sheet' not in render(SUCCESS, "en").html


def test_the_banks_own_figures_are_not_called_a_demo() -> None:
    mail = render(dataclasses.replace(SUCCESS, source="files"), "en")
    assert "demo" not in (mail.subject + mail.text + mail.html).lower()


def test_a_failure_says_what_where_what_is_safe_and_what_to_do() -> None:
    mail = render(FAILURE, "en")
    assert mail.subject == "neopulse: run 12 failed at transform"
    for told in (
        "2 of 120 tests failed",
        "transform",
        "Readers still see v0007",
        "neopulse run --from transform",
        "Readers still see version v0007",
    ):
        assert told in mail.text
        assert told in mail.html
    first = failure("extract", ERROR, run_id=1, at=PUBLISHED_AT, source="files", version=None)
    assert "Rien n'est encore publié." in render(first, "fr").text


def test_what_an_error_brings_along_cannot_become_markup_or_a_header() -> None:
    error = DataError('<script>alert("x")</script>\nBcc: thief@evil.example', where="<b>")
    event = failure("transform\r\nBcc: thief@evil.example", error, run_id=12, at=PUBLISHED_AT, source="files", version=VERSION)
    mail = render(event, "en")
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert mail.subject == "neopulse: run 12 failed at transform Bcc: thief@evil.example"
    assert message(dataclasses.replace(FAILURE, source="a\r\nBcc: x@y.example"))["Bcc"] is None


@pytest.mark.parametrize(
    ("notice", "told"),
    [
        (Notice("never", "k", {"at": "2019-05-17T08:00", "since": "", "zone": "Europe/Paris"}), "avant le 17 mai 2019 08:00"),
        (Notice("held", "k", {"run": 12, "replaced": "run 11"}), "la version candidate de l'exécution 11, qui attendait"),
        (
            Notice("held", "k", {"run": 12}, ({"rule": "demo_over_bank", "version": "v0001", "before": "files"},)),
            "la version v0001 avait pour source : fichiers de la banque.",
        ),
    ],
    ids=["never", "replaced", "source"],
)
def test_a_french_notice_is_french_throughout(notice: Notice, told: str) -> None:
    assert told in render(noticed(notice, at=PUBLISHED_AT, source="files", version=VERSION), "fr").text


def test_a_name_with_signs_that_no_mail_can_hold_makes_a_mail() -> None:
    values = {"run": 12, "replaced": "a\x00b\x1b[31m\udce9"}
    reasons = ({"rule": "relation_new", "relation": "\x00\ud800", "version": "v0001"},)
    odd = noticed(Notice("held", "run-12-held", values, reasons), at=PUBLISHED_AT, source="files", version=VERSION)
    sent = compose(odd, sender="np@bank.example", recipients=("a@bank.example",), language="en")
    assert not set(sent) & {0, 0x1B}
    assert "\ufffd" in render(odd, "en").text


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_message_has_both_parts_and_its_headers(language: str) -> None:
    found = message(SUCCESS, language=language, recipients=("a@bank.example", "Ann B <b@bank.example>"))
    mail = render(SUCCESS, language)
    assert found["Subject"] == mail.subject
    assert [address.addr_spec for address in found["To"].addresses] == ["a@bank.example", "b@bank.example"]
    assert found["Date"].datetime == PUBLISHED_AT
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].startswith("<v0007-20190517T041230Z.")
    assert found["Message-ID"].endswith("@bank.example>")
    parts = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in found.iter_parts()}
    assert parts == {"text/plain": mail.text, "text/html": mail.html}


def test_the_same_event_makes_the_same_bytes() -> None:
    arguments = {"sender": "np@bank.example", "recipients": ("a@bank.example",), "language": "fr"}
    assert compose(SUCCESS, **arguments) == compose(SUCCESS, **arguments)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b.example\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "@b.example",
        "a@",
        "a b@c.example",
        "a@bänk.example",
    ],
)
def test_an_address_that_cannot_be_used_is_a_setting_to_mend(address: str) -> None:
    with pytest.raises(ConfigurationError, match="NEOPULSE_MAIL_TO"):
        message(SUCCESS, recipients=("a@bank.example", address))
    with pytest.raises(ConfigurationError, match="NEOPULSE_MAIL_FROM"):
        message(SUCCESS, sender=address)


def test_the_defaults_of_the_settings_are_addresses() -> None:
    assert message(SUCCESS, sender="neopulse@localhost", recipients=("managers@localhost",))["To"] == "managers@localhost"


def test_a_version_is_told_once_by_whatever_run(tmp_path: Path, store: RunStore) -> None:
    first = deliver(tmp_path, store)
    assert (first.service, first.is_new, first.recipients) == ("outbox", True, 2)
    assert Path(first.location).name == "outbox-v0007-20190517T041230Z.eml"
    Path(first.location).unlink()
    again = deliver(tmp_path, store, dataclasses.replace(SUCCESS, run_id=13))
    assert (again.is_new, again.location) == (False, first.location)
    assert not Path(first.location).exists()


def test_another_version_of_the_same_name_is_told_too(tmp_path: Path, store: RunStore) -> None:
    deliver(tmp_path, store)
    later = success(dataclasses.replace(VERSION, published_at=datetime(2019, 6, 1, tzinfo=UTC)), HEADLINES, run_id=1)
    assert deliver(tmp_path, store, later).is_new


def test_a_failure_is_told_once_a_run_and_step(tmp_path: Path, store: RunStore) -> None:
    assert deliver(tmp_path, store, FAILURE).is_new
    assert not deliver(tmp_path, store, dataclasses.replace(FAILURE, at=datetime(2019, 5, 18, tzinfo=UTC))).is_new
    assert deliver(tmp_path, store, failure("sheet", ERROR, run_id=12, at=PUBLISHED_AT, source="files", version=VERSION)).is_new
    assert deliver(
        tmp_path, store, failure("transform", ERROR, run_id=13, at=PUBLISHED_AT, source="files", version=VERSION)
    ).is_new


def test_a_crash_before_the_mail_was_noted_down_writes_the_same_mail_again(
    tmp_path: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(store, "delivered", crash)
        with pytest.raises(KeyboardInterrupt):
            deliver(tmp_path, store)
    (path,) = (tmp_path / "outbox").iterdir()
    before = path.read_bytes()
    assert [delivery.key for delivery in store.waiting()] == [path.stem]
    later = dataclasses.replace(SUCCESS, run_id=13, seconds=999.0)  # the run that takes up the work tells it as it was noted down
    assert deliver(tmp_path, store, later).is_new
    assert path.read_bytes() == before
    assert store.waiting() == []


def test_a_run_that_lost_its_lease_writes_no_mail(tmp_path: Path, store: RunStore) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        deliver(tmp_path, store, guard=lost)
    assert not (tmp_path / "outbox").exists()
    assert deliver(tmp_path, store).is_new


def test_the_event_is_plain_json_for_another_service() -> None:
    content = json.loads(json.dumps(SUCCESS.to_json()))
    assert (content["key"], content["status"], content["as_of"]) == ("v0007-20190517T041230Z", "success", "2019-05-15")
    assert content["headline"][3]["low"] == 0.0472
    assert [figure["change"] for figure in content["headline"]] == [345.0, None, None, pytest.approx(-0.0038)]
    assert (content["rows"], content["seconds"]) == ({"read": 2_740_075, "rejected": 31, "written": 512}, 83.4)
    assert json.loads(json.dumps(FAILURE.to_json()))["failure"]["next"] == "neopulse run --from transform"


@pytest.mark.parametrize("event", [SUCCESS, FAILURE], ids=["success", "failure"])
def test_an_event_comes_back_out_of_its_json_as_it_was(event: Event) -> None:
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event


def test_sync_counts_are_taken_out_of_a_steps_details() -> None:
    told = {**dataclasses.asdict(SYNC), "rejects": [{"key": "1", "reason": "r"}]}
    assert SyncCounts.of(told) == SYNC


def test_every_word_is_there_in_every_language() -> None:
    assert set(TEXTS["en"]) == set(TEXTS["fr"])
    assert all(text for texts in TEXTS.values() for text in texts.values())


@pytest.mark.parametrize(
    ("language", "subject", "body"),
    [
        ("en", "neopulse: The state that runs build on was damaged: look at the disk", "Run 1 found this in var/state.duckdb"),
        (
            "fr",
            "neopulse : L'état sur lequel les exécutions s'appuient était endommagé : vérifiez le disque",
            "L'exécution 1 a constaté ceci dans var/state.duckdb",
        ),
    ],
)
def test_a_damaged_state_is_told_once_whatever_becomes_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, subject: str, body: str
) -> None:
    house = House.at(tmp_path, language=language, raw=tmp_path)
    monkeypatch.setattr("pipeline.transform.transform", damaged_and_failing)
    with pytest.raises(DataError, match="a test failed"):
        steps.run_step("transform", house.context(house.lease()))
    [path] = (tmp_path / "outbox").glob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert mail["Subject"] == subject
    text = " ".join(mail.get_body(("plain",)).get_content().split())  # type: ignore[attr-defined]
    assert body in text
    assert "the sum of block 7 is wrong" in text


def test_damage_that_cannot_be_told_costs_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House.at(tmp_path)
    monkeypatch.setattr("pipeline.transform.transform", damaged_and_failing)
    monkeypatch.setattr("pipeline.notify.mail.unusable", list)
    with pytest.raises(DataError, match="a test failed"):
        steps.run_step("transform", house.context(house.lease()))
    assert house.store.waiting() == []


def damaged_and_failing(_context: object, *, tell_damage: Callable[[DamagedStateError], None]) -> None:
    """A second step whose state is damaged, at every attempt, and which comes to nothing."""
    for _ in range(2):
        tell_damage(DamagedStateError("the sum of block 7 is wrong", where="var/state.duckdb"))
    raise DataError("a test failed")
