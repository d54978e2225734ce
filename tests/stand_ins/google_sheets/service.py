"""What the stand-in holds and answers: spreadsheets, sharing, and each path of the Sheets and Drive APIs."""

from __future__ import annotations

import csv
import io
import itertools
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stand_ins.google_sheets import batch, entered, reading, values
from stand_ins.google_sheets.errors import forbidden, invalid, not_found, not_in_the_stand_in
from stand_ins.google_sheets.grid import Book, Sheet

MIME = "application/vnd.google-apps.spreadsheet"
_SHEETS = re.compile(r"/v4/spreadsheets/(?P<book>[^/:]+)(?P<rest>.*)")
_DRIVE = re.compile(r"/(?:upload/)?drive/v[23]/files(?:/(?P<book>[^/]+)(?P<rest>.*))?")


@dataclass(frozen=True)
class Request:
    """One call, taken apart; `query` keeps every value of a name."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    user: str

    def one(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @property
    def singles(self) -> dict[str, str]:
        """The query with one value a name."""
        return {name: given[0] for name, given in self.query.items()}


@dataclass
class Service:
    """The spreadsheets by id; a lock makes each call one act."""

    clock: Callable[[], datetime]
    books: dict[str, Book] = field(default_factory=dict)
    comments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def create(self, title: str, owner: str, *, book_id: str = "") -> Book:
        """A new spreadsheet with one empty tab, shared with its owner."""
        book_id = book_id or f"1StandIn{next(self._ids):036d}"
        now = self._now()
        properties = {"locale": "en_US", "timeZone": "Etc/GMT"}
        sheet = Sheet(0, "Sheet1", [{} for _ in range(1000)], 26)
        book = Book(book_id, title, [sheet], {owner: "owner"}, now, now, properties)
        self.books[book_id] = book
        return book

    def answer(self, request: Request) -> Any:
        """The JSON (or bytes) that a call is answered with, None for 204; raises ApiError."""
        with self.lock:
            if match := _SHEETS.fullmatch(request.path):
                return self._sheets(match["book"], match["rest"], request)
            if match := _DRIVE.fullmatch(request.path):
                return self._drive(match["book"], match["rest"] or "", request)
        raise not_found()

    def kind(self, request: Request) -> str:
        """What a call asks for, in the words of the API."""
        match = _SHEETS.fullmatch(request.path)
        rest = match["rest"] if match else ""
        if not match:
            return "drive"
        if not rest:
            return "get"
        if rest.startswith("/values/"):
            tail = rest.rpartition(":")[2]
            return f"values.{tail if tail in ('append', 'clear') else 'get' if request.method == 'GET' else 'update'}"
        return ("values." if rest.startswith("/values") else "") + rest.rpartition(":")[2]

    def _book(self, book_id: str, user: str, *, writes: bool) -> Book:
        book = self.books.get(book_id)
        if book is None:
            raise not_found()
        if book.shared.get(user, book.shared.get("anyone")) not in (
            ("owner", "writer") if writes else ("owner", "writer", "reader")
        ):
            raise forbidden()
        return book

    def _now(self) -> str:
        return self.clock().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def _touch(self, book: Book) -> None:
        before = book.modified
        book.modified = self._now()
        if book.modified <= before:  # a clock that stands still still tells two changes apart
            book.modified = before[:-1].rstrip("Z") + "1Z"

    def _sheets(self, book_id: str, rest: str, request: Request) -> Any:
        book = self._book(book_id, request.user, writes=request.method != "GET")
        if request.method == "GET":
            return self._read(book, rest, request)
        draft, answer = self._changed(book, rest, request)
        self.books[book_id] = draft
        self._touch(draft)
        return answer

    def _read(self, book: Book, rest: str, request: Request) -> Any:
        if not rest:
            grid_data = request.one("includeGridData").casefold() == "true"
            ranges = list(request.query.get("ranges", []))
            return reading.get(book, ranges=ranges, grid_data=grid_data, mask=request.one("fields"))
        if rest == "/values:batchGet":
            found = [values.get(book, text, request.singles) for text in request.query.get("ranges", [])]
            return {"spreadsheetId": book.id, "valueRanges": found}
        if rest.startswith("/values/"):
            return values.get(book, rest.removeprefix("/values/"), request.singles)
        raise not_in_the_stand_in(f"GET {rest}")

    def _changed(self, book: Book, rest: str, request: Request) -> tuple[Book, Any]:
        body = request.body or {}
        if rest == ":batchUpdate":
            return self._batch(book, body)
        draft = book.draft()
        if rest == "/values:batchUpdate":
            option = body.get("valueInputOption", "")
            told = [values.update(draft, entry["range"], entry, option) for entry in body.get("data", [])]
            totals = {name: sum(each.get(f"updated{name}", 0) for each in told) for name in ("Rows", "Cells")}
            totals["Columns"] = max((each.get("updatedColumns", 0) for each in told), default=0)  # of one tab, the same columns
            counts = {f"totalUpdated{name}": total for name, total in totals.items()}
            return draft, {"spreadsheetId": book.id, **counts, "totalUpdatedSheets": 1, "responses": told}
        if rest == "/values:batchClear":
            return draft, {"spreadsheetId": book.id, "clearedRanges": [values.clear(draft, text) for text in body["ranges"]]}
        if rest.startswith("/values/"):
            return draft, self._values(draft, rest.removeprefix("/values/"), request, body)
        raise not_in_the_stand_in(f"{request.method} {rest}")

    def _values(self, draft: Book, text: str, request: Request, body: Any) -> Any:
        if request.method == "POST" and text.endswith(":clear"):
            return {"spreadsheetId": draft.id, "clearedRange": values.clear(draft, text.removesuffix(":clear"))}
        if request.method == "POST" and text.endswith(":append"):
            return values.append(draft, text.removesuffix(":append"), body, request.singles)
        includes = request.one("includeValuesInResponse").casefold() == "true"
        return values.update(draft, text, body, request.one("valueInputOption"), includes_values=includes)

    def _batch(self, book: Book, body: Mapping[str, Any]) -> tuple[Book, Any]:
        draft, replies = batch.apply(book, body.get("requests", []))
        answer: dict[str, Any] = {"spreadsheetId": book.id, "replies": replies}
        if body.get("includeSpreadsheetInResponse"):
            ranges, grid_data = list(body.get("responseRanges", [])), bool(body.get("responseIncludeGridData"))
            answer["updatedSpreadsheet"] = reading.get(draft, ranges=ranges, grid_data=grid_data, mask="")
        return draft, answer

    def _drive(self, book_id: str | None, rest: str, request: Request) -> Any:
        if book_id is None:
            return self._files(request)
        if "/upload/" in request.path:
            return self._import(self._book(book_id, request.user, writes=True), request)
        writes = request.method not in ("GET",) and rest not in ("/copy",)
        book = self._book(book_id, request.user, writes=writes)
        match request.method, rest:
            case "GET", "":
                return self._file(book)
            case "DELETE", "":
                del self.books[book_id]
                return None
            case "PATCH", "":
                book.title = request.body.get("name", book.title)
                return self._file(book)
            case "GET", "/export":
                return _exported(book)
            case "POST", "/copy":
                return self._copy(book, request)
            case _, "/comments":
                return self._comments(book, request)
        if rest.startswith("/permissions"):
            return self._permissions(book, rest.removeprefix("/permissions").strip("/"), request)
        raise not_in_the_stand_in(f"{request.method} drive {rest}")

    def _files(self, request: Request) -> Any:
        if request.method == "POST":
            book = self.create(request.body.get("name", "Untitled"), request.user)
            return {"kind": "drive#file", "id": book.id, "name": book.title, "mimeType": MIME}
        query = request.one("q")
        name = re.search(r"name\s*=\s*([\"'])(.*?)(?<!\\)\1", query)
        shown = [book for book in self.books.values() if request.user in book.shared]
        if name:
            shown = [book for book in shown if book.title == name[2].replace("\\'", "'").replace('\\"', '"')]
        return {"files": [self._file(book) for book in shown]}

    def _file(self, book: Book) -> dict[str, str]:
        return {"id": book.id, "name": book.title, "createdTime": book.created, "modifiedTime": book.modified}

    def _copy(self, book: Book, request: Request) -> Any:
        made = self.create((request.body or {}).get("name") or f"Copy of {book.title}", request.user)
        made.sheets, made.properties, made.names = book.draft().sheets, dict(book.properties), dict(book.names)
        return {"kind": "drive#file", "id": made.id, "name": made.title, "mimeType": MIME}

    def _comments(self, book: Book, request: Request) -> Any:
        held = self.comments.setdefault(book.id, [])
        if request.method == "POST":
            held.append(dict(request.body))
            return {"id": str(len(held))}
        return {"comments": held}

    def _permissions(self, book: Book, permission: str, request: Request) -> Any:
        if request.method == "GET":
            held = [{"id": email, "emailAddress": email, "role": role, "type": "user"} for email, role in book.shared.items()]
            return {"permissions": held}
        if request.method == "DELETE":
            book.shared.pop(permission, None)
            return None
        whose = request.body.get("emailAddress") or request.body.get("type", "anyone")
        book.shared[whose] = request.body["role"]
        return {"id": whose, "type": request.body.get("type"), "role": request.body["role"]}

    def _import(self, book: Book, request: Request) -> Any:
        if not isinstance(request.body, bytes):
            raise invalid("the upload is empty")
        lines = list(csv.reader(io.StringIO(request.body.decode())))
        sheet = book.sheets[0]
        columns = max((len(line) for line in lines), default=0)
        sheet.title, sheet.columns = book.title, max(26, columns)
        sheet.rows = [{} for _ in range(max(1000, len(lines)))]
        book.properties["timeZone"] = "America/Los_Angeles"  # a file that is read in has the time zone of nobody
        for row, line in enumerate(lines):
            for column, text in enumerate(line):
                sheet.put(row, column, entered.typed(text)[0])
        book.sheets = [sheet]
        return {"kind": "drive#file", "id": book.id, "title": book.title}


def _exported(book: Book) -> bytes:
    sheet = book.sheets[0]
    rows, columns = sheet.used()
    text = io.StringIO()
    lines = [[entered.shown(sheet.cell(row, column)) for column in range(columns)] for row in range(rows)]
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().removesuffix("\r\n").encode()
