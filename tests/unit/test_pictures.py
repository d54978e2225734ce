"""A chart as a picture: drawn offline by a program of its own, with its rows, its title and the theme's colours."""

from __future__ import annotations

import json
import struct
from datetime import date

import pyarrow as pa
import pytest

from pipeline.errors import PermanentError
from streamlit_app import charts, pictures
from streamlit_app.charts import Chart
from streamlit_app.messages import text

ROWS = pa.table(
    {
        "date": [date(2026, 1, 1), date(2026, 2, 1)],
        "value": [0.05, 0.06],
        "n": [100, 90],
        "low": [0.02, 0.03],
        "high": [0.1, 0.12],
        "final_on": [date(2026, 1, 31), date(2026, 2, 28)],
        "provisional": [False, True],
    }
)


def spec(chart: Chart, language: str = "en") -> dict[str, object]:
    return dict(chart.spec(language, text))


def size(picture: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture[16:24])
    return int(width), int(height)


def test_a_chart_becomes_a_png_of_twice_its_size_without_asking_anybody() -> None:
    drawn = pictures.png(pictures.whole(spec(charts.SHARE_OVER_TIME), ROWS, title="Churn", lines=["N = 90 days · v0001"]))
    assert drawn.startswith(b"\x89PNG")
    width, height = size(drawn)
    assert width > 2 * pictures.WIDTH
    assert height > 400


def test_the_picture_holds_the_rows_the_title_and_no_word_of_the_theme() -> None:
    whole = pictures.whole(spec(charts.CARD_SHARE_BY_COUNTRY), ROWS, title="Churn", lines=["to 28 Feb 2026"])
    assert [row["date"] for row in whole["datasets"]["drawn"]] == ["2026-01-01", "2026-02-01"]
    assert (whole["title"]["text"], whole["title"]["subtitle"]) == (["Churn"], ["to 28 Feb 2026"])
    written = json.dumps(whole)
    assert '"value": "gray"' not in written
    assert '"value": "primary"' not in written
    assert pictures._palette().context in written


def test_a_long_caption_is_broken_and_the_picture_no_wider_for_it() -> None:
    words = "a caption of many words " * 40
    short, long = (
        pictures.png(pictures.whole(spec(charts.SHARE_OVER_TIME), ROWS, title=title, lines=[line]))
        for title, line in (("Churn", "to 28 Feb 2026"), (words, words))
    )
    assert width(long) == width(short)


def width(png: bytes) -> int:
    """In pixels: the first number of the first chunk."""
    return int.from_bytes(png[16:20])


def test_what_cannot_be_drawn_is_told_and_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermanentError, match="could not be drawn"):
        pictures.png(pictures.whole({"mark": "no mark at all", "encoding": 7}, ROWS, title="x", lines=[]))
    monkeypatch.setattr(pictures, "SECONDS", 0.001)
    with pytest.raises(PermanentError, match="TimeoutExpired"):
        pictures.png(pictures.whole(spec(charts.SHARE_OVER_TIME), ROWS, title="x", lines=[]))
