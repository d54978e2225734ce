"""Shared by every test: this folder is on the import path, and no setting of the machine reaches a test."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from pipeline import masking
from pipeline.runs import database

pytest_plugins = ["n8n_kit", "pages_bank", "postgres_kit"]

# Deterministic, so that a run of the tests says the same twice; PROOF_EXAMPLES asks for that many others each time.
# A failure shrinks, for five minutes at most, unless PROOF_AS_FOUND is set.
_MORE = int(os.environ.get("PROOF_EXAMPLES", "0"))
settings.register_profile(
    "proof",
    max_examples=_MORE or 3,
    derandomize=not _MORE,
    database=None,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, *([] if os.environ.get("PROOF_AS_FOUND") else [Phase.shrink])],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


# Whose tests share a bank, a browser or a compiled project that takes long to make: one process makes it, not both.
_TOGETHER = ("integration", "e2e")


@pytest.hookimpl(tryfirst=True)  # before xdist, which looks at the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of such a file in one process."""
    for item in items:
        if item.path.parent.name in _TOGETHER and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


_PROGRAM = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def the_program_is_the_tests() -> Iterator[None]:
    """A page under test puts itself in the place of the main program and stays there: a later process would run it."""
    yield
    sys.modules["__main__"] = _PROGRAM


@pytest.fixture(autouse=True)
def no_secret_of_another_test() -> Iterator[None]:
    """What one test's settings called a secret is an ordinary word in the next."""
    yield
    masking.forget()


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_machine() -> None:
    """A developer's own NEOPULSE_* variables must not decide a test."""
    for name in [name for name in os.environ if name.startswith("NEOPULSE_")]:
        del os.environ[name]


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power, and a killed process loses nothing that it wrote; there are tens of thousands of flushes."""
    set_up_sqlite = database._set_up_sqlite

    @functools.wraps(set_up_sqlite)
    def without_flushing(connection: Any, record: Any) -> None:
        set_up_sqlite(connection, record)
        connection.execute("pragma synchronous = off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setattr(database, "_set_up_sqlite", without_flushing)
        yield
