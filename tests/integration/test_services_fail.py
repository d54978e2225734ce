"""Sheet, destination and mail through all the services at once, each of them failing at random calls: every run ends right.

Google Sheets, an address that takes rows, n8n and a mail server are stand-ins; the chain from the third step on is the
product's own. What has to hold after a run, however often it was resumed: the sheet is that of an undisturbed writer, the
destination holds the mart, and one mail of that version has arrived.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import builds
import chain
import duckdb
import google_sheets_kit
import pytest
from letters import SECRET
from stand_ins import address
from stand_ins.address.server import Destination
from stand_ins.google_sheets.faults import CUT, Fault
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.clock import FixedClock
from pipeline.marts import reader
from pipeline.runner import Order, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import Run, RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings, load
from pipeline.sheets.google import GoogleSheet
from pipeline.sheets.google_changes import Snapshots
from pipeline.sheets.layout import tabs
from pipeline.sources.demo import generate
from pipeline.warehouse.publication import Candidate, Facts, Publications, Version
from worker.postman import postman

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
TOKEN = "crm-token-of-the-tests"
MOST_RESUMES = 12
SERVICES = ("sheet", "destination", "mail", "all")
SYNCS = """
syncs:
  customer_status:
    mart: sync_customer_status
    key: user_id
    http: {{address: "{url}/customers", batch_rows: 60, token: crm}}
    mode: mirror
    guards: {{max_delete_percent: 60}}
    owner: the tests
    description: every customer
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """One real version, of which every other is a copy with some customers less."""
    folder = tmp_path_factory.mktemp("bank")
    generate(folder / "raw", transactions=8_000, seed=3)
    with builds.building(builds.direct):
        version: Version = chain.publish(folder / "raw", folder / "home").reader.version
    return version


