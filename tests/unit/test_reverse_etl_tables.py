"""Destinations that can be read back: every mode in a workbook, a CSV file and the tabs of a service, and the fast workbook."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sent_notes import Notes

from pipeline.errors import DataError, InterruptedRunError, TransientError
from pipeline.reverse_etl import plain_workbook
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.csv_file import CsvRows, cell
from pipeline.reverse_etl.embedded import EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.plain_workbook import PlainTab
from pipeline.reverse_etl.syncs import Destination, Field, Mode, RunFacts, Sync
from pipeline.reverse_etl.workbook import WorkbookRows
from pipeline.spreadsheets import same, storable

FACTS = RunFacts(7, "v0003", date(2019, 5, 16), datetime(2019, 5, 17, 6, tzinfo=UTC))


class Tabs:
    """The tabs of a spreadsheet service, in memory."""

    def __init__(self) -> None:
        self.tabs: dict[str, dict[str, dict[str, Any]]] = {}
        self.writes: list[tuple[str, set[str], set[str]]] = []

    def read(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Sequence[Any]]:
        del key
        return {known: [row.get(name) for name in columns] for known, row in self.tabs.get(tab, {}).items()}

    computed = read

    def write(
        self, tab: str, columns: Sequence[str], key: str, changed: Mapping[str, Sequence[Any]], deleted: Collection[str]
    ) -> None:
        del key
        rows = self.tabs.setdefault(tab, {})
        for known, row in changed.items():
            rows[known] = rows.get(known, {}) | dict(zip(columns, row, strict=True))
        for known in deleted:
            del rows[known]
        self.writes.append((tab, set(changed), set(deleted)))


class Desk:
    """A mart that can be changed, and one destination of any kind."""

    def __init__(self, home: Path, kind: str) -> None:
        self.home = home
        self.kind = kind
        self.notes = Notes()
        self.tabs = Tabs()
        name = "customers.csv" if kind == "csv" else "Customers"
        self.sync = Sync(
            name="customers",
            source="mart",
            key="id",
            destination=Destination("csv" if kind == "csv" else "tab", name),
            mode="mirror",
            owner="someone",
            description="what it is for",
        )
        self.mart = self.table({"1": "A", "2": "A", "3": "A"})

    @staticmethod
    def table(rows: Mapping[str, str]) -> pa.Table:
        return pa.table({"id": pa.array(list(rows), pa.string()), "plan": pa.array(list(rows.values()), pa.string())})

    @property
    def path(self) -> Path:
        return self.home / "destinations" / ("customers.csv" if self.kind == "csv" else "crm.xlsx")

    def run(self, *, guard: Any = lambda: None, **changes: Any) -> SyncResult:
        around = Surroundings(
            read=lambda _mart: self.mart,
            folder=self.home / "destinations",
            snapshots=self.home / "syncs",
            store=self.notes,
            facts=FACTS,
            caller=lambda _sync: pytest.fail("an address was called"),
            tabs=self.tabs if self.kind == "service" else None,
            guard=guard,
        )
        [result] = EmbeddedReverseETL((replace(self.sync, **changes),), around).run()
        assert result.rows_in == self.mart.num_rows
        return result

    def there(self) -> dict[str, str]:
        """Key to plan, as the destination has it."""
        if self.kind == "service":
            return {key: row["plan"] for key, row in self.tabs.tabs.get("Customers", {}).items()}
        if self.kind == "csv":
            with self.path.open(encoding="utf-8", newline="") as stream:
                return {row["id"]: row["plan"] for row in csv.DictReader(stream)}
        sheet = openpyxl.load_workbook(self.path)["Customers"]
        return {str(row[0]): row[1] for row in sheet.iter_rows(min_row=2, values_only=True)}

    def add_by_hand(self, key: str, plan: str) -> None:
        if self.kind == "service":
            self.tabs.tabs.setdefault("Customers", {})[key] = {"id": key, "plan": plan}
        elif self.kind == "csv":
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(f"{key},{plan}\n")
        else:
            workbook = openpyxl.load_workbook(self.path)
            workbook["Customers"].append([key, plan])
            workbook.save(self.path)


@pytest.fixture(params=["workbook", "csv", "service"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return Desk(tmp_path, request.param)


def counts(result: SyncResult) -> tuple[int, int, int, int, int]:
    return (result.created, result.updated, result.unchanged, result.deleted, result.skipped)


@pytest.mark.parametrize(
    ("mode", "told", "left"),
    [
        ("mirror", (1, 2, 0, 1, 0), {"1": "B", "9": "B", "4": "A", "77": "theirs"}),
        ("upsert", (1, 2, 0, 0, 0), {"1": "B", "9": "B", "4": "A", "77": "theirs", "2": "A", "3": "A"}),
        ("update_only", (0, 2, 1, 0, 1), {"1": "B", "9": "B", "77": "theirs", "2": "A", "3": "A"}),
        ("create_only", (1, 0, 2, 0, 2), {"1": "A", "9": "theirs", "4": "A", "77": "theirs", "2": "A", "3": "A"}),
        ("append", (1, 0, 2, 0, 2), {"1": "A", "9": "theirs", "4": "A", "77": "theirs", "2": "A", "3": "A"}),
        ("replace", (1, 2, 0, 3, 0), {"1": "B", "9": "B", "4": "A"}),
    ],
)
def test_each_mode_does_what_its_name_says(desk: Desk, mode: Mode, told: tuple[int, ...], left: dict[str, str]) -> None:
    desk.mart = desk.table({"1": "A", "2": "A", "3": "A"} if mode != "mirror" else {"1": "A", "2": "A"})
    desk.run(mode="upsert")
    desk.add_by_hand("9", "theirs")
    desk.add_by_hand("77", "theirs")
    desk.mart = desk.table({"1": "B", "9": "B", "4": "A"})
    assert counts(desk.run(mode=mode)) == told
    assert desk.there() == left
    again = desk.run(mode=mode)
    assert (again.sent, again.deleted, again.unchanged) == (0, 0, 3)
    assert desk.there() == left


def test_an_unchanged_night_touches_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run()
    before = desk.path.stat() if desk.path.exists() else None
    snapshot = (desk.home / "syncs" / "customers.parquet").stat().st_mtime_ns
    if desk.kind != "service":
        monkeypatch.setattr(WorkbookRows, "read", lambda *_: pytest.fail("the file was read"))
        monkeypatch.setattr("pipeline.reverse_etl.csv_file.CsvRows.read", lambda *_: pytest.fail("the file was read"))
    assert counts(desk.run()) == (0, 0, 3, 0, 0)
    assert (desk.path.stat() if desk.path.exists() else None) == before
    assert (desk.home / "syncs" / "customers.parquet").stat().st_mtime_ns == snapshot
    assert len(desk.tabs.writes) == (1 if desk.kind == "service" else 0)


def test_a_service_is_handed_only_what_changed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "service")
    desk.run()
    desk.mart = desk.table({"1": "B", "2": "A", "4": "A"})
    desk.run()
    assert desk.tabs.writes[1:] == [("Customers", {"1", "4"}, {"3"})]


def test_a_lost_snapshot_deletes_nothing_and_begins_anew(desk: Desk) -> None:
    desk.run()
    (desk.home / "syncs" / "customers.parquet").unlink()
    desk.mart = desk.table({"1": "A"})
    result = desk.run()
    assert (counts(result), "nothing is deleted" in result.notes[0]) == ((0, 0, 1, 0, 0), True)
    assert set(desk.there()) == {"1", "2", "3"}
    assert desk.run().notes == ()


def test_a_lost_snapshot_deletes_nothing_where_other_rows_change_either(desk: Desk) -> None:
    desk.run()
    (desk.home / "syncs" / "customers.parquet").unlink()
    desk.mart = desk.table({"1": "B", "5": "A"})
    assert counts(desk.run()) == (1, 1, 0, 0, 0)
    assert desk.there() == {"1": "B", "2": "A", "3": "A", "5": "A"}


def test_the_keys_of_an_earlier_neopulse_are_taken_over(desk: Desk) -> None:
    desk.run()
    (desk.home / "syncs" / "customers.parquet").unlink()
    desk.notes = Notes()
    desk.notes.replace_sent_rows("customers", {"1": "old hash", "2": "old hash", "3": "old hash"})
    desk.mart = desk.table({"1": "A", "2": "B"})
    assert counts(desk.run()) == (0, 1, 1, 1, 0)


def test_a_run_that_lost_its_lease_changes_nothing(desk: Desk) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    desk.run()
    before = desk.there()
    desk.mart = desk.table({"5": "A", "1": "A", "2": "A"})
    with pytest.raises(InterruptedRunError):
        desk.run(guard=lost)
    assert desk.there() == before
    assert counts(desk.run()) == (1, 0, 2, 1, 0)


def test_facts_of_the_run_are_stamped_and_no_reason_to_write(desk: Desk) -> None:
    fields = (Field("id", column="id"), Field("plan", column="plan"), Field("version", run="version"))
    desk.run(fields=fields)
    if desk.kind == "service":
        assert desk.tabs.tabs["Customers"]["1"] == {"id": "1", "plan": "A", "version": "v0003"}
    desk.add_by_hand("77", "theirs")
    assert counts(desk.run(fields=fields)) == (0, 0, 3, 0, 0)


def test_rows_that_people_keep_in_a_tab_can_be_the_source(tmp_path: Path) -> None:
    for kind in ("workbook", "service"):
        desk = Desk(tmp_path / kind, kind)
        desk.run()
        desk.add_by_hand("77", "theirs")
        fields = (Field("customer", column="id"), Field("plan", column="plan"))
        desk.mart = desk.table({"1": "", "2": "", "3": "", "77": ""})  # as many rows as the tab has
        result = desk.run(
            name="blocked", from_tab=True, source="Customers", fields=fields, destination=Destination("csv", "blocked.csv")
        )
        assert result.created == 4
        assert (desk.home / "destinations" / "blocked.csv").read_text() == "customer,plan\n1,A\n2,A\n3,A\n77,theirs\n"
        with pytest.raises(DataError, match="the tab Nobody is not there"):
            desk.run(name="blocked", from_tab=True, source="Nobody", fields=fields)


def test_rows_of_a_workbook_are_sent_on_with_what_their_formulas_came_to(tmp_path: Path) -> None:
    path = tmp_path / "crm.xlsx"
    workbook = openpyxl.Workbook()
    for line in (("id", "plan"), ("1", "=40+2"), ("2", "GOLD"), (None, "=40+2")):  # the last one filled down below the rows
        workbook.active.append(line)
    workbook.save(path)

    def computed() -> dict[str, Any]:
        return dict(WorkbookRows(path, Notes()).computed("Sheet", ("id", "plan"), "id"))

    with pytest.raises(DataError, match="has a formula in B2 of the tab Sheet that nothing has computed yet"):
        computed()
    for kind, came_to, value in (("n", "<v>42</v>", 42), ("str", "<v></v>", None)):
        save_as_computed(path, kind, came_to)
        assert computed() == {"1": ["1", value], "2": ["2", "GOLD"]}
    save_as_computed(path, "e", "<v>#N/A</v>")
    with pytest.raises(DataError, match="B2 of the tab Sheet that comes to #N/A"):
        computed()


def save_as_computed(path: Path, kind: str, came_to: str) -> None:
    """The file as a spreadsheet program saves it: with the value beside the formula."""
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name).decode() for name in source.namelist()}
    cell = f'<c r="B2" t="{kind}"><f>40+2</f>{came_to}</c>'
    name = "xl/worksheets/sheet1.xml"
    parts[name], replaced = re.subn(r'<c r="B2".*?</c>', cell, parts[name])
    assert replaced == 1
    with zipfile.ZipFile(path, "w") as target:
        for part, content in parts.items():
            target.writestr(part, content)


def test_a_csv_keeps_the_columns_and_rows_of_other_people_and_holds_no_formula(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "csv")
    desk.path.parent.mkdir(parents=True)
    desk.path.write_text('note,id,plan\n"called, twice",1,old\nmine,88,x\n', encoding="utf-8")
    desk.mart = desk.table({"1": "=1+1", "2": "a\nb", "-5": "é"})
    assert counts(desk.run()) == (2, 1, 0, 0, 0)
    assert desk.path.read_text(encoding="utf-8") == ('note,id,plan\n"called, twice",1,\'=1+1\nmine,88,x\n,2,"a\nb"\n,\'-5,é\n')
    desk.path.write_text(desk.path.read_text(encoding="utf-8") + "x,99,y\n", encoding="utf-8")
    assert counts(desk.run()) == (0, 0, 3, 0, 0)
    desk.mart = desk.table({"1": "=1+1"})
    assert counts(desk.run()) == (0, 0, 1, 2, 0)


def test_a_new_column_of_a_csv_goes_behind_what_people_wrote_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("user_id,plan\n1,GOLD,calls back in May\n2,BLUE\n")
    columns = ("user_id", "plan", "lapses")
    CsvRows(path, Notes()).write("", columns, "user_id", {"1": ("1", "GOLD", "0"), "3": ("3", "RED", "1")}, ())
    assert path.read_text() == "user_id,plan,,lapses\n1,GOLD,calls back in May,0\n2,BLUE,,\n3,RED,,1\n"


def test_what_somebody_saves_while_a_csv_is_changed_is_not_undone(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("user_id\n1\n")
    rows = CsvRows(path, Notes(), guard=lambda: path.write_text("user_id,note\n1,call\n") and None)
    with pytest.raises(TransientError, match="Somebody saved the destination"):
        rows.write("", ("user_id",), "user_id", {"2": ("2",)}, ())
    assert path.read_text() == "user_id,note\n1,call\n"


def test_no_key_and_no_text_of_a_csv_is_a_formula_and_each_key_is_found_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "csv")
    keys = ["=1", "＝1", " =1", "a;=1", ";@x", 'a;"-1', "'x", "a;b", "a-b"]
    desk.mart = desk.table(dict.fromkeys(keys, "＠SUM(1)"))
    assert counts(desk.run()) == (len(keys), 0, 0, 0, 0)
    with desk.path.open(encoding="utf-8", newline="") as stream:
        written = dict(list(csv.reader(stream))[1:])
    assert list(written) == ["'=1", "'＝1", "' =1", "a;'=1", ";'@x", "a;\"'-1", "'x", "a;b", "a-b"]
    assert set(written.values()) == {"'＠SUM(1)"}
    desk.path.write_text(desk.path.read_text(encoding="utf-8") + "99,theirs\n", encoding="utf-8")  # so that it is read again
    assert counts(desk.run()) == (0, 0, len(keys), 0, 0)
    desk.mart = desk.table({"=1": "B"})
    assert counts(desk.run()) == (0, 1, 0, len(keys) - 1, 0)


@pytest.mark.parametrize(("content", "told"), [(b"\xff\xfe\x00", "cannot be read as CSV"), (b"a,b\n1,2\n", "has no column id")])
def test_a_csv_of_somebody_else_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    desk = Desk(tmp_path, "csv")
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        desk.run()
    assert desk.path.read_bytes() == content


def test_values_of_a_csv() -> None:
    given_values = [
        None,
        True,
        3,
        1.5,
        float("nan"),
        Decimal("1.10"),
        date(2019, 5, 1),
        datetime(2019, 5, 1, 2, tzinfo=UTC),
        "\t=1",
    ]
    assert [cell(value) for value in given_values] == [
        *(None, "true", "3", "1.5", None, "1.1", "2019-05-01", "2019-05-01T02:00:00"),
        "'\t=1",
    ]


def test_a_key_is_a_text_or_a_whole_number(desk: Desk) -> None:
    desk.mart = pa.table({"id": [1.5, 2.5], "plan": ["A", "B"]})
    with pytest.raises(DataError, match="the key id is a double; a key is a text or a whole number"):
        desk.run()
    desk.mart = pa.table({"id": [date(2026, 1, 2)], "plan": ["A"]})  # a workbook gives it back as a moment
    with pytest.raises(DataError, match="the key id is a date"):
        desk.run()
    desk.mart = pa.table({"id": [1, 2], "plan": ["A", "B"]})
    assert counts(desk.run()) == (2, 0, 0, 0, 0)
    assert counts(desk.run()) == (0, 0, 2, 0, 0)
    assert set(desk.there()) == {"1", "2"}


def test_a_workbook_that_nobody_worked_in_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.reverse_etl.workbook.load_workbook", lambda *_, **__: pytest.fail("the file was opened"))
    desk = Desk(tmp_path, "workbook")
    desk.run()
    desk.mart = desk.table({"1": "B", "3": "A", "4": "A"})
    assert counts(desk.run()) == (1, 1, 1, 1, 0)


def test_a_workbook_that_keeps_a_row_the_source_cannot_give_is_patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, "workbook")
    desk.run()
    desk.mart = pa.table({"id": ["1", "2", "2"], "plan": ["B", "X", "Y"]})
    result = desk.run()
    assert (counts(result), result.invalid) == ((0, 1, 0, 1, 0), 2)
    assert desk.there() == {"1": "B", "2": "A"}
    monkeypatch.setattr("pipeline.reverse_etl.workbook.load_workbook", lambda *_, **__: pytest.fail("the file was opened"))
    desk.mart = desk.table({"1": "C", "2": "C"})
    assert counts(desk.run()) == (0, 2, 0, 0, 0)  # it is still ours alone
    assert desk.there() == {"1": "C", "2": "C"}


def test_a_tab_of_a_sync_that_is_gone_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "workbook")
    desk.run()
    desk.run(name="other", destination=Destination("tab", "Other"))
    assert openpyxl.load_workbook(desk.path).sheetnames == ["Customers", "Other"]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15),
    st.text(max_size=20),
    st.sampled_from(["=1+1", "+3", "@SUM(1)", " spaced ", "<&>\"'", "a\r\nb", "\x00", "_x0041_", ""]),
    st.dates(),
    st.datetimes(timezones=st.none()),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=8))
def test_a_plain_workbook_gives_back_what_can_be_stored(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("plain") / "plain.xlsx"
    plain_workbook.write(path, [PlainTab("A & <B>", ["first", "=second"], rows), PlainTab("Empty", ["x"], [])])
    workbook = openpyxl.load_workbook(path)
    assert workbook.sheetnames == ["A & <B>", "Empty"]
    sheet = workbook["A & <B>"]
    assert sheet.freeze_panes == "A2"
    assert (sheet["A1"].value, sheet["A1"].font.bold, sheet["B1"].data_type) == ("first", True, "s")
    for number, row in enumerate(rows, start=2):
        for letter, value in zip("AB", row, strict=True):
            found, expected = sheet[f"{letter}{number}"], storable(value)
            assert same(expected, found.value), (expected, found.value)
            assert found.data_type != "f"
            assert not isinstance(expected, bool) or found.value is expected
            if isinstance(expected, str):
                assert found.quotePrefix == expected.startswith(("=", "+", "-", "@"))
