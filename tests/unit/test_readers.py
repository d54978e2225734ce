"""Readers of versions stay open as long as they are asked for."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import version

from pipeline.marts import reader as readers


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
