"""The embedded reverse ETL over tabs of a Google spreadsheet: the sync's engine and the keyed rows, one with the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google_sheets_kit import World, world
from stand_ins.google_sheets.faults import CUT, Fault

from pipeline.clock import FixedClock
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.embedded import EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.syncs import Destination, RunFacts, Sync
from pipeline.runs.store import RunStore
from pipeline.sheets.google_rows import GoogleRows

SCHEMA = pa.schema([("user_id", pa.string()), ("plan", pa.string()), ("lapses", pa.int64()), ("since", pa.date32())])
CUSTOMERS = Sync(
    name="customers",
    source="sync_customers",
    key="user_id",
    destination=Destination("tab", "Customers"),
    mode="mirror",
    owner="someone",
    description="what it is for",
)
FACTS = RunFacts(7, "v0003", date(2019, 5, 16), datetime(2019, 5, 17, 6, tzinfo=UTC))
DAY = date(2019, 5, 1)
Row = tuple[Any, ...]


class Bank:
    """A mart, a spreadsheet, and what was noted down about it."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.store = RunStore.open(
            f"sqlite:///{here.folder / 'run_store.db'}", clock=FixedClock(datetime(2019, 5, 17, tzinfo=UTC))
        )
        self.mart: list[Row] = [("1", "STANDARD", 0, DAY), ("2", "METAL", 1, DAY), ("3", "STANDARD", 0, DAY)]

    def run(self) -> SyncResult:
        around = Surroundings(
            read=lambda _mart: pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in self.mart], SCHEMA),
            folder=self.here.folder / "destinations",
            snapshots=self.here.folder / "syncs",
            store=self.store,
            facts=FACTS,
            caller=lambda sync: pytest.fail(f"{sync.name} called an address"),
            tabs=GoogleRows(self.here.calls()),
        )
        return EmbeddedReverseETL((CUSTOMERS,), around).run()[0]

    def rows(self) -> dict[str, Row]:
        return GoogleRows(self.here.calls()).read("Customers", SCHEMA.names, "user_id")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with world(tmp_path) as here:
        yield Bank(here)


def counts(result: SyncResult) -> tuple[int, int, int, int, int]:
    return (result.created, result.updated, result.unchanged, result.deleted, result.rejected)


def test_a_mirror_creates_updates_leaves_and_deletes_in_the_spreadsheet(bank: Bank) -> None:
    assert counts(bank.run()) == (3, 0, 0, 0, 0)
    assert counts(bank.run()) == (0, 0, 3, 0, 0)
    bank.mart = [("4", "STANDARD", 0, DAY), ("3", "STANDARD", 0, DAY), ("2", "PREMIUM", 1, DAY)]
    assert counts(bank.run()) == (1, 1, 1, 1, 0)
    assert bank.rows() == {row[0]: row for row in bank.mart}


def test_what_people_added_stays_and_what_they_changed_is_put_right(bank: Bank) -> None:
    bank.run()
    sheet = bank.here.book.titled("Customers")
    assert sheet is not None
    sheet.put(0, 4, "called by")
    sheet.put(2, 4, "Ana")
    sheet.put(2, 1, "scribble")
    assert counts(bank.run()) == (0, 1, 2, 0, 0)
    assert bank.rows()["2"] == ("2", "METAL", 1, DAY)
    assert sheet.id == bank.here.book.sheets[1].id
    assert bank.here.book.sheets[1].cell(2, 4).value == "Ana"


def test_a_lost_answer_doubles_no_row(bank: Bank) -> None:
    bank.here.stand_in.faults.add(Fault(status=CUT, after=True, kind="batchUpdate"))
    bank.run()
    assert bank.rows() == {row[0]: row for row in bank.mart}
    assert bank.here.book.sheets[1].used()[0] == 4
