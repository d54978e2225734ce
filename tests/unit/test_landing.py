"""Landing the bank's raw tables: every form of file, and every fault told with its place."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, NeopulseError, TransientError
from pipeline.sources import csv_text, files
from pipeline.sources.csv_text import QuotationMarks
from pipeline.sources.landing import Landing, read_landing
from pipeline.sources.schema import RAW_TABLES

CLOCK = FixedClock(datetime(2019, 5, 17, 6, tzinfo=UTC))
SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "neobank_sample"


def header(table: str) -> str:
    return ",".join(RAW_TABLES[table].columns)


def user(number: int, city: str = "Ayr") -> str:
    return f"user_{number},1984,GB,{city},2018-12-04 10:28:02 UTC,0,STANDARD,,,0,0,0"


def transaction(number: int, city: str = "", created: str = "2018-12-05 10:28:02 UTC") -> str:
    return f"transaction_{number},CARD_PAYMENT,GBP,8.95,COMPLETED,TRUE,5812.0,{city},GBR,OUTBOUND,user_1,{created}"


def write(folder: Path, name: str, *lines: str, ends: str = "\n", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + ends for line in lines).encode(encoding))
    return path


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    folder = tmp_path / "bank"
    write(folder, "users.csv", header("users"), user(1), user(2))
    write(folder, "devices.csv", header("devices"), "Apple,user_1", "brand,user_id")
    write(folder, "transactions.csv", header("transactions"), transaction(1), transaction(2), transaction(3))
    return folder


@pytest.fixture
def landing_folder(tmp_path: Path) -> Path:
    return tmp_path / "landing"


@pytest.fixture
def land(bank: Path, landing_folder: Path) -> Callable[[], Landing]:
    return lambda: files.land(bank, landing_folder, clock=CLOCK, progress=lambda *_: None)


def rows(landing: Landing, table: str, columns: str = "*") -> list[tuple[object, ...]]:
    listed = [str(path) for path in landing.tables[table].files]
    return duckdb.connect().execute(f"select {columns} from read_parquet(?, union_by_name=true)", [listed]).fetchall()


def refusal(land: Callable[[], Landing], kind: type[NeopulseError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        land()
    error = caught.value
    assert error.where
    assert error.safe
    assert "neopulse run" in error.next
    return str(error)


def test_csv_files_land_as_strings_with_empty_text_as_null(land: Callable[[], Landing]) -> None:
    landing = land()
    assert {name: table.rows for name, table in landing.tables.items()} == {"users": 2, "devices": 2, "transactions": 3}
    assert rows(landing, "users", "user_id, birth_year, attributes_notifications_marketing_push, num_contacts") == [
        ("user_1", "1984", None, "0"),
        ("user_2", "1984", None, "0"),
    ]
    assert rows(landing, "devices") == [("Apple", "user_1"), ("brand", "user_id")]


def test_quoted_commas_newlines_and_marks_survive(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "transactions.csv", header("transactions"), transaction(1, '"Paris, ""La\nVille"""'), transaction(2))
    assert rows(land(), "transactions", "transaction_id, ea_merchant_city, created_date") == [
        ("transaction_1", 'Paris, "La\nVille"', "2018-12-05 10:28:02 UTC"),
        ("transaction_2", None, "2018-12-05 10:28:02 UTC"),
    ]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_every_line_end_and_the_byte_order_mark_are_read(
    bank: Path, land: Callable[[], Landing], ends: str, encoding: str
) -> None:
    write(bank, "users.csv", header("users"), user(1, "Zürich"), "", user(2, '"a, b"'), "", ends=ends, encoding=encoding)
    assert rows(land(), "users", "user_id, city, num_successful_referrals") == [
        ("user_1", "Zürich", "0"),
        ("user_2", "a, b", "0"),
    ]


def test_no_row_is_lost_where_line_ends_change_in_the_middle_of_a_large_file(bank: Path, land: Callable[[], Landing]) -> None:
    unix = "".join(transaction(number) + "\n" for number in range(60_000))
    path = write(bank, "transactions.csv", header("transactions"))
    path.write_bytes((header("transactions") + "\n" + unix + transaction(60_000) + "\r\n" + transaction(60_001)).encode())
    landing = land()
    assert landing.tables["transactions"].rows == 60_002
    assert rows(landing, "transactions", "count(distinct transaction_id), count(distinct created_date)") == [(60_002, 1)]


