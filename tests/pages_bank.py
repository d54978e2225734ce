"""The small demo bank that the tests of the pages read, built once a process; and whoever sits down before the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the app loads slowly, and most tests do without it
    from streamlit_app.auth import User

LAST_DAY = date(2019, 5, 10)
TRANSACTIONS = 20_000


@pytest.fixture(scope="session")
def pages_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A NEOPULSE_HOME with one published version of a small demo bank."""
    import builds
    import chain

    from pipeline.sources.demo import generate

    folder = tmp_path_factory.mktemp("pages_bank")
    generate(folder / "raw", transactions=TRANSACTIONS, seed=7)
    with builds.building(builds.direct):
        chain.publish(folder / "raw", folder / "home", as_of=LAST_DAY)
    return folder / "home"


@pytest.fixture
def bank_of_the_pages(pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app reads the bank of the pages, and has a run store of its own."""
    from streamlit_app import auth, data

    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setenv("NEOPULSE_RUN_STORE", f"sqlite:///{tmp_path / 'run_store.db'}")
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()
    yield
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()


@pytest.fixture
def come_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[User], None]:
    """Somebody else sits down before the screen."""
    from streamlit_app import auth

    return lambda user: monkeypatch.setattr(auth, "current_user", lambda: user)
