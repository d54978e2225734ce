"""Step 4 as a run does it, as a person does it by hand, and as `neopulse check` sees it: either arm, on a published version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google_sheets_kit
import openpyxl
import pytest
from click.testing import CliRunner, Result
from hand_made import publish_customers
from stand_ins.address.server import Destination as AddressStandIn
from stand_ins.address.server import running as address_running
from stand_ins.census.machine import Plan
from stand_ins.census.server import PERSONAL_TOKEN, WORKSPACE_KEY
from stand_ins.census.server import Census as CensusStandIn
from stand_ins.census.server import running as census_running

from pipeline import activation_checks, cli
from pipeline.activation import refuse_tabs_of_the_sheet
from pipeline.checks import settings_in_force
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, PermanentError
from pipeline.planned_acts import planned_act
from pipeline.reverse_etl.registry import read_syncs
from pipeline.runner import Order, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.keeper import LeaseKeeper
from pipeline.runs.records import RequestState, Run, RunState, SyncState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings, load
from pipeline.warehouse.publication import Publications, Version
from worker.syncs import SyncsOnRequest

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
TOKEN = "crm-s3cr3t-token"


@dataclass
class House:
    """One home with a published version of some customers, and what a run needs."""

    home: Path
    clock: FixedClock
    monkeypatch: pytest.MonkeyPatch
    runs: int = 0

    @property
    def store(self) -> RunStore:
        return RunStore.open(f"sqlite:///{self.home / 'run_store.db'}", clock=FixedClock(NOW))

    def set(self, **settings: object) -> Settings:
        for name, value in settings.items():
            self.monkeypatch.setenv(f"NEOPULSE_{name.upper()}", str(value))
        return load(None)

    def publish(self, customers: int) -> Version:
        """A version whose customers are numbered."""
        self.runs += 1
        return publish_customers(self.home, customers, clock=self.clock, run_id=self.runs)

    def activate(self, *, resumes: int | None = None, cancelled: Any = lambda: False, **settings: object) -> Run:
        runner = Runner(
            settings=self.set(**settings),
            store=self.store,
            publications=Publications(self.home, keep=5),
            clock=self.clock,
            holders=Holders(self.home / "holders"),
            announce_failure=lambda *_: None,
        )
        order = Order("cli", "anna", first_step="activate", only_step=True, resumes=resumes)
        return runner.execute(order, cancelled=cancelled)

    def syncs_yml(self, text: str) -> Path:
        path = self.home / "syncs.yml"
        path.write_text(text)
        self.set(syncs=path)
        return path


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    made = House(tmp_path, FixedClock(NOW), monkeypatch)
    made.publish(10)
    return made


@pytest.fixture
def census(house: House) -> Iterator[CensusStandIn]:
    with census_running(house.clock) as stand_in:
        stand_in.workspace.add(
            41, Plan(source_records=100, updated=7, failed=[("5", "no such contact")]), label="Customer status"
        )
        house.set(reverse_etl="census", census_token=PERSONAL_TOKEN, census_syncs="status=41", census_address=stand_in.url)
        yield stand_in


@pytest.fixture
def address() -> Iterator[AddressStandIn]:
    with address_running() as stand_in:
        yield stand_in


def activate_step(run: Run) -> Mapping[str, Any]:
    [step] = [step for step in run.steps if step.name == "activate"]
    return {"service": step.service, "rows_in": step.rows_in, "rows_out": step.rows_out, **step.detail}


def neopulse(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, arguments)
    assert "Traceback" not in result.output
    return result


def test_the_embedded_arm_mirrors_the_shipped_syncs_into_a_workbook(house: House) -> None:
    told = activate_step(house.activate())
    assert (told["service"], told["rows_in"], told["rows_out"]) == ("embedded reverse ETL", 13, 13)
    assert told["location"] == str(house.home / "destinations" / "crm.xlsx")
    assert [(sync["sync"], sync["created"], sync["invalid"], sync["partial"]) for sync in told["syncs"]] == [
        ("customer_status", 10, 0, False),
        ("lapsed_customers", 2, 0, False),
        ("early_warnings", 1, 0, False),
    ]
    assert openpyxl.load_workbook(told["location"]).sheetnames == ["Customers", "Lapsed customers", "Customers to call"]
    assert "customer_status to the tab Customers of" in planned_act("activate", load(None))


def test_the_tabs_of_the_syncs_are_those_of_a_google_spreadsheet_where_one_is_named(house: House) -> None:
    with google_sheets_kit.world(house.home) as google:
        spreadsheet = {
            "google_sheets_syncs_id": google.book_id,
            "google_sheets_credentials": google.key_file,
            "google_sheets_endpoint": google.stand_in.url,
        }
        first = house.activate(**spreadsheet)
        assert first.state is RunState.SUCCEEDED, first.error
        detail = activate_step(first)
        assert detail["location"].endswith(google.book_id)
        assert [(sync["created"], sync["deleted"]) for sync in detail["syncs"]] == [(10, 0), (2, 0), (1, 0)]
        titles = sorted(title for title in google.titles() if title != "Sheet1")
        assert sorted(row[0] for row in google.rows(titles[0])[1:11]) == sorted(str(number) for number in range(10))
        assert not (house.home / "destinations").exists()
        house.publish(8)
        second = house.activate(**spreadsheet)
        assert [sync["deleted"] for sync in activate_step(second)["syncs"]] == [2, 0, 0]
        assert "Google spreadsheet" in planned_act("activate", load(None))
        assert google.book_id in activation_checks.found(load(None), clock=house.clock)


def test_census_serves_where_it_is_asked_to_and_the_run_says_so(house: House, census: CensusStandIn) -> None:
    told = activate_step(house.activate())
    assert (told["service"], told["rows_in"], told["rows_out"], told["location"]) == ("Census", 100, 99, census.url)
    [sync] = told["syncs"]
    assert (sync["sync"], sync["service"], sync["rejected"], sync["partial"]) == ("status", "Census API v2", 1, True)
    assert sync["rejects"] == [{"key": "5", "reason": "no such contact"}]
    assert sync["link"] == f"{census.url}/syncs/41/sync-history"
    assert planned_act("activate", load(None)) == f"run status at {census.url} (API v2)"
    assert not (house.home / "destinations").exists()


def test_a_resumed_run_takes_up_what_the_first_one_triggered(house: House, census: CensusStandIn) -> None:
    census.workspace.add(41, Plan(stuck=True))
    failed = house.activate(census_deadline_seconds=60)
    assert (failed.state, failed.error_kind) == (RunState.FAILED, "permanent")
    assert "did not end within 60 s" in (failed.error or "")
    census.workspace.runs[0].plan = Plan(source_records=100, updated=3)
    again = house.activate(resumes=failed.id)
    assert activate_step(again)["syncs"][0]["updated"] == 3
    assert len(census.workspace.runs) == 1
    assert house.store.waiting() == []


def test_a_run_that_is_cancelled_cancels_at_census(house: House, census: CensusStandIn) -> None:
    census.workspace.add(41, Plan(stuck=True))
    run = house.activate(cancelled=lambda: (house.clock.now() - NOW).total_seconds() > 20)
    assert run.state is RunState.INTERRUPTED
    assert census.workspace.runs[0].cancelled_at is not None


@pytest.mark.parametrize("missing", ["census_token", "census_syncs"])
def test_census_without_what_it_needs_is_a_setting_to_mend(house: House, census: CensusStandIn, missing: str) -> None:
    del census
    with pytest.raises(ConfigurationError, match=f"NEOPULSE_REVERSE_ETL=census needs NEOPULSE_{missing.upper()}"):
        house.set(**{missing: ""})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("census_address", "http://census.example", "has to be https:// beyond this machine"),
        ("census_address", "https://u:p@census.example", "is not an address"),
        ("census_syncs", "status=4/1", "takes id or name=id"),
        ("sync_tokens", "justatoken", "takes name=token"),
        ("census_api", "v3", "'v2' or 'v1'"),
    ],
)
def test_a_setting_that_cannot_be_is_named_without_its_value(house: House, name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"NEOPULSE_{name.upper()}") as caught:
        house.set(**{name: value})
    assert told in str(caught.value)
    assert value not in str(caught.value)


def test_no_token_is_shown_by_check(house: House, census: CensusStandIn) -> None:
    del census
    shown = str([setting.value for setting in settings_in_force(house.set(sync_tokens=f"crm={TOKEN}"))])
    assert TOKEN not in shown
    assert PERSONAL_TOKEN not in shown
    assert TOKEN not in repr(load(None))


def test_check_asks_census_for_each_sync_and_triggers_none(house: House, census: CensusStandIn) -> None:
    found = activation_checks.found(load(None), clock=house.clock)
    assert found.startswith("Census API v2 answers: status is Customer status")
    assert census.workspace.runs == []
    v1 = house.set(census_api="v1", census_token=WORKSPACE_KEY)
    assert "retires API v1 on 2027-01-15" in activation_checks.found(v1, clock=house.clock)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"census_token": "wrong"}, "refuses with 401"), ({"census_syncs": "status=99"}, "refuses with 404")],
)
def test_check_says_what_is_wrong_at_census(house: House, census: CensusStandIn, settings: dict[str, str], told: str) -> None:
    del census
    with pytest.raises(ConfigurationError, match=told):
        activation_checks.found(house.set(**settings), clock=house.clock)


SYNCS = """
syncs:
  to_crm:
    mart: sync_customer_status
    key: user_id
    http: {{address: "{url}/rows", batch_rows: 4, token: crm}}
    mode: mirror
    owner: someone
    description: to the customer system