def test_columns_may_stand_in_any_order_with_spaces_around_and_others_between(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "devices.csv", ' note ,"string_field_1 ",note,string_field_0', "x,user_1,y,Apple")
    assert rows(land(), "devices") == [("Apple", "user_1")]


@pytest.mark.parametrize("name", ["transactions.csv", "transactions_2018.csv", "transactions/2018.csv"])
def test_a_table_is_one_file_or_many(bank: Path, land: Callable[[], Landing], name: str) -> None:
    (bank / "transactions.csv").unlink()
    write(bank, name, header("transactions"), transaction(1))
    write(bank, name.replace("2018", "2019").replace("s.csv", "s-2.csv"), header("transactions"), transaction(2), transaction(3))
    landing = land()
    assert landing.tables["transactions"].rows == 3
    assert len(landing.tables["transactions"].files) == 2


def test_compressed_parts_in_a_folder_are_read_and_marks_of_other_tools_are_not(bank: Path, land: Callable[[], Landing]) -> None:
    plain = (bank / "transactions.csv").read_bytes()
    (bank / "transactions.csv").unlink()
    (bank / "transactions").mkdir()
    (bank / "transactions" / "a.csv.gz").write_bytes(gzip.compress(plain))
    (bank / "transactions" / "_SUCCESS").touch()
    (bank / "transactions" / ".hidden.csv.gz").touch()
    assert land().tables["transactions"].rows == 3


def test_parquet_is_used_where_it_lies_and_may_be_typed(bank: Path, land: Callable[[], Landing], landing_folder: Path) -> None:
    (bank / "transactions.csv").unlink()
    text = {column: ["1"] for column in RAW_TABLES["transactions"].columns}
    parquet.write_table(pa.table(text), bank / "transactions-1.parquet")
    parquet.write_table(pa.table(text | {"amount_usd": [2.5], "extra": [0]}), bank / "transactions-2.parquet")
    landing = land()
    assert landing.tables["transactions"].files == (bank / "transactions-1.parquet", bank / "transactions-2.parquet")
    assert landing.tables["transactions"].rows == 2
    assert not (landing_folder / "transactions").exists()
    assert rows(landing, "transactions", "cast(amount_usd as varchar)") == [("1",), ("2.5",)]


def test_notifications_may_be_there_or_absent(bank: Path, land: Callable[[], Landing]) -> None:
    assert "notifications" not in land().tables
    write(bank, "notifications.csv", header("notifications"), "REENGAGEMENT,PUSH,SENT,user_1,2018-12-04 10:28:02 UTC")
    assert land().tables["notifications"].rows == 1


def test_an_unchanged_file_is_converted_once_and_a_changed_one_again(
    bank: Path, land: Callable[[], Landing], landing_folder: Path
) -> None:
    first = land().tables["users"].files[0]
    made = first.stat().st_mtime_ns
    assert land().tables["users"].files == (first,)
    assert first.stat().st_mtime_ns == made
    write(bank, "users.csv", header("users"), user(1), user(3))
    second = land()
    assert rows(second, "users", "user_id") == [("user_1",), ("user_3",)]
    assert list((landing_folder / "users").iterdir()) == list(second.tables["users"].files)


def test_the_manifest_gives_the_landing_back(land: Callable[[], Landing], landing_folder: Path) -> None:
    landing = land()
    assert read_landing(landing_folder) == landing
    assert (landing.source, landing.landed_at, landing.rows) == ("files", CLOCK.now(), 7)


