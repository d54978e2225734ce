"""Readers of versions stay open as long as they are asked for, and refuse what they could only pass over."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hand_made import version

from pipeline.errors import ConfigurationError
from pipeline.marts import Question, family
from pipeline.marts import reader as readers
from pipeline.marts.question import checked


def test_the_reader_that_was_not_asked_for_longest_is_closed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("pipeline.marts.reader")  # the package has a function of that name
    monkeypatch.setattr(module, "Reader", lambda _version: object())
    monkeypatch.setattr(module, "_open", {})
    versions = [replace(version(), name=f"v{number}", folder=Path(f"v{number}")) for number in range(5)]
    current = readers(versions[0])
    for older in versions[1:]:
        opened = readers(older)
        assert readers(older) is opened
        assert readers(versions[0]) is current  # everybody else looks at it
    assert list(module._open) == ["v3", "v4", "v0"]


@pytest.mark.parametrize("metric", ["survival", "window_sensitivity", "silence_risk"])
def test_what_is_told_of_all_days_together_takes_no_range_of_them(metric: str) -> None:
    for asked in (Question(metric, start=date(2020, 1, 1)), Question(metric, end=date(2020, 1, 31))):
        with pytest.raises(ConfigurationError, match=f"^{metric} is told of all days up to the last one together"):
            checked(asked, family(metric), published_window=90)
    assert checked(Question(metric), family(metric), published_window=90).end is None
