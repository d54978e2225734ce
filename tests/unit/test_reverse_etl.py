"""The embedded reverse ETL: a destination that equals the mart, whatever other people write beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.table import Table
from sent_notes import Notes

from pipeline import spreadsheets
from pipeline.clock import FixedClock
from pipeline.errors import DataError, InterruptedRunError, PermanentError, TransientError
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.embedded import EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.plan import Plan, Scope
from pipeline.reverse_etl.snapshots import Snapshots
from pipeline.reverse_etl.syncs import Destination, RunFacts, Sync
from pipeline.reverse_etl.workbook import FILES, digest_of
from pipeline.runs.store import RunStore

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
LAPSED = replace(CUSTOMERS, name="lapsed", source="sync_lapsed", destination=Destination("tab", "Lapsed"))
DAY = date(2019, 5, 1)
FACTS = RunFacts(7, "v0003", date(2019, 5, 16), datetime(2019, 5, 17, 6, tzinfo=UTC))


def no_caller(sync: Sync) -> Any:
    pytest.fail(f"{sync.name} called an address")


Row = tuple[Any, ...]


def row(key: str | None, plan: str = "STANDARD", lapses: int = 0) -> Row:
    return (key, plan, lapses, DAY)


class Bank:
    """Marts that can be changed, a destination, and what was noted down about it."""

    def __init__(self, folder: Path, store: Any) -> None:
        self.path = folder / "destinations" / "crm.xlsx"
        self.store = store
        self.marts: dict[str, list[Row]] = {"sync_customers": [row("1"), row("2", "METAL"), row("3")], "sync_lapsed": [row("9")]}

    def read(self, mart: str) -> pa.Table:
        return pa.Table.from_pylist([dict(zip(SCHEMA.names, values, strict=True)) for values in self.marts[mart]], SCHEMA)

    def engine(self, *syncs: Sync, store: Any = None, **more: Any) -> EmbeddedReverseETL:
        folder, store = self.path.parent, store or self.store
        around = {"read": self.read, "folder": folder, "snapshots": folder.parent / "syncs", "store": store, **more}
        return EmbeddedReverseETL(syncs, Surroundings(facts=FACTS, **{"caller": no_caller, **around}))

    def run(self, *syncs: Sync, approved: str | None = None, **more: Any) -> tuple[SyncResult, ...]:
        syncs = syncs or (CUSTOMERS, LAPSED)
        results = self.engine(*syncs, **more).run(approved=approved)
        for sync, result in zip(syncs, results, strict=True):
            assert result.rows_in == len(self.marts[sync.source])
        return results

    def plan(self, sync: Sync = CUSTOMERS, **more: Any) -> Plan:
        return self.engine(sync, **more).plans()[0]

    def known(self, sync: str = "customers") -> set[str]:
        """The keys of which the next run will know that they were sent."""
        connection = duckdb.connect()
        Snapshots(self.path.parent.parent / "syncs", self.store).load(connection, sync, f"tab:{sync.capitalize()}")
        return {key for (key,) in connection.execute("select key from sent").fetchall()}

    def tab(self, name: str = "Customers") -> list[Row]:
        return list(openpyxl.load_workbook(self.path)[name].iter_rows(values_only=True))

    def keys_in_tab(self) -> list[Any]:
        return [values[0] for values in self.tab()[1:]]

    def edit(self, change: Callable[[Any], None]) -> None:
        workbook = openpyxl.load_workbook(self.path)
        change(workbook)
        workbook.save(self.path)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(
        tmp_path, RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=FixedClock(datetime(2019, 5, 17, tzinfo=UTC)))
    )


def counts(result: SyncResult) -> tuple[int, int, int, int, int]:
    return (result.created, result.updated, result.unchanged, result.deleted, result.rejected + result.invalid)


def test_the_first_run_creates_every_row_in_a_tab_of_its_own(bank: Bank) -> None:
    customers, lapsed = bank.run()
    assert (counts(customers), counts(lapsed)) == ((3, 0, 0, 0, 0), (1, 0, 0, 0, 0))
    assert (customers.service, customers.sync) == ("embedded reverse ETL", "customers")
    since = datetime(2019, 5, 1)
    assert bank.tab() == [
        ("user_id", "plan", "lapses", "since"),
        ("1", "STANDARD", 0, since),
        ("2", "METAL", 0, since),
        ("3", "STANDARD", 0, since),
    ]
    assert bank.tab("Lapsed")[1:] == [("9", "STANDARD", 0, since)]


def test_the_second_run_changes_nothing_and_leaves_the_file_alone(bank: Bank) -> None:
    bank.run()
    before = bank.path.stat()
    assert [counts(result) for result in bank.run()] == [(0, 0, 3, 0, 0), (0, 0, 1, 0, 0)]
    assert (bank.path.stat().st_mtime_ns, bank.path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_an_unchanged_run_does_not_even_read_the_file(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.run()
    monkeypatch.setattr("pipeline.reverse_etl.workbook.load_workbook", lambda *_, **__: pytest.fail("the file was read"))
    assert counts(bank.run()[0]) == (0, 0, 3, 0, 0)


def test_rows_are_created_updated_left_and_deleted_by_key(bank: Bank) -> None:
    bank.run()
    bank.marts["sync_customers"] = [row("4"), row("3"), row("2", "PREMIUM", 1)]
    assert counts(bank.run()[0]) == (1, 1, 1, 1, 0)
    assert {values[:3] for values in bank.tab()[1:]} == {("2", "PREMIUM", 1), ("3", "STANDARD", 0), ("4", "STANDARD", 0)}
    assert bank.known() == {"2", "3", "4"}


def test_rows_columns_and_tabs_of_other_people_stay(bank: Bank) -> None:
    bank.run()

    def work(workbook: Any) -> None:
        sheet = workbook["Customers"]
        sheet["F1"], sheet["F2"], sheet["F4"], sheet["G4"] = "note", "called", "angry", "=C4+1"
        sheet["A5"], sheet["F5"] = "77", "by hand"
        sheet["F6"] = "no key at all"
        sheet["F4"].font = openpyxl.styles.Font(bold=True)
        workbook.create_sheet("Mine")["B2"] = "=1+1"

    bank.edit(work)
    bank.marts["sync_customers"] = [row("1"), row("3", lapses=5), row("4")]
    assert counts(bank.run()[0]) == (1, 1, 1, 1, 0)
    assert [(values[0], values[2], values[5], values[6]) for values in bank.tab()] == [
        ("user_id", "lapses", "note", None),
        ("1", 0, "called", None),
        ("3", 5, "angry", "=C3+1"),
        ("77", None, "by hand", None),
        (None, None, "no key at all", None),
        ("4", 0, None, None),
    ]
    workbook = openpyxl.load_workbook(bank.path)
    assert workbook["Customers"]["F3"].font.bold
    assert workbook["Mine"]["B2"].value == "=1+1"


def test_links_heights_and_what_a_filter_hides_go_with_their_rows(bank: Bank) -> None:
    bank.run()

    def work(workbook: Any) -> None:
        sheet = workbook["Customers"]
        sheet["E1"] = "ticket"
        for number in (3, 4):
            sheet[f"E{number}"].hyperlink = f"https://tickets.bank.example/{number - 1}"
        sheet.row_dimensions[4].height, sheet.row_dimensions[3].hidden = 40, True

    bank.edit(work)
    bank.marts["sync_customers"] = [row("3")]
    bank.run()
    sheet = openpyxl.load_workbook(bank.path)["Customers"]
    assert [(cells[0].value, cells[4].hyperlink and cells[4].hyperlink.target) for cells in sheet.iter_rows(min_row=2)] == [
        ("3", "https://tickets.bank.example/3")
    ]
    assert {number: (found.height, found.hidden) for number, found in sheet.row_dimensions.items()} == {2: (40, False)}


def test_a_table_or_a_filter_over_all_rows_has_all_rows_again(bank: Bank) -> None:
    bank.run()

    def lay(workbook: Any) -> None:
        workbook["Customers"].add_table(Table(displayName="Everybody", ref="A1:D4"))
        workbook["Customers"]["F1"] = "mine"
        workbook["Customers"].add_table(Table(displayName="Two", ref="F1:F3"))
        workbook["Lapsed"].auto_filter.ref = "A1:D2"

    bank.edit(lay)
    for rows, lapsed in (("1", ()), ("12345", ("8", "9"))):
        bank.marts = {"sync_customers": [row(key) for key in rows], "sync_lapsed": [row(key) for key in lapsed] or [row("9")]}
        bank.run()
    workbook = openpyxl.load_workbook(bank.path)
    tables = workbook["Customers"].tables
    assert (tables["Everybody"].ref, tables["Everybody"].autoFilter.ref, tables["Two"].ref) == ("A1:D6", "A1:D6", "F1:F3")
    assert workbook["Lapsed"].auto_filter.ref == "A1:D3"


def test_a_row_of_other_people_is_never_deleted(bank: Bank) -> None:
    bank.run()
    bank.edit(lambda workbook: workbook["Customers"].append(["77", "their own"]))
    bank.marts["sync_customers"] = [row("1")]
    assert counts(bank.run()[0]) == (0, 0, 1, 2, 0)
    assert bank.keys_in_tab() == ["1", "77"]


def test_a_row_that_a_person_changed_or_removed_is_put_right(bank: Bank) -> None:
    bank.run()

    def meddle(workbook: Any) -> None:
        workbook["Customers"]["B2"] = "GOLD"
        workbook["Customers"].delete_rows(4)

    bank.edit(meddle)
    assert counts(bank.run()[0]) == (1, 1, 1, 0, 0)
    assert [values[:2] for values in bank.tab()[1:]] == [("1", "STANDARD"), ("2", "METAL"), ("3", "STANDARD")]


def test_a_key_that_a_person_typed_as_a_number_is_the_same_key(bank: Bank) -> None:
    bank.run()

    def retype(workbook: Any) -> None:
        workbook["Customers"]["A3"] = 2

    bank.edit(retype)
    assert counts(bank.run()[0]) == (0, 1, 2, 0, 0)
    assert bank.keys_in_tab() == ["1", "2", "3"]


def test_a_file_that_is_gone_is_made_anew(bank: Bank) -> None:
    bank.run()
    bank.path.unlink()
    assert counts(bank.run()[0]) == (3, 0, 0, 0, 0)


def test_columns_may_be_moved_and_a_new_column_finds_a_place(bank: Bank) -> None:
    bank.run()
    bank.edit(lambda workbook: workbook["Customers"].delete_cols(2))
    bank.edit(lambda workbook: workbook["Customers"].insert_cols(1))
    assert counts(bank.run()[0]) == (0, 3, 0, 0, 0)
    assert bank.tab()[:2] == [
        (None, "user_id", "lapses", "since", "plan"),
        (None, "1", 0, datetime(2019, 5, 1), "STANDARD"),
    ]


def test_rows_without_a_key_with_a_repeated_key_or_too_long_a_text_are_rejected_with_the_reason(bank: Bank) -> None:
    bank.run()
    bank.marts["sync_customers"] = [
        row("1"),
        row(None),
        row(""),
        row("2"),
        row("2", "METAL"),
        row("3", "x" * 32_768),
        row("4" * 201),
    ]
    result = bank.run()[0]
    assert counts(result) == (0, 0, 1, 0, 6)
    assert [(reject.key[:3], reject.reason) for reject in result.rejects] == [
        ("", "user_id is empty"),
        ("", "user_id is empty"),
        ("2", "user_id is there 2 times"),
        ("2", "user_id is there 2 times"),
        ("3", "a text has more than 32,767 characters"),
        ("444", "user_id has more than 200 characters"),
    ]
    assert result.to_json()["rejects"][0] == {"key": "", "reason": "user_id is empty"}
    assert bank.keys_in_tab() == ["1", "2", "3"]


@pytest.mark.parametrize(("rows", "doomed"), [([], 3), ([row(None)], 3), ([row("1"), row("1")], 2)])
def test_a_mart_without_one_row_to_send_deletes_nothing(bank: Bank, rows: list[Row], doomed: int) -> None:
    bank.run()
    before = bank.path.read_bytes()
    bank.marts["sync_customers"] = rows
    with pytest.raises(DataError, match=f"would delete all {doomed} sent before"):
        bank.run()
    assert bank.path.read_bytes() == before
    assert len(bank.known()) == 3


def test_a_list_that_may_be_empty_is_emptied_of_what_was_sent_but_not_by_faulty_rows(bank: Bank) -> None:
    bank.run()
    bank.edit(lambda workbook: workbook["Lapsed"].append(["77", "their own"]))
    winback = replace(LAPSED, may_be_empty=True)
    bank.marts["sync_lapsed"] = [row(None)]
    with pytest.raises(DataError, match="would delete all 1 sent before"):
        bank.run(winback)
    bank.marts["sync_lapsed"] = []
    assert counts(bank.run(winback)[0]) == (0, 0, 0, 1, 0)
    assert [values[0] for values in bank.tab("Lapsed")] == ["user_id", "77"]


def test_an_empty_mart_is_fine_while_nothing_was_sent(bank: Bank) -> None:
    bank.marts["sync_lapsed"] = []
    assert counts(bank.run()[1]) == (0, 0, 0, 0, 0)
    assert bank.tab("Lapsed") == [("user_id", "plan", "lapses", "since")]


def test_a_crash_between_the_file_and_the_note_repairs_itself(bank: Bank) -> None:
    class Crashing:
        sent_rows = bank.store.sent_rows

        def replace_sent_rows(self, *_: object) -> None:
            raise KeyboardInterrupt

    bank.run()
    bank.marts["sync_customers"] = [row("1", "METAL"), row("4")]
    with pytest.raises(KeyboardInterrupt):
        bank.run(store=Crashing())
    assert bank.keys_in_tab() == ["1", "4"]
    assert bank.known() == {"1", "2", "3"}
    assert counts(bank.run()[0]) == (0, 0, 2, 0, 0)
    assert bank.known() == {"1", "4"}
    bank.marts["sync_customers"] = [row("4")]
    assert counts(bank.run()[0]) == (0, 0, 1, 1, 0)


def test_a_run_that_lost_its_lease_leaves_file_and_notes_as_they_were(bank: Bank) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    bank.run()
    before, sent = bank.path.read_bytes(), bank.known()
    bank.marts["sync_customers"] = [row("5")]
    with pytest.raises(InterruptedRunError):
        bank.run(guard=lost)
    assert (bank.path.read_bytes(), bank.known()) == (before, sent)
    assert [path.name for path in bank.path.parent.iterdir()] == ["crm.xlsx"]


@pytest.mark.parametrize("is_theirs", [False, True], ids=["made anew", "patched"])
def test_what_somebody_saves_while_the_file_is_changed_is_not_undone(bank: Bank, is_theirs: bool) -> None:
    bank.run()
    if is_theirs:
        bank.edit(lambda workbook: workbook.create_sheet("Notes"))
    bank.marts["sync_customers"] = [row("1", "METAL")]

    def save() -> None:
        bank.edit(lambda workbook: workbook["Customers"].insert_rows(2))

    with pytest.raises(TransientError, match=r"Somebody saved the destination crm\.xlsx while it was being changed"):
        bank.run(guard=save)
    assert bank.keys_in_tab() == [None, "1", "2", "3"]
    bank.run()
    assert bank.keys_in_tab() == [None, "1"]


def test_a_file_that_lost_rows_on_the_way_is_not_put_in_place(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "row_counts", lambda _path: (3, 2))
    with pytest.raises(PermanentError, match="Customers was not written whole: 3 rows instead of 4"):
        bank.run()
    assert list(bank.path.parent.iterdir()) == []
    assert bank.known() == set()


def test_a_file_that_is_no_workbook_is_named_and_left(bank: Bank) -> None:
    bank.run()
    bank.path.write_bytes(bank.path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"crm\.xlsx cannot be read as a workbook") as caught:
        bank.run()
    assert "move it away" in caught.value.next
    assert bank.path.stat().st_size == 2000


def test_a_tab_that_belongs_to_someone_else_is_refused(bank: Bank) -> None:
    bank.path.parent.mkdir()
    workbook = openpyxl.Workbook()
    workbook.worksheets[0].title = "Customers"
    workbook.worksheets[0]["A1"] = "shopping list"
    workbook.save(bank.path)
    with pytest.raises(DataError, match="a tab Customers without the column user_id"):
        bank.run()


def test_a_text_that_looks_like_a_formula_is_sent_as_text(bank: Bank) -> None:
    bank.marts["sync_customers"] = [row("=1+1", "@SUM(1)")]
    bank.run()
    sheet = openpyxl.load_workbook(bank.path)["Customers"]
    assert [(cell.value, cell.data_type) for cell in sheet[2][:2]] == [("=1+1", "s"), ("@SUM(1)", "s")]
    assert counts(bank.run()[0]) == (0, 0, 1, 0, 0)


def test_a_mart_without_the_key_is_refused(bank: Bank) -> None:
    with pytest.raises(DataError, match="has no column id"):
        bank.run(replace(CUSTOMERS, key="id"))


KEYS = st.sampled_from([None, "1", "2", "3", "4", "5", "6", "7", "8"])
ROWS = st.lists(st.builds(row, KEYS, st.sampled_from(["STANDARD", "METAL", "=1", "a\rb"]), st.integers(0, 2)), max_size=10)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=4))
def test_after_any_history_the_tab_holds_the_mart_and_the_rows_of_other_people(
    tmp_path_factory: pytest.TempPathFactory, history: Sequence[tuple[list[Row], bool]]
) -> None:
    bank = Bank(tmp_path_factory.mktemp("bank"), Notes())
    theirs = 0
    expected: dict[str, Row] = {}
    for rows, someone_works in history:
        bank.marts["sync_customers"] = rows
        keys = [values[0] for values in rows]
        sendable = {values[0]: values for values in rows if values[0] and keys.count(values[0]) == 1}
        if not sendable and set(expected) - set(keys):
            with pytest.raises(DataError):
                bank.run()
            continue
        result = bank.run()[0]
        expected = {key: values for key, values in expected.items() if key in keys} | sendable
        assert (result.invalid, result.rejected) == (len(rows) - len(sendable), 0)
        assert counts(bank.run()[0])[:2] == (0, 0)
        found = {values[0]: values[1:3] for values in bank.tab()[1:] if values[0] is not None and "their" not in values[0]}
        assert found == {key: (values[1].replace("\r", "\n"), values[2]) for key, values in expected.items()}
        assert sum("their" in str(key) for key in bank.keys_in_tab()) == theirs
        if someone_works:
            bank.edit(lambda workbook: workbook["Customers"].insert_rows(2))
            bank.edit(lambda workbook, number=theirs: workbook["Customers"].__setitem__("A2", f"their {number}"))
            theirs += 1


def test_one_row_is_tried_and_all_others_stay_as_they_are(bank: Bank) -> None:
    bank.run(CUSTOMERS)
    bank.marts["sync_customers"] = [row("1", "METAL"), row("2", "PREMIUM"), row("4")]
    scope = Scope(only="2")
    [plan] = bank.engine(CUSTOMERS, scope=scope).plans()
    assert {act: rows for act, rows in plan.counts.items() if rows} == {"update": 1, "skip": 2}
    [result] = bank.engine(CUSTOMERS, scope=scope).run(approved=plan.digest)
    assert counts(result) == (0, 1, 2, 0, 0)
    assert [(values[0], values[1]) for values in bank.tab()[1:]] == [("1", "STANDARD"), ("2", "PREMIUM"), ("3", "STANDARD")]
    assert bank.known() == {"1", "2", "3"}
    [after] = bank.run(CUSTOMERS)
    assert counts(after) == (1, 1, 1, 1, 0)
    assert bank.keys_in_tab() == ["1", "2", "4"]


def test_one_row_may_be_the_first_that_ever_goes(bank: Bank) -> None:
    [result] = bank.engine(CUSTOMERS, scope=Scope(only="2")).run()
    assert counts(result) == (1, 0, 2, 0, 0)
    assert (bank.keys_in_tab(), bank.known()) == (["2"], {"2"})
    [after] = bank.run(CUSTOMERS)
    assert (counts(after), sorted(bank.keys_in_tab())) == ((2, 0, 1, 0, 0), ["1", "2", "3"])


@pytest.mark.parametrize(("key", "why"), [("1", "the destination has it as it is"), ("77", "the source has no such row")])
def test_a_row_that_needs_nothing_cannot_be_tried(bank: Bank, key: str, why: str) -> None:
    bank.run(CUSTOMERS)
    with pytest.raises(DataError, match=f"the row {key} cannot be tried: {why}"):
        bank.engine(CUSTOMERS, scope=Scope(only=key)).run()


def test_what_replaces_all_that_is_there_has_to_look_at_all_of_it_first(bank: Bank) -> None:
    replacing = replace(CUSTOMERS, mode="replace")
    with pytest.raises(DataError, match="has to be read whole first"):
        bank.engine(replacing, scope=Scope(only="2")).run()
    bank.run(replacing)
    bank.marts["sync_customers"] = [row("1"), row("2", "PREMIUM"), row("3")]
    [result] = bank.engine(replacing, scope=Scope(only="2")).run()
    assert counts(result) == (0, 1, 2, 0, 0)


def test_a_row_to_be_deleted_cannot_be_tried(bank: Bank) -> None:
    bank.run(CUSTOMERS)
    bank.marts["sync_customers"] = [row("1"), row("2", "METAL")]
    with pytest.raises(DataError, match="the row 3 cannot be tried: the source has no such row"):
        bank.engine(CUSTOMERS, scope=Scope(only="3")).run()


def test_afresh_looks_at_what_is_there_and_mends_it(bank: Bank) -> None:
    bank.run(CUSTOMERS)
    snapshot = bank.path.parent.parent / "syncs" / "customers.parquet"
    before = snapshot.read_bytes()
    bank.edit(lambda workbook: workbook["Customers"].__setitem__("B3", "their own"))
    bank.store.replace_sent_rows(FILES, {bank.path.name: digest_of(bank.path)})  # whose note tells of the file as they left it
    assert {act: rows for act, rows in bank.plan().counts.items() if rows} == {"same": 3}
    engine = bank.engine(CUSTOMERS, scope=Scope(afresh=True))
    [plan] = engine.plans()
    assert {act: rows for act, rows in plan.counts.items() if rows} == {"same": 2, "update": 1}
    assert (snapshot.read_bytes(), bank.tab()[2][1]) == (before, "their own")
    [result] = engine.run(approved=plan.digest)
    assert counts(result) == (0, 1, 2, 0, 0)
    assert bank.tab()[2][:2] == ("2", "METAL")


def test_the_plan_of_one_scope_is_not_that_of_another(bank: Bank) -> None:
    digests = {bank.engine(CUSTOMERS, scope=scope).plans()[0].digest for scope in (Scope(), Scope(only="1"), Scope(afresh=True))}
    assert len(digests) == 3