@dataclass
class World:
    """A home, its services, and chance."""

    home: Path
    settings: Settings
    google: google_sheets_kit.World
    undisturbed: str
    destination: Destination
    n8n: N8nStandIn
    mail_server: MailServer
    original: Version
    chance: random.Random
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    resumed: int = 0
    resumed_in_all: int = 0

    @property
    def publications(self) -> Publications:
        return Publications(self.home, keep=3)

    def store(self) -> RunStore:
        return RunStore.open(self.settings.run_store_url, clock=self.clock)

    def publish(self, number: int) -> Version:
        """The next version: other customers are missing each time."""
        folder = self.home / "candidates" / str(number)
        shutil.copytree(self.original.folder, folder)
        with duckdb.connect(folder / "published.duckdb") as connection:
            connection.execute(f"delete from marts.sync_customer_status where hash(user_id || '{number}') % 5 = 0")
        facts = Facts(**{name: getattr(self.original, name) for name in Facts.__dataclass_fields__} | {"run_id": number})
        candidate = Candidate(folder, facts, lease_token=10_000 + number, started_at=NOW)
        return self.publications.publish(candidate, clock=self.clock, guard=lambda: None)

    def trouble(self, number: int) -> None:
        """Each service in turn, then all: at some calls that nobody knows, or out until the run is resumed."""
        self.calm()
        struck, is_out = SERVICES[number % len(SERVICES)], bool(number // len(SERVICES) % 2)
        if struck in ("sheet", "all"):
            out = [Fault(CUT, times=100_000, kind="batchUpdate")]
            for fault in out if is_out else [self._fault_of_google() for _ in range(self.chance.randrange(1, 4))]:
                self.google.stand_in.faults.add(fault)
        if struck in ("destination", "all"):
            often = 1.0 if is_out else 0.25
            self.destination.fail = lambda _call, _after: self.chance.choice([0, 429, 500, 502]) if self._happens(often) else None
        if struck in ("mail", "all"):
            some = self.chance.choices(
                [500, 502, 503, 429, "cut", "lost", "html"], k=100 if is_out else self.chance.randrange(1, 8)
            )
            self.n8n.faults = ["lost", *some] if is_out else some  # the mail goes out, and nobody here hears of it
            self.mail_server.answers = {verb: ["451 later"] for verb in ("MAIL FROM", "DATA") if self._happens(0.3)}

    def _fault_of_google(self) -> Fault:
        chance = self.chance
        status = chance.choice([408, 429, 500, 503, CUT])
        return Fault(status, at=chance.randrange(1, 6), times=chance.randrange(1, 9), after=self._happens(0.5))

    def _happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def calm(self) -> None:
        """Nothing fails any more."""
        self.google.stand_in.faults.clear()
        self.destination.fail = lambda _call, _after: None
        self.n8n.faults, self.mail_server.answers = [], {}

    def run(self) -> Run:
        """Steps three to five of a run, resumed until they are done; the services recover some time."""
        run, first_step = self._execute("sheet", None), "sheet"
        while run.state is not RunState.SUCCEEDED:
            assert run.state in (RunState.FAILED, RunState.INTERRUPTED)  # the clock of the tests jumps, beyond a lease too
            self.resumed += 1
            self.resumed_in_all += 1
            if self._happens(0.5) or self.resumed > MOST_RESUMES:
                self.calm()
            first_step = next(step.name for step in run.steps if step.state.value not in ("succeeded", "skipped"))
            run = self._execute(first_step, run.id)
        return run

    def _execute(self, first_step: str, resumes: int | None) -> Run:
        store = self.store()
        try:
            runner = Runner(
                self.settings, store, self.publications, self.clock, Holders(self.home / "holders"), jitter=lambda: 0.5
            )
            order = Order("cli", "the tests", first_step=first_step, resumes=resumes)
            return runner.execute(order, cancelled=lambda: False)
        finally:
            store.close()

    def deliver(self) -> None:
        """The worker, until nothing waits."""
        store = self.store()
        worker = postman(self.settings, store, self.clock)
        while store.waiting():
            self.clock.sleep(600)
            worker.deliver_next()
        store.close()

    def expected_sheet(self, version: Version) -> dict[str, list[list[Any]]]:
        """The tabs as a writer leaves them who meets no fault, in a spreadsheet of its own."""
        calls = self.google.calls(spreadsheet_id=self.undisturbed)
        sheet = GoogleSheet(calls, Snapshots(self.home / "undisturbed.json", self.undisturbed))
        sheet.write(tabs(reader(version), language="en"), at=version.published_at)
        return self.sheet(self.undisturbed)

    def sheet(self, book_id: str) -> dict[str, list[list[Any]]]:
        book = self.google.stand_in.book(book_id)
        return {sheet.title: google_sheets_kit.rows_of(book, sheet.title) for sheet in book.sheets if sheet.title != "Sheet1"}

    def in_destination(self) -> dict[str, tuple[Any, ...]]:
        return {key: tuple(row.values()) for key, row in self.destination.rows.items()}


@pytest.fixture
def world(published: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with ExitStack() as stack:
        (tmp_path / "google").mkdir()
        (tmp_path / "n8n").mkdir()
        google = stack.enter_context(google_sheets_kit.world(tmp_path / "google"))
        destination = stack.enter_context(address.server.running())
        mail_server = stack.enter_context(MailServer())
        n8n = stack.enter_context(N8nStandIn(tmp_path / "n8n", SECRET, mail_server.port))
        destination.token = TOKEN
        home = tmp_path / "home"
        home.mkdir()
        (home / "syncs.yml").write_text(SYNCS.format(url=destination.url))
        for name, value in {
            "HOME": home,
            "SYNCS": home / "syncs.yml",
            "SYNC_TOKENS": f"crm={TOKEN}",
            "GOOGLE_SHEETS_ID": google.book_id,
            "GOOGLE_SHEETS_CREDENTIALS": google.key_file,
            "GOOGLE_SHEETS_ENDPOINT": google.stand_in.url,
            "N8N_URL": n8n.url,
            "N8N_SECRET": SECRET,
        }.items():
            monkeypatch.setenv(f"NEOPULSE_{name}", str(value))
        undisturbed = google.stand_in.create("undisturbed").id
        chance = random.Random(25)
        yield World(home, load(None), google, undisturbed, destination, n8n, mail_server, published, chance)


@pytest.mark.parametrize("runs", [len(SERVICES) * 2, pytest.param(100, marks=pytest.mark.proof)])
def test_whatever_service_fails_at_whatever_call_sheet_destination_and_mails_end_right(world: World, runs: int) -> None:
    for number in range(1, runs + 1):
        version = world.publish(number)
        world.trouble(number)
        world.resumed = 0
        world.run()
        world.calm()
        mart = reader(version).relation("sync_customer_status").to_pylist()
        assert set(world.in_destination()) == {row["user_id"] for row in mart}
        assert world.sheet(world.google.book_id) == world.expected_sheet(version)
    world.deliver()
    assert world.resumed_in_all >= runs // 10  # the faults were not for nothing
    assert len(world.n8n.calls) > runs
    told = [mail.text for mail in world.mail_server.taken if "failed at" not in mail.message["Subject"]]
    assert sorted(version_in(text) for text in told) == [f"v{number:04}" for number in range(1, runs + 1)]


def version_in(text: str) -> str:
    """The version that a mail of success is about."""
    found = re.search(r"\bv\d{4}\b", text)
    assert found is not None
    return found[0]
