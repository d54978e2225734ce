"""The list of syncs on the page of runs: what was not taken, what a person should know, and where the service shows its run."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.reverse_etl.base import Reject, SyncResult
from streamlit_app import operations
from streamlit_app.components import run_table

PARTIAL = SyncResult(
    "status",
    "Census API v2",
    updated=3,
    unchanged=5,
    rejected=1,
    invalid=2,
    rejects=(Reject("7", "no such contact"),),
    notes=("partial: the destination refused 1 records",),
    link="https://census.example/syncs/41",
)
AS_BEFORE = {  # as an earlier neopulse recorded it
    "sync": "earlier",
    "service": "embedded reverse ETL",
    **{"created": 1, "updated": 0, "unchanged": 0, "deleted": 0, "rejected": 0, "rejects": []},
}


def page() -> None:
    from streamlit_app.components import sync_table

    sync_table.show("Europe/Paris")


def test_a_partial_sync_is_told_with_its_refused_rows_and_the_way_to_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = {"location": "there", "syncs": [dict(PARTIAL.to_json()), AS_BEFORE]}
    step = SimpleNamespace(name="activate", detail=detail, ended_at=datetime(2026, 1, 1, tzinfo=UTC), service="Census")
    monkeypatch.setattr(operations, "newest_step", lambda _name: (SimpleNamespace(), step))
    monkeypatch.setattr(operations, "undelivered", lambda: [])
    monkeypatch.setattr(run_table, "name", lambda _run: "run 3")
    shown = AppTest.from_function(page, default_timeout=60).run()
    assert not shown.exception
    assert [each.value for each in shown.warning] == ["status: partial: the destination refused 1 records"]
    told = [each.value for each in shown.markdown]
    assert "[status at Census API v2](https://census.example/syncs/41)" in told
    assert "**Rows that were not taken: 1 of 3**" in told
