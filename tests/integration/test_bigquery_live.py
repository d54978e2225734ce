"""The comparison of both engines on the real BigQuery, for who has a project: `make test-bigquery-live`.

It makes datasets of a random prefix, which lose their tables after a day, and removes them at the end. It signs in with
the application default credentials and costs some cents at most: a query may be billed 1 GiB.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = os.environ.get("NEOPULSE_BQ_LIVE_PROJECT", "")
LOCATION = os.environ.get("NEOPULSE_BQ_LIVE_LOCATION", "EU")
if not PROJECT:
    pytest.skip("NEOPULSE_BQ_LIVE_PROJECT names no project: nothing was run on the real BigQuery", allow_module_level=True)

import bigquery_bank  # noqa: E402
from engines import built_everything, content, different, nights, run, write_days  # noqa: E402
from google.cloud import bigquery  # noqa: E402

from pipeline.settings import Settings  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix of our own; every dataset that begins so goes when the test has ended."""
    name = f"neopulse_live_{secrets.token_hex(4)}"
    yield name
    client = bigquery.Client(PROJECT, location=LOCATION)
    for dataset in client.list_datasets():
        if dataset.dataset_id.startswith(name):
            client.delete_dataset(dataset.reference, delete_contents=True)


def test_the_real_service_and_duckdb_publish_the_same_three_nights_long(prefix: str, tmp_path: Path) -> None:
    folder, source = tmp_path / "bank", f"{prefix}_source"
    folder.mkdir()
    client = bigquery.Client(PROJECT, location=LOCATION)
    common: dict[str, Any] = {"inactivity_days": 14}
    on_duckdb = Settings(_env_file=None, raw=folder, home=tmp_path / "duckdb", **common)
    on_bigquery = Settings(
        _env_file=None,
        warehouse="bigquery",
        home=tmp_path / "bigquery",
        bigquery_project=PROJECT,
        bigquery_location=LOCATION,
        bigquery_prefix=prefix,
        bigquery_source=f"{PROJECT}.{source}",
        bigquery_maximum_bytes=2**30,
        **common,
    )
    began_from_nothing = []
    for name, tables in nights():
        write_days(folder, tables)
        bigquery_bank.load(client, tables, dataset=source, location=LOCATION)
        (_, local), (done, remote) = run(on_duckdb, name), run(on_bigquery, name)
        began_from_nothing.append(built_everything(done))
        assert different(content(remote), content(local)) == [], name
    assert began_from_nothing == [True, False, False]
