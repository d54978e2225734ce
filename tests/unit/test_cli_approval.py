"""`neopulse approve` and `neopulse reject`, and the one mail that tells what waits and why."""

from __future__ import annotations

import email
from email import policy
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hand_made import CUSTOMERS, House

from pipeline import approval, cli
from pipeline.context import StepContext, StepResult
from pipeline.runs.holders import Holders, new_holder
from pipeline.steps import STEPS
from pipeline.warehouse.held import HeldCandidates


class Bank:
    """A home whose runs make so many customers, without a build, and note which steps they did."""

    def __init__(self, home: Path) -> None:
        self.house = House.at(home)
        self.customers = 1000
        self.steps: list[str] = []

    def do(self, name: str, context: StepContext) -> StepResult:
        self.steps.append(name)
        if name != "transform":
            return StepResult(name, 1, 1)
        if context.run.approves is not None:
            return approval.publish(context)
        tables = {CUSTOMERS: f"select range as user_id from range({self.customers})"}
        candidate = self.house.candidate(context.run.id, tables, lease_token=context.run.lease_token)
        approval.hold_where_unusual(context, candidate)
        version = context.publications.publish(candidate, clock=context.clock, guard=context.guard)
        approval.note(context, version)
        return StepResult("duckdb", 1, self.customers)

    def mails(self) -> list[tuple[str, str]]:
        found = []
        for path in sorted((self.house.home / "outbox").glob("*.eml")):
            mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            found.append((str(mail["Subject"]), mail.get_body(("plain",)).get_content()))  # type: ignore[union-attr]
        return found


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    bank = Bank(tmp_path)
    arms = {name: (lambda context, name=name: bank.do(name, context)) for name in STEPS}
    monkeypatch.setattr("pipeline.steps._ARMS", arms)
    assert neopulse("run").exit_code == 0
    return bank


def neopulse(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def held(bank: Bank) -> Result:
    bank.customers, bank.steps = 300, []
    return neopulse("run")


def test_a_run_that_is_held_says_why_ends_with_3_and_sends_one_mail_and_nothing_else(bank: Bank) -> None:
    result = held(bank)
    assert result.exit_code == 3
    assert "The candidate of run 2 waits for approval: rows of mart_customers: 300, 70% fewer" in result.output
    assert "neopulse approve 2 or neopulse reject 2" in result.output
    assert bank.steps == ["extract", "transform"]
    run = bank.house.run(2)
    assert (str(run.state), [str(step.state) for step in run.steps]) == (
        "held",
        ["succeeded", "held", "pending", "pending", "pending"],
    )
    [(subject, text)] = bank.mails()
    assert subject == "[demo data] neopulse: The candidate of run 2 waits for approval"
    assert "- Rows of mart_customers: 300, 70.0% fewer than the usual 1,000 (median; publications: 1)." in text
    assert "type neopulse approve 2 or neopulse reject 2" in text
    assert "Readers see version v0001" in text


def test_a_second_one_is_mailed_too_and_says_which_it_replaces(bank: Bank) -> None:
    held(bank)
    assert held(bank).exit_code == 3
    texts = [text for _, text in bank.mails()]
    assert ["It replaces the candidate of run 2, which waited until now and is deleted." in text for text in texts] == [
        False,
        True,
    ]


def test_the_mail_speaks_the_language_of_the_settings(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_LANGUAGE", "fr")
    held(bank)
    [(subject, text)] = bank.mails()
    assert subject.endswith("neopulse : La version candidate de l'exécution 2 attend une approbation")
    assert "Lignes de mart_customers : 300" in text


def test_versions_name_what_waits_with_its_reasons(bank: Bank) -> None:
    held(bank)
    shown = neopulse("versions").output
    assert "the candidate of run 2 (as of 2026-02-28) waits for approval since" in shown
    assert "- rows of mart_customers: 300" in shown


@pytest.mark.parametrize("named", [("run-2",), ()])
def test_an_approval_publishes_it_and_does_the_steps_behind_it(bank: Bank, named: tuple[str, ...]) -> None:
    held(bank)
    bank.steps = []
    result = neopulse("approve", *named, "--note", "a branch closed")
    assert result.exit_code == 0, result.output
    assert "run 3 succeeded: version v0002" in result.output
    assert bank.steps == ["transform", "sheet", "activate", "notify"]
    decision = bank.house.store.decision(2)
    assert decision is not None
    assert (decision.state, decision.note, decision.outcome) == ("published", "a branch closed", "v0002")


def test_while_a_run_goes_on_nothing_is_approved(bank: Bank) -> None:
    held(bank)
    bank.house.store.close()
    busy = House.at(bank.house.home)
    busy.clock.sleep(10**8)
    busy.store.take_lease("another run", seconds=10**8)
    result = neopulse("approve", "2")
    assert (result.exit_code, "A run is going on" in result.output) == (1, True)
    decision = busy.store.decision(2)
    assert decision is not None
    assert decision.state == "held"


def test_what_a_process_that_is_dead_left_is_no_run_that_goes_on(bank: Bank) -> None:
    held(bank)
    bank.house.store.close()
    busy = House.at(bank.house.home)
    busy.clock.sleep(10**8)
    holder = new_holder()
    with Holders(busy.home / "holders").alive(holder):
        lock = next((busy.home / "holders").glob("*.lock"))
    lock.touch()  # and nobody has it locked
    busy.store.take_lease(holder, seconds=10**8)
    result = neopulse("approve", "2")
    assert result.exit_code == 0, result.output
    assert bank.steps[-4:] == ["transform", "sheet", "activate", "notify"]


def test_a_rejection_deletes_it_and_a_second_one_finds_nothing(bank: Bank) -> None:
    held(bank)
    result = neopulse("reject", "2", "--note", "a file is missing")
    assert (result.exit_code, result.output) == (0, "the candidate of run 2 is gone. Readers still see version v0001\n")
    assert HeldCandidates(bank.house.publications).waiting() == []
    again = neopulse("reject")
    assert (again.exit_code, "No candidate waits for approval" in again.output) == (2, True)
    assert neopulse("approve", "2").exit_code == 2
    assert neopulse("approve", "the last one").exit_code == 2
