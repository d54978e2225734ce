"""Tables that a click on a column sorts: how their numbers read where the page does not speak the browser's language."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from streamlit.runtime.context import ContextProxy

from streamlit_app import messages
from streamlit_app.components import sortable

TABLE = pa.table({"n": [1007, 780, None], "share": [0.285, None, 0.9], "group": ["b", "a", "c"]})
NUMBERS = {"n": sortable.count, "share": sortable.tenth_of_a_percent}


@pytest.mark.parametrize(("browser", "page"), [("fr-FR", "fr"), ("en-US", "en")])
def test_a_browser_of_the_page_s_language_writes_them_itself(monkeypatch: pytest.MonkeyPatch, browser: str, page: str) -> None:
    speak(monkeypatch, browser, page)
    assert sortable.rows(TABLE, NUMBERS) is TABLE
    assert (sortable.counts()["type_config"]["format"], sortable.shares()["type_config"]["format"]) == ("localized", "percent")


@pytest.mark.parametrize(
    ("browser", "page", "written"),
    [
        ("en-US", "fr", ["1 007", "28,5 %", "b", "780", "–", "a", "–", "90,0 %", "c"]),
        ("de-DE", "en", ["1,007", "28.5%", "b", "780", "–", "a", "–", "90.0%", "c"]),
        ("fr-CH", "fr", ["1 007", "28,5 %", "b", "780", "–", "a", "–", "90,0 %", "c"]),
        (None, "en", ["1,007", "28.5%", "b", "780", "–", "a", "–", "90.0%", "c"]),
    ],
)
def test_in_another_language_they_are_written_for_it_and_stay_numbers(
    monkeypatch: pytest.MonkeyPatch, browser: str | None, page: str, written: list[str]
) -> None:
    speak(monkeypatch, browser, page)
    styled = sortable.rows(TABLE, NUMBERS)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", styled.to_html())
    assert [" ".join(cell.split()) for cell in cells] == written
    assert [str(type) for type in styled.data.dtypes[:2]] == ["float64", "float64"]
    assert (sortable.counts()["type_config"]["format"], sortable.shares()["type_config"]["format"]) == (None, None)


@pytest.mark.parametrize(
    ("shown", "pixels"),
    [(["7", "1234567890"], None), (["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "7"], 312), (["x" * 200], 400), ([], None)],
)
def test_a_column_of_identifiers_is_as_wide_as_the_longest_of_them(shown: list[str], pixels: int | None) -> None:
    """A UUID has 36 letters, 8 pixels each, beside a margin of 24."""
    assert sortable.identifiers("Customer", shown)["width"] == pixels


def speak(monkeypatch: pytest.MonkeyPatch, browser: str | None, page: str) -> None:
    monkeypatch.setattr(ContextProxy, "locale", browser)
    monkeypatch.setattr(messages, "_looked_up", lambda: page)