def test_a_failed_extract_leaves_the_landing_before_it_in_force(
    bank: Path, land: Callable[[], Landing], landing_folder: Path
) -> None:
    landing = land()
    write(bank, "users.csv", header("users"), user(9))
    write(bank, "transactions.csv", header("transactions"), transaction(1), "transaction_2,TOPUP")
    refusal(land)
    assert read_landing(landing_folder) == landing
    landing.verify()
    assert not list(landing_folder.rglob("*.part"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": "files"}'])
def test_a_landing_that_cannot_be_read_asks_for_a_run(landing_folder: Path, content: str) -> None:
    landing_folder.mkdir()
    if content:
        (landing_folder / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="neopulse run"):
        read_landing(landing_folder)


def test_a_landed_file_that_changed_or_went_is_noticed(bank: Path, land: Callable[[], Landing]) -> None:
    (bank / "devices.csv").unlink()
    path = bank / "devices.parquet"
    parquet.write_table(pa.table({"string_field_0": ["Apple"], "string_field_1": ["user_1"]}), path)
    landing = land()
    landing.verify()
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataError, match="has changed since it was landed"):
        landing.verify()
    path.unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        landing.verify()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["Apple,user_1", "Apple"], "line 3 has 1 values where the header has 2"),
        (["Apple,user_1", "Apple,user_2,x"], "line 3 has 3 values where the header has 2"),
        (["Apple,user_1,", "Apple,user_2"], "line 2 has 3 values where the header has 2"),
        (['"a\nb",user_1', "", "Apple"], "line 5 has 1 values where the header has 2"),
        (['"Apple" x,user_1', "Apple,user_2"], "line 2 cannot be read"),
        (["Apple,user_1", 'Apple,"user_2', "Apple,user_3", "Apple,user_4"], "line 3 cannot be read"),
        (["Apple,user_1", 'Apple,"user_2', 'Apple,"user_3"', "Apple,user_4"], "line 3 cannot be read"),
    ],
)
def test_a_faulty_line_is_named(bank: Path, land: Callable[[], Landing], lines: list[str], told: str) -> None:
    path = write(bank, "devices.csv", header("devices"), *lines)
    message = refusal(land)
    assert told in message
    assert str(path) in message


def test_a_mark_inside_a_bare_value_is_taken_as_it_stands(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "devices.csv", header("devices"), 'Apple 5" x,user_1', "Android,user_2")
    assert rows(land(), "devices") == [('Apple 5" x', "user_1"), ("Android", "user_2")]


def test_a_latin_1_file_is_refused_with_its_line(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "users.csv", header("users"), user(1), user(2, "Orléans"), encoding="latin-1")
    assert "users.csv cannot be used: line 3 is not text in UTF-8 (byte 0xe9 at place 19)" in refusal(land)


def test_a_utf_16_file_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "users.csv", header("users"), user(1), encoding="utf-16")
    assert "line 1 is not text in UTF-8" in refusal(land)


def test_a_file_without_a_header_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "users.csv", user(1), user(2))
    assert "has none of the columns of users in its first line: user_1, 1984, GB, Ayr" in refusal(land)


def test_semicolons_are_told_apart_from_a_missing_header(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "devices.csv", "string_field_0;string_field_1", "Apple;user_1")
    assert "commas, not semicolons" in refusal(land)


def test_a_missing_column_is_named_before_anything_is_converted(
    bank: Path, land: Callable[[], Landing], landing_folder: Path
) -> None:
    write(bank, "transactions.csv", header("transactions").replace("amount_usd", "Amount_USD"), transaction(1))
    message = refusal(land)
    assert "transactions.csv has no column amount_usd" in message
    assert "Amount_USD" in message
    assert not landing_folder.exists()


def test_a_column_that_is_there_twice_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    write(bank, "devices.csv", "string_field_0,string_field_1,string_field_1", "Apple,user_1,user_2")
    assert "has the column string_field_1 more than once" in refusal(land)


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(bank: Path, land: Callable[[], Landing], content: bytes) -> None:
    (bank / "users.csv").write_bytes(content)
    assert "is empty: it has not even a header line" in refusal(land)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n\r\n"])
def test_a_table_without_rows_is_empty_but_transactions_must_have_some(
    bank: Path, land: Callable[[], Landing], ending: str
) -> None:
    (bank / "devices.csv").write_text(header("devices") + ending)
    assert land().tables["devices"].rows == 0
    (bank / "transactions.csv").write_text(header("transactions") + ending)
    assert "transactions.csv holds no row" in refusal(land)


