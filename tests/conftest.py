"""Shared by every test: this folder is on the import path, and no setting of the machine reaches a test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_machine() -> None:
    """A developer's own NEOPULSE_* variables must not decide a test."""
    for name in [name for name in os.environ if name.startswith("NEOPULSE_")]:
        del os.environ[name]