"""


def test_a_tab_that_the_sheet_replaces_in_the_same_spreadsheet_is_no_place_for_customers(house: House) -> None:
    to_crm = SYNCS.format(url="").replace('http: {address: "/rows", batch_rows: 4, token: crm}', "tab: early WARNINGS")
    path = house.syncs_yml(to_crm)
    here = {"google_sheets_syncs_id": "a" * 30, "google_sheets_id": "a" * 30}
    told = "The sync to_crm would keep its rows in the tab early WARNINGS, which the sheet replaces in the same spreadsheet"
    with pytest.raises(ConfigurationError, match=told):
        activation_checks.found(house.set(**here), clock=house.clock)
    run = house.activate()
    assert (run.state, run.error_kind, told in (run.error or "")) == (RunState.FAILED, "configuration", True)
    refuse_tabs_of_the_sheet(read_syncs(path), house.set(language="fr"))  # there it is called otherwise
    refuse_tabs_of_the_sheet(read_syncs(path), house.set(language="en", google_sheets_id="b" * 30))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_shipped_syncs_keep_out_of_the_tabs_of_the_sheet(house: House, language: str) -> None:
    both = house.set(google_sheets_syncs_id="a" * 30, google_sheets_id="a" * 30, language=language)
    refuse_tabs_of_the_sheet(read_syncs(), both)


def test_check_knocks_at_every_address_and_sends_nothing(house: House, address: AddressStandIn) -> None:
    path = house.syncs_yml(SYNCS.format(url=address.url))
    address.token = TOKEN
    with pytest.raises(ConfigurationError, match="names the token crm, which NEOPULSE_SYNC_TOKENS does not have"):
        activation_checks.found(load(None), clock=house.clock)
    with pytest.raises(ConfigurationError, match="The destination of to_crm refuses with 401"):
        activation_checks.found(house.set(sync_tokens="crm=wrong"), clock=house.clock)
    assert activation_checks.found(house.set(sync_tokens=f"crm={TOKEN}"), clock=house.clock) == f"1 in {path}: to_crm"
    assert address.rows == {}


def test_a_run_brings_rows_to_an_address_with_its_token(house: House, address: AddressStandIn) -> None:
    house.syncs_yml(SYNCS.format(url=address.url))
    address.token = TOKEN
    told = activate_step(house.activate(sync_tokens=f"other=x,crm={TOKEN}"))
    assert (told["syncs"][0]["created"], len(address.rows)) == (10, 10)
    house.publish(12)
    assert activate_step(house.activate())["syncs"][0]["unchanged"] == 10
    assert len(address.rows) == 12


def test_a_plan_that_would_delete_60_percent_stops_the_run_and_a_person_carries_it_out(house: House) -> None:
    house.activate()
    house.publish(4)
    run = house.activate()
    assert (run.state, run.error_kind) == (RunState.FAILED, "data")
    assert "would delete 6 of 10 rows (60.0 %), more than max_delete_percent = 20 allows" in (run.error or "")
    plan = json.loads(neopulse("syncs", "customer_status", "--json").output)[0]
    assert plan["counts"]["delete"] == 6
    assert f"neopulse syncs customer_status --apply {plan['digest']}" in (run.error or "")
    shown = neopulse("syncs", "customer_status").output
    assert "delete, for example: 4, 5, 6, 7, 8" in shown
    assert "stopped by a guard: it would delete 6 of 10 rows" in shown
    wrong = neopulse("syncs", "customer_status", "--apply", "0" * 16)
    assert (wrong.exit_code, "is not 0000000000000000 any more" in wrong.output) == (1, True)
    done = neopulse("syncs", "customer_status", "--apply", plan["digest"])
    assert (done.exit_code, "6 deleted" in done.output) == (0, True)
    [audited] = house.store.acts()
    assert (audited.action, audited.what) == ("apply sync plan", "customer_status")
    assert audited.before == {"digest": plan["digest"], "only": "", "afresh": False}
    assert house.activate().state is RunState.SUCCEEDED
    sheet = openpyxl.load_workbook(house.home / "destinations" / "crm.xlsx")["Customers"]
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == ["0", "1", "2", "3"]


def test_all_plans_are_shown_and_nothing_is_changed(house: House) -> None:
    shown = neopulse("syncs").output
    assert "customer_status: mirror of sync_customer_status to tab Customers" in shown
    assert "lapsed_customers: mirror of sync_lapsed_customers to tab Lapsed customers" in shown
    assert not (house.home / "destinations").exists()
    assert not (house.home / "syncs").exists()


def test_wrong_use_of_syncs_is_told(house: House, census: CensusStandIn) -> None:
    del census
    asked_of_census = neopulse("syncs")
    assert (asked_of_census.exit_code, "Census carries out the syncs" in asked_of_census.output) == (2, True)
    house.set(reverse_etl="embedded")
    nobody = neopulse("syncs", "nobody")
    assert (nobody.exit_code, "There is no sync nobody; there are customer_status, lapsed" in nobody.output) == (2, True)
    assert neopulse("syncs", "--apply", "abc").exit_code == 2


def on_request(house: House) -> SyncsOnRequest:
    return SyncsOnRequest(load(None), house.store, house.clock, Publications(house.home, keep=5), Holders(house.home / "holders"))


def hand_digest(*arguments: str) -> str:
    [plan] = json.loads(neopulse("syncs", *arguments, "--json").output)
    return str(plan["digest"])


def test_every_row_is_sent_again_on_request_and_the_refused_ones_are_found_by_key(house: House, address: AddressStandIn) -> None:
    house.syncs_yml(SYNCS.format(url=address.url))
    house.activate(sync_tokens="crm=x")
    address.strict, address.refuse = False, lambda row: "no such contact" if row["user_id"] == "3" else ""
    scope = {"only": "", "afresh": True}
    request = house.store.request_sync("ada", sync="to_crm", scope=scope, digest=hand_digest("to_crm", "--afresh"))
    told = on_request(house).carry_out(request, is_to_end=lambda: False)
    assert told == "to_crm: 0 created, 9 updated, 0 unchanged, 0 deleted, 1 rejected, 0 invalid"
    answered = house.store.request(request.id)
    assert answered is not None
    assert (answered.state, answered.answer) == (RequestState.DONE, told)
    by_hand, in_run = house.store.sync_runs("to_crm")
    assert (by_hand.state, by_hand.who, by_hand.run_id) == (SyncState.PARTIAL, "ada", None)
    assert by_hand.scope == {**scope, "version": "v0001"}
    assert (in_run.state, in_run.run_id, in_run.counts["created"]) == (SyncState.DONE, 1, 10)
    [refused], total = house.store.rejected_rows(by_hand.id, key="3")
    assert (refused.key, refused.reason, total) == ("3", "no such contact", 1)
    assert refused.row == {"user_id": "3", "country": "FR"}
    assert house.store.rejected_rows(by_hand.id, key="4") == ([], 0)


def test_one_row_goes_to_an_address_on_request_and_no_other(house: House, address: AddressStandIn) -> None:
    house.syncs_yml(SYNCS.format(url=address.url))
    house.set(sync_tokens="crm=x")
    digest = hand_digest("to_crm", "--only", "7")
    request = house.store.request_sync("ada", sync="to_crm", scope={"only": "7", "afresh": False}, digest=digest)
    on_request(house).carry_out(request, is_to_end=lambda: False)
    assert list(address.rows) == ["7"]
    with pytest.raises(PermanentError, match="was served already"):
        on_request(house).carry_out(request, is_to_end=lambda: False)
    assert activate_step(house.activate())["syncs"][0]["created"] == 9


def test_a_plan_that_is_another_one_by_now_is_answered_with_the_reason(house: House) -> None:
    request = house.store.request_sync("ada", sync="customer_status", scope={"only": "", "afresh": False}, digest="0" * 16)
    with pytest.raises(DataError):
        on_request(house).carry_out(request, is_to_end=lambda: False)
    answered = house.store.request(request.id)
    assert answered is not None
    assert answered.state is RequestState.DONE
    assert "is not 0000000000000000 any more" in answered.answer
    [noted] = house.store.sync_runs("customer_status")
    assert (noted.state, noted.counts, "any more" in (noted.error or "")) == (SyncState.FAILED, {}, True)


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("stopped", "The sync was stopped"),
        ("slow", "The sync was ended: it took longer than 5 minutes"),
        ("lost", "The run lost its lease"),
    ],
)
def test_a_sync_by_hand_that_has_to_end_says_why(house: House, monkeypatch: pytest.MonkeyPatch, why: str, told: str) -> None:
    house.set(step_limit_activate=5)

    def is_to_end() -> bool:
        if why == "slow":
            house.clock.sleep(300)
        return why == "stopped"

    if why == "lost":
        monkeypatch.setattr(LeaseKeeper, "is_lost", property(lambda _keeper: True))
    scope = {"only": "", "afresh": False}
    request = house.store.request_sync("ada", sync="customer_status", scope=scope, digest=hand_digest("customer_status"))
    with pytest.raises(InterruptedRunError, match=told):
        on_request(house).carry_out(request, is_to_end=is_to_end)
    answered = house.store.request(request.id)
    assert answered is not None
    assert answered.answer.startswith(told)


def test_census_runs_in_full_on_request_each_time_that_somebody_asks(house: House, census: CensusStandIn) -> None:
    for _ in range(2):
        request = house.store.request_sync("ada", sync="status", scope={"only": "", "afresh": True}, digest="")
        on_request(house).carry_out(request, is_to_end=lambda: False)
    assert [run.full_sync for run in census.workspace.runs] == [True, True]
    latest, _ = house.store.sync_runs("status")
    assert (latest.state, latest.counts["updated"], latest.counts["rejected"]) == (SyncState.PARTIAL, 7, 1)
    assert [row.key for row in house.store.rejected_rows(latest.id)[0]] == ["5"]


def test_a_sync_that_waits_is_told_by_the_status(house: House) -> None:
    house.store.request_sync("ada", sync="customer_status", scope={"only": "", "afresh": False}, digest="abc")
    told = neopulse("status")
    assert (told.exit_code, "waiting: the sync customer_status asked for by ada" in told.output) == (0, True)


def test_census_sends_no_row_alone(house: House, census: CensusStandIn) -> None:
    request = house.store.request_sync("ada", sync="status", scope={"only": "5", "afresh": False}, digest="")
    with pytest.raises(ConfigurationError, match="Census sends no row alone"):
        on_request(house).carry_out(request, is_to_end=lambda: False)
    assert not [call for call in census.calls if call.path.endswith("/trigger")]


def test_what_a_dead_process_claimed_by_hand_can_be_asked_for_again(house: House) -> None:
    store, asked = house.store, {"sync": "customer_status", "scope": {"only": "", "afresh": False}, "digest": "abc"}
    first = store.request_sync("ada", **asked)
    store.take_lease("a holder that died", seconds=40)
    assert store.claim(first.id)
    store.reap(lambda holder: holder == "another holder")
    assert store.request_sync("ada", **asked).id == first.id
    store.reap(lambda holder: holder == "a holder that died")
    again = store.request_sync("ada", **asked)
    assert again.id > first.id
