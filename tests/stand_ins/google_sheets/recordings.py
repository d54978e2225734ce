"""Holds the stand-in against answers that Google gave: gspread's recordings, asked again, call by call.

`make test-gspread GSPREAD=<its checkout>` prints how many answers are equal and where the others differ. Left out of the
comparison is what cannot be equal: ids, times, the default format and theme, sizes in pixels.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

from stand_ins.google_sheets.gspread_suite import HOSTS, PRIVATE
from stand_ins.google_sheets.server import ACCOUNT, StandIn, running
from stand_ins.google_sheets.tokens import SCOPES

UNEQUAL_BY_NATURE = {
    "createdTime",
    "defaultFormat",
    "id",
    "modifiedTime",
    "namedRangeId",
    "pixelSize",
    "protectedRangeId",
    "sheetId",
    "spreadsheetId",
    "spreadsheetTheme",
    "spreadsheetUrl",
}
NOT_COMPARED = ("/export", "/upload/", "/drive/v3/files?")  # files of other people, and formats that are not JSON


class Replay:
    """One recording, asked of the stand-in; ids of spreadsheets and tabs are followed from answer to answer."""

    def __init__(self, stand_in: StandIn, session: requests.Session) -> None:
        self._stand_in = stand_in
        self._session = session
        self._ids: dict[str, str] = {}
        self._recorded_tabs: dict[str, str] = {}

    def differences(self, recording: Path) -> Iterator[str | None]:
        """Of each call None where the answers are equal, else what differs."""
        for interaction in json.loads(recording.read_text(encoding="utf-8"))["interactions"]:
            asked, answered = interaction["request"], interaction["response"]
            found = self._ask(asked)
            recorded = _json(answered["body"]["string"])
            self._follow(recorded, _json(found.text))
            if any(part in asked["uri"] for part in NOT_COMPARED) or self._is_of_another_account(asked["uri"]):
                continue
            told = f"{asked['method']} {re.sub(r'/[A-Za-z0-9_-]{40,}', '/...', asked['uri'].partition('.com')[2])}"
            if answered["status"]["code"] != found.status_code:
                yield f"{told}: {answered['status']['code']} there, {found.status_code} here: {found.text[:200]}"
            elif (there := _masked(recorded)) != (here := _masked(_json(found.text))):
                yield f"{told}:\n  there {json.dumps(there)[:600]}\n  here  {json.dumps(here)[:600]}"
            else:
                yield None

    def _is_of_another_account(self, address: str) -> bool:
        """Whether a spreadsheet is asked for that the recording did not make: it was there before."""
        found = re.search(r"/(?:spreadsheets|files)/([A-Za-z0-9_-]{40,})", address)
        return bool(found) and found[1] not in self._ids and found[1] != PRIVATE

    def _ask(self, asked: dict[str, Any]) -> requests.Response:
        address, body = asked["uri"], asked["body"]
        for host in HOSTS:
            address = address.replace(host, self._stand_in.url)
        for there, here in self._ids.items():
            address = address.replace(there, here)
        for there, here in self._recorded_tabs.items():
            body = re.sub(rf'("(?:sheetId|namedRangeId|protectedRangeId)": "?){there}\b', rf"\g<1>{here}", body or "")
        headers = {"Content-Type": "application/json"}
        return self._session.request(asked["method"], address, data=(body or "").encode(), headers=headers)

    def _follow(self, recorded: Any, found: Any) -> None:
        if isinstance(recorded, dict) and isinstance(found, dict):
            for name in ("id", "spreadsheetId"):
                if len(str(recorded.get(name, ""))) > 20 and name in found:
                    self._ids[recorded[name]] = found[name]
            for name in ("sheetId", "namedRangeId", "protectedRangeId"):
                if recorded.get(name) and found.get(name):
                    self._recorded_tabs[str(recorded[name])] = str(found[name])
            for name in recorded.keys() & found.keys():
                self._follow(recorded[name], found[name])
        elif isinstance(recorded, list) and isinstance(found, list):
            for there, here in zip(recorded, found, strict=False):
                self._follow(there, here)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _masked(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _masked(value) for name, value in sorted(content.items()) if name not in UNEQUAL_BY_NATURE}
    if isinstance(content, list):
        return [_masked(value) for value in content]
    return round(content, 7) if isinstance(content, float) else content


def main(folder: Path) -> None:
    """Compare every recording of a folder."""
    counts: Counter[bool] = Counter()
    for recording in sorted(folder.glob("*.json")):
        with running() as stand_in:
            stand_in.create("private", shared={}, book_id=PRIVATE)
            credentials = service_account.Credentials.from_service_account_info(stand_in.key_file(ACCOUNT), scopes=SCOPES[:2])
            credentials._is_regional_access_boundary_lookup_required = lambda: False
            for difference in Replay(stand_in, AuthorizedSession(credentials)).differences(recording):
                counts[difference is None] += 1
                if difference is not None:
                    print(f"{recording.stem}: {difference}")  # noqa: T201
    print(f"{counts[True]:,} of {counts.total():,} answers are equal")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
