"""The World Bank, restcountries (v5, and v3.1 as it is now) and Frankfurter (v2) on one loopback server, as they answer.

Faults are taken one a call of a service: a status, or `html`, `cut`, `hang`, or a function that spoils the answer's content.
"""

from __future__ import annotations

import csv
import hashlib
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stand_ins.serving import HOST, Handler, started, stopped

KEY = "rc_live_of_the_tests_0001"
COUNTRIES = Path(__file__).resolve().parents[3] / "pipeline" / "extract" / "countries.csv"
Fault = int | str | Callable[[Any], Any]
GONE = {"success": False, "data": None, "errors": [{"message": "This API version has been deprecated. Please use v5."}]}


@dataclass(frozen=True)
class Call:
    """One request: path, parameters, headers."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


@dataclass
class FactsStandIn:
    """`extra_people` are added to each population: no figure is the snapshot's. `corrections` replace rates."""

    extra_people: int = 1_000_000
    newest_year: int = 2025
    etags: bool = True
    currencies_as_list: bool = False
    today: date = date(2026, 11, 25)
    corrections: dict[tuple[str, str], float] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> FactsStandIn:
        house = self

        class Own(_Handler):
            facts = house

        self._server = started(ThreadingHTTPServer((HOST, self.port), Own))
        self.port = self._server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            stopped(self._server)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead here."""
        address = f"http://{HOST}:{self.port}"
        return {
            "facts_world_bank": f"{address}/v2",
            "facts_restcountries": f"{address}/countries/v5",
            "facts_frankfurter": f"{address}/frankfurter/v2",
        }

    def asked(self, service: str) -> list[Call]:
        return [call for call in self.calls if _service(call.path) == service]

    def world_bank(self, asked: dict[str, str]) -> Any:
        """Every country and some regions, each year, the newest empty for some."""
        if asked.get("format") != "json":
            return "<wb:error/>"
        first, last = (int(year) for year in asked["date"].split(":"))
        places = [(row["alpha_2"], row["alpha_3"], int(row["population"] or 0)) for row in _countries() if row["population"]]
        places += [("ZH", "AFE", 700_000_000), ("1A", "ARB", 480_000_000), ("XK", "XKX", 1_700_000)]
        rows = []
        for two, three, people in places:
            for year in range(last, first - 1, -1):
                is_known = year <= self.newest_year - (three == "ERI")
                value = people + self.extra_people - 1000 * (self.newest_year - year) if is_known else None
                indicator = {"id": "SP.POP.TOTL", "value": "Population, total"}
                rows.append({"indicator": indicator, "country": {"id": two, "value": three}, "countryiso3code": three})
                rows[-1] |= {"date": str(year), "value": value, "unit": "", "obs_status": "", "decimal": 0}
        page = int(asked.get("per_page", 50))
        head = {"page": 1, "pages": -(-len(rows) // page), "per_page": page, "total": len(rows), "lastupdated": "2026-10-07"}
        return [head | {"sourceid": "2"}, rows[:page]]

    def restcountries(self, asked: dict[str, str]) -> Any:
        limit, offset = min(int(asked.get("limit", 25)), 100), int(asked.get("offset", 0))
        rows = [row for row in _countries() if row["population"]]
        objects = [self._country(row) for row in rows[offset : offset + limit]]
        meta = {"total": len(rows), "count": len(objects), "limit": limit, "offset": offset}
        return {"data": {"objects": objects, "meta": meta | {"more": offset + limit < len(rows), "request_id": "r-1"}}}

    def _country(self, row: dict[str, str]) -> dict[str, Any]:
        currency = "BGN" if row["alpha_2"] == "BG" else row["currency"]  # as every source had it in 2026
        named: Any = {currency: {"name": "Money", "symbol": "¤"}} if currency else {}
        if self.currencies_as_list:
            named = [{"code": code, "name": "Money"} for code in named]
        capitals = [{"name": "Second City", "primary": False}, {"name": row["capital"], "primary": True}]
        return {
            "names": {"common": row["name_en"]},
            "codes": {"alpha_2": row["alpha_2"], "alpha_3": row["alpha_3"]},
            "capitals": capitals if row["capital"] else [],
            "population": int(row["population"]) + 7,
            "area": {"kilometers": float(row["area_km2"]) if row["area_km2"] else None},
            "currencies": named,
        }

    def rates(self, asked: dict[str, str]) -> Any:
        """The ECB's rates of working days; other providers would blend in others."""
        first = date.fromisoformat(asked["from"]) if "from" in asked else self.today
        last = min(date.fromisoformat(asked.get("to", self.today.isoformat())), self.today)
        quotes = asked.get("quotes", "USD,GBP").split(",")
        blend = 0.0 if asked.get("providers") == "ECB" else 0.001
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return [
            {"date": day.isoformat(), "base": asked.get("base", "EUR"), "quote": quote, "rate": self.rate(day, quote) + blend}
            for day in days
            if day.weekday() < 5
            for quote in quotes
        ]

    def rate(self, day: date, quote: str) -> float:
        """What a euro costs: any number, the same each time."""
        plain = round(1 + int(hashlib.sha256(f"{day} {quote}".encode()).hexdigest()[:4], 16) / 65536, 4)
        return self.corrections.get((day.isoformat(), quote), plain)


class _Handler(Handler):
    facts: FactsStandIn

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.facts.calls.append(Call(parts.path, asked, dict(self.headers)))
        service = _service(parts.path)
        waiting = self.facts.faults.get(service, [])
        fault = waiting.pop(0) if waiting else None
        if isinstance(fault, (int, str)):
            return self._fail(fault)
        if service == "gone":
            return self._answer(200, GONE)
        if service == "restcountries" and self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._answer(401, {"errors": [{"message": "Invalid API key"}]})
        content = getattr(self.facts, service)(asked)
        is_marked = service == "world_bank" and self.facts.etags
        return self._answer(200, fault(content) if fault is not None else content, etag=is_marked)

    def _fail(self, fault: int | str) -> None:
        if isinstance(fault, int):
            return self._answer(fault, {"errors": [{"message": "no"}]})
        if fault == "html":
            return self._send(200, b"<!doctype html><title>Sign in</title>", "text/html")
        if fault == "hang":
            time.sleep(2)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
        return None

    def _answer(self, status: int, content: Any, *, etag: bool = False) -> None:
        body = json.dumps(content).encode()
        mark = '"' + hashlib.sha256(body).hexdigest()[:12] + '"'
        if etag and self.headers.get("If-None-Match") == mark:
            return self._send(304, b"", "application/json", mark)
        # the World Bank puts a byte order mark first
        return self._send(status, (b"\xef\xbb\xbf" + body) if etag else body, "application/json", mark if etag else "")

    def _send(self, status: int, body: bytes, kind: str, etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body)


def _service(path: str) -> str:
    if path.startswith("/v2/country/all/indicator/SP.POP.TOTL"):
        return "world_bank"
    if path.startswith("/countries/v5/"):
        return "restcountries"
    return "rates" if path.startswith("/frankfurter/v2/rates") else "gone"


def _countries() -> list[dict[str, str]]:
    with COUNTRIES.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
