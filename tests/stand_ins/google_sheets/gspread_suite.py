"""A pytest plugin that runs gspread's own tests, unmodified, against the stand-in: `make test-gspread GSPREAD=<its checkout>`.

Their conftest signs in with the key file that GS_CREDS_FILENAME names; what is sent to Google's hosts is sent to the stand-in
instead. They mark with `vcr` what is replayed from recordings: an empty one takes its place, for nothing is replayed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import pytest
import requests
from gspread.http_client import HTTPClient
from requests.adapters import HTTPAdapter

from stand_ins.google_sheets.server import StandIn, running

HOSTS = ("https://sheets.googleapis.com", "https://www.googleapis.com")
PRIVATE = "1jIKzPs8LsiZZdLdeMEP-5ZIHw6RkjiOmj1LrJN706Yc"  # the spreadsheet that their tests expect to be refused
_held = contextlib.ExitStack()


def pytest_load_initial_conftests() -> None:
    """Start the stand-in before their conftest is read: it looks at the environment when it is imported."""
    stand_in = _held.enter_context(running())
    stand_in.create("private", shared={}, book_id=PRIVATE)
    stand_in.service.create("another one", "neopulse@bank-analytics.iam.gserviceaccount.com")
    folder = Path(_held.enter_context(tempfile.TemporaryDirectory()))
    key_file = folder / "key.json"
    key_file.write_text(json.dumps(stand_in.key_file()), encoding="utf-8")
    os.environ["GS_CREDS_FILENAME"] = str(key_file)
    _redirect(stand_in)
    _without_recordings()


def pytest_unconfigure() -> None:
    """Stop it."""
    _held.close()


class _Redirected(HTTPAdapter):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        for host in HOSTS:
            request.url = (request.url or "").replace(host, self._url)
        return super().send(request, *args, **kwargs)


def _redirect(stand_in: StandIn) -> None:
    made = HTTPClient.__init__

    def init(self: HTTPClient, auth: Any, session: Any = None) -> None:
        made(self, auth, session)
        if hasattr(self, "auth"):
            self.auth._is_regional_access_boundary_lookup_required = lambda: False
        for host in HOSTS:
            self.session.mount(host, _Redirected(stand_in.url))

    HTTPClient.__init__ = init  # type: ignore[method-assign]


def _without_recordings() -> None:
    recorder, errors = types.ModuleType("vcr"), types.ModuleType("vcr.errors")
    recorder.VCR = type("VCR", (), {"ensure_suffix": staticmethod(lambda suffix: suffix)})  # type: ignore[attr-defined]
    errors.CannotOverwriteExistingCassetteException = type("Never", (Exception,), {})  # type: ignore[attr-defined]
    sys.modules |= {"vcr": recorder, "vcr.errors": errors}
    pytest.mark.vcr = lambda: lambda marked: marked  # type: ignore[assignment]  # they mark a fixture, which pytest 9 refuses
