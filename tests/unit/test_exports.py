"""Files: for whom they are written, by the rights of that moment, what is noted down, and that no cell is a formula."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.marts import Question
from pipeline.runs.trail import Acts
from streamlit_app import auth, data, exports
from streamlit_app.auth import Role, RoleError, StaleError, User
from streamlit_app.components import chart, chart_files

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

VIEWER, MANAGER = User("vera", Role.VIEWER), User("max", Role.MANAGER)
OF_FRANCE = frozenset({"FR"})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("dangerous", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "=cmd|'/c calc'!A0"])
def test_no_cell_of_a_file_is_a_formula_and_numbers_stay_numbers(
    form: Any, dangerous: str, come_in: Callable[[User], None]
) -> None:
    from openpyxl import load_workbook

    come_in(VIEWER)
    written = exports.table("figures", ["name", dangerous], [[dangerous, -5]], form=form)
    if form == "csv":
        (header, row) = csv.reader(io.StringIO(written.decode(), newline=""))
        assert row == [f"'{dangerous}", "-5"]
        assert header[1] == f"'{dangerous}"
    else:
        sheet = load_workbook(io.BytesIO(written)).active
        assert [cell.data_type for cell in sheet[2]] == ["s", "n"]
        assert sheet["B2"].value == -5
        assert sheet["A2"].quotePrefix


def test_a_count_has_no_decimal_point_and_every_number_keeps_its_value() -> None:
    numbers = [839.0, -2.0, 0.0, 0.5, 1234, float(2**60), math.inf, None, True]
    _, row = csv.reader(io.StringIO(exports.csv_text(["a"] * len(numbers), [numbers]).decode()))
    assert row == ["839", "-2", "0", "0.5", "1234", "1.152921504606847e+18", "inf", "", "True"]


def test_a_file_is_noted_down_with_who_what_filters_and_rows_and_refused_without_the_role(
    come_in: Callable[[User], None],
) -> None:
    come_in(VIEWER)
    with pytest.raises(RoleError):
        exports.table("customers", ["user_id"], [["1"]], needs=Role.MANAGER)
    come_in(MANAGER)
    exports.table(
        "customers",
        ["user_id"],
        [["1"], ["2"]],
        needs=Role.MANAGER,
        form="xlsx",
        filters={"country": ["FR", "GB"], "plan": "METAL"},
    )
    come_in(User("ada", Role.ADMIN))
    (noted,) = data.run_store().acts(Acts(), limit=10)
    assert (noted.who, noted.action, noted.what) == ("max", "export", "customers")
    assert noted.after == {"form": "xlsx", "rows": 2, "filters": {"country": "FR|GB", "plan": "METAL"}}


def test_what_a_stale_tab_shows_is_no_file_any_more_once_the_rights_are_gone(
    come_in: Callable[[User], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed: list[Callable[[], bytes]] = []
    monkeypatch.setattr(chart_files, "menu", lambda files: chart_files.buttons(files, auth.current_user()))
    monkeypatch.setattr(chart_files, "button", lambda _label, make, **_: pressed.append(make))

    def draw(user: User) -> Callable[[], bytes]:
        come_in(user)
        answer = data.answer(Question("active_customers", by="plan"))
        chart.download(answer.table, chart.basis_of(answer), key="active_customers")
        return pressed[-2]  # the CSV: a workbook carries the moment of writing

    of_france, of_two = User("max", Role.MANAGER, OF_FRANCE), User("max", Role.MANAGER, OF_FRANCE | {"GB"})
    file = draw(MANAGER)()
    for drawn_for, now, may in (
        (MANAGER, VIEWER, False),  # who sees no figure of few customers any more
        (MANAGER, of_france, False),
        (of_two, of_france, False),
        (of_france, User("max", Role.VIEWER, OF_FRANCE), False),
        (of_france, of_two, True),
        (of_france, of_france, True),
        (MANAGER, User("max", Role.ADMIN), True),
    ):
        make = draw(drawn_for)
        come_in(now)
        if may:
            assert (make() == file) is (drawn_for is MANAGER)
        else:
            with pytest.raises(StaleError):
                make()
    come_in(User("ada", Role.ADMIN))
    assert [row.what for row in data.run_store().acts(Acts(), limit=10)] == ["active_customers"] * 4


def test_no_page_hands_out_a_file_but_by_the_button_that_checks_who_asks() -> None:
    here = Path(data.__file__).parent
    files = [path for path in here.rglob("*.py") if "download_button(" in path.read_text(encoding="utf-8")]
    assert [path.name for path in files] == ["download.py"]
    assert "disableDataExport = true" in (here / ".streamlit" / "config.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a\n@x", "a\n'@x"),
        ("=1;-2", "'=1;'-2"),
        ("a; b", "a; b"),
        ("a-b", "a-b"),
        (";=1+1", ";'=1+1"),
        ('a;"=1', "a;\"'=1"),
    ],
)
def test_no_cell_begins_a_formula_where_semicolons_separate(text: str, written: str) -> None:
    assert exports.safe_cell(text) == written