@pytest.mark.parametrize("name", ["Users.CSV", "users/year=2019/part.csv"])
def test_a_missing_table_is_named_with_what_lies_nearest(bank: Path, land: Callable[[], Landing], name: str) -> None:
    (bank / name).parent.mkdir(parents=True, exist_ok=True)
    (bank / "users.csv").rename(bank / name)
    assert f"The table users is missing; the nearest is {name}" in refusal(land)


@pytest.mark.parametrize("name", ["users", "devices"])
def test_a_bank_that_has_no_such_table_sends_the_line_that_the_refusal_shows(
    bank: Path, land: Callable[[], Landing], name: str
) -> None:
    (bank / f"{name}.csv").unlink()
    with pytest.raises(DataError) as refused:
        land()
    shown = re.search(rf"{name}\.csv with the line (\S+) alone", refused.value.next)
    assert shown is not None
    (bank / f"{name}.csv").write_text(shown[1] + "\n")
    assert land().tables[name].rows == 0


def test_transactions_that_are_missing_cannot_be_made_up_by_a_line(bank: Path, land: Callable[[], Landing]) -> None:
    (bank / "transactions.csv").unlink()
    with pytest.raises(DataError) as refused:
        land()
    assert "alone" not in refused.value.next


def test_a_missing_folder_is_a_setting_to_mend(tmp_path: Path, landing_folder: Path) -> None:
    message = refusal(
        lambda: files.land(tmp_path / "no", landing_folder, clock=CLOCK, progress=lambda *_: None), ConfigurationError
    )
    assert "NEOPULSE_RAW" in message


@pytest.mark.parametrize("other", ["users.csv.gz", "users.parquet", "users/part.csv"])
def test_two_forms_of_one_table_are_refused(bank: Path, land: Callable[[], Landing], other: str) -> None:
    write(bank, other, header("users"), user(1))
    assert "The table users is there in more than one form" in refusal(land)


@pytest.mark.parametrize(
    "name",
    [
        "transactions_2019.CSV",
        "Transactions_2019.csv",
        "transactions/year=2019/part.csv",
        "transactions_2019/part.csv",
        "transactions_2019.csv.zip",
        "transactions_2019.tsv",
    ],
)
def test_a_file_of_a_table_that_would_be_passed_over_is_refused(bank: Path, land: Callable[[], Landing], name: str) -> None:
    write(bank, name, header("transactions"), transaction(4))
    assert f"1 file that is named like those of a table would not be read: {name}" in refusal(land)


@pytest.mark.parametrize(
    "name",
    ["transactions/_old/part.csv", "transactions/.part.csv.zip", "transactions.csv.bak", "transactions.csv.zip", "rates.csv"],
)
def test_what_is_no_file_of_a_table_stays_out(bank: Path, land: Callable[[], Landing], name: str) -> None:
    write(bank, name, header("transactions"), transaction(4))
    assert land().tables["transactions"].rows == 3


