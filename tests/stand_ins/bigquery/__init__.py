"""A stand-in for BigQuery on the loopback address, for the real google-cloud-bigquery and dbt-bigquery clients.

Queries are checked and run by Google's own analyzer and reference executor (PyPI `zetasql`), rows are kept in DuckDB.

    server.running()   a stand-in for the length of a `with` block
    client(stand_in)   the real client, pointed at it
    checks.analyze()   a statement through the analyzer alone
    faults.Fault       how a call shall fail
"""

from __future__ import annotations

import importlib.util
from typing import Any

NEEDED = {
    "zetasql": "Google's analyzer and executor",
    "google.cloud.bigquery": "the real client",
    "dbt.adapters.bigquery": "the real dbt adapter",
}


def skip_without_the_packages() -> None:
    """Skip the calling test module, saying which package of the `dev` extra is not there."""
    import pytest

    for name, purpose in NEEDED.items():
        if not _is_there(name):
            pytest.skip(f"{name} is not installed ({purpose}): nothing of BigQuery was tested", allow_module_level=True)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def client(stand_in: Any, project: str = "project-one") -> Any:
    """A google-cloud-bigquery client of the stand-in; it never calls Google."""
    from google.cloud import bigquery
    from google.oauth2.credentials import Credentials

    token: Any = Credentials
    return bigquery.Client(project, token("any"), client_options={"api_endpoint": stand_in.url})
