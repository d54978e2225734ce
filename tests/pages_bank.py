"""The small demo bank that the tests of the pages read; built once a process, and nobody changes it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

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