def test_files_are_known_by_their_places_where_the_file_system_numbers_them_anew_at_each_look(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, stat = itertools.count(1_000_000), Path.stat

    def numbered_anew(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = stat(path, follow_symlinks=follow_symlinks)
        return os.stat_result([found.st_mode, next(numbers), *found[2:]])

    monkeypatch.setattr(Path, "stat", numbered_anew)
    assert {source.table.name for source in files.find(bank)} >= {"users", "devices", "transactions"}


def test_a_column_of_parquet_that_is_there_in_two_spellings_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    (bank / "devices.csv").unlink()
    parquet.write_table(
        pa.table({"String_Field_1": ["user_2"], "string_field_0": ["Apple"], "string_field_1": ["user_1"]}),
        bank / "devices.parquet",
    )
    assert "devices.parquet has the column string_field_1 more than once" in refusal(land)


def test_a_parquet_file_that_is_cut_off_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    (bank / "devices.csv").unlink()
    path = bank / "devices.parquet"
    parquet.write_table(pa.table({"string_field_0": ["Apple"], "string_field_1": ["user_1"]}), path)
    whole = path.read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "devices.parquet is not a whole Parquet file" in refusal(land)


def test_a_compressed_file_that_is_cut_off_or_not_compressed_is_refused(bank: Path, land: Callable[[], Landing]) -> None:
    plain = (bank / "users.csv").read_bytes()
    (bank / "users.csv").unlink()
    (bank / "users.csv.gz").write_bytes(gzip.compress(plain)[:-12])
    assert "the file is cut off" in refusal(land)
    (bank / "users.csv.gz").write_bytes(plain)
    assert "is not compressed by gzip" in refusal(land)


def test_a_file_that_may_not_be_read_is_named(bank: Path, land: Callable[[], Landing], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> tuple[str, ...]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(csv_text, "read_header", denied)
    message = refusal(land, ConfigurationError)
    assert "may not be read by this user" in message
    assert str(bank / "users.csv") in message


def test_a_link_to_nowhere_is_named(bank: Path, land: Callable[[], Landing]) -> None:
    (bank / "devices.csv").unlink()
    (bank / "devices.csv").symlink_to(bank / "gone.csv")
    assert "devices.csv could not be landed: No such file or directory" in refusal(land)


def test_a_file_that_is_still_being_written_is_worth_another_try(bank: Path, landing_folder: Path) -> None:
    def append(_fraction: float | None, text: str) -> None:
        if "transactions" in text:
            with (bank / "transactions.csv").open("a") as stream:
                stream.write(transaction(4) + "\n")

    with pytest.raises(TransientError, match="changed while it was read"):
        files.land(bank, landing_folder, clock=CLOCK, progress=append)
    assert not (landing_folder / "manifest.json").exists()


def test_a_run_that_is_stopped_leaves_no_half_file(bank: Path, landing_folder: Path) -> None:
    def stop(*_: object) -> None:
        raise InterruptedRunError("stopped")

    with pytest.raises(InterruptedRunError):
        files.land(bank, landing_folder, clock=CLOCK, progress=stop)
    assert not [path for path in landing_folder.rglob("*") if path.is_file()]


def test_progress_goes_from_nothing_to_all(bank: Path, landing_folder: Path) -> None:
    told: list[float] = []
    files.land(bank, landing_folder, clock=CLOCK, progress=lambda fraction, _: told.append(fraction or 0.0))
    assert told == sorted(told)
    assert told[-1] == 1.0


VALUES = st.text(alphabet='ab",\n é', max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), st.sampled_from(["\n", "\r\n"]), st.integers(1, 9))
def test_marks_in_a_well_formed_file_are_never_doubtful_wherever_it_is_cut(
    records: list[tuple[str, str]], ends: str, size: int
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=ends).writerows(records)
    content = stream.getvalue().encode()
    marks = QuotationMarks()
    for start in range(0, len(content), size):
        marks.see(content[start : start + size])
    assert not marks.doubtful


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet='a",\n', max_size=12), st.integers(1, 5))
def test_what_the_strict_reader_refuses_is_doubtful_wherever_it_is_cut(content: str, size: int) -> None:
    marks = QuotationMarks()
    for start in range(0, len(content), size):
        marks.see(content[start : start + size].encode())
    try:
        list(csv.reader(io.StringIO(content, newline=""), strict=True))
    except csv.Error:
        assert marks.doubtful


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUES.filter(bool), VALUES.filter(bool)), min_size=1, max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_what_lands(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], ends: str
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator=ends).writerows([("a", "b"), *records])
    assert csv_text.to_parquet(folder / "a.csv", folder / "a.parquet", ("b", "a"), progress=lambda _: None) == len(records)
    assert parquet.read_table(folder / "a.parquet").to_pydict() == {"b": [b for _, b in records], "a": [a for a, _ in records]}


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the bank's sample files are not at {SAMPLE.name}")
def test_the_banks_sample_lands_row_by_row(landing_folder: Path) -> None:
    landing = files.land(SAMPLE, landing_folder, clock=CLOCK, progress=lambda *_: None)
    assert {name: table.rows for name, table in landing.tables.items()} == {
        "users": 19_430,
        "devices": 19_431,
        "transactions": 42_648,
    }
    with (SAMPLE / "transactions.csv").open(encoding="utf-8", newline="") as stream:
        expected = [tuple(value or None for value in record) for record in csv.reader(stream)][1:]
    assert rows(landing, "transactions") == expected
