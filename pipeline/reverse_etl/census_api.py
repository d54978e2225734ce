"""Census (now Fivetran Activations) over HTTP: its addresses, its answers, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError
from pipeline.http import Answer, Patience, Service

ADDRESS = "https://app.getcensus.com"
PAGE_ROWS = 100  # the most that a page may have
MOST_PAGES = 50
RETIRED = "Census retires API v1 on 2027-01-15: set NEOPULSE_CENSUS_API=v2 and a personal access token"
TAKEN = frozenset({"succeeded", "success", "completed"})  # what a record's status says where it was taken

ApiVersion = Literal["v2", "v1"]


@dataclass(frozen=True)
class CensusRun:
    """One run of a sync as Census tells it."""

    id: str
    status: str
    told: Mapping[str, Any]

    @property
    def was_cancelled(self) -> bool:
        """Whether somebody stopped it."""
        return bool(self.told.get("canceled")) or self.status in ("canceled", "cancelled")

    @property
    def is_over(self) -> bool:
        """Whether its status is one that is known not to change any more."""
        return self.was_cancelled or self.status in ("completed", "failed", "skipped")

    @property
    def is_known(self) -> bool:
        """Whether its status is one that means something to us."""
        return self.is_over or self.status in ("queued", "working")

    def count(self, name: str) -> int:
        """One of its numbers of records; 0 where Census gives none."""
        return int(self.told.get(name) or 0)


class CensusAPI:
    """The calls that are needed, under either version of the API."""

    def __init__(
        self,
        token: str,
        *,
        address: str = ADDRESS,
        version: ApiVersion = "v2",
        clock: Clock,
        look: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self.address = address.rstrip("/")
        self.version = version
        self._service = Service(
            f"Census API {version}",
            f"{self.address}/api/{version}",
            clock=clock,
            headers={"Authorization": f"Bearer {token}"},
            secrets=(token,),
            patience=patience,
            explain=self._explain,
            look=look,
        )

    def quote(self, words: str) -> str:
        """The beginning of what Census said, in one line and without the token."""
        return self._service.quote(words)

    def sync(self, sync: str) -> Mapping[str, Any]:
        """What Census says of a sync: its label, whether it is paused."""
        return _mapping(self._data(self._service.get(f"/syncs/{sync}")), "a sync")

    def trigger(self, sync: str, *, full: bool) -> str:
        """Start a run and return its id; raises LostAnswerError where it may have been started without our hearing so."""
        answer = self._service.call(
            "POST", f"/syncs/{sync}/trigger", parameters={"force_full_sync": str(full).lower()}, is_repeatable=False
        )
        told = _mapping(self._data(answer), "a trigger")
        if told.get("sync_run_id") is None:
            raise self._unexpected("a trigger is answered without a sync_run_id")
        return str(told["sync_run_id"])

    def run(self, run: str) -> CensusRun:
        """How a run stands."""
        return self._run(self._data(self._service.get(f"/sync_runs/{run}")))

    def newest_runs(self, sync: str) -> list[CensusRun]:
        """The first page of a sync's runs, the newest first."""
        answer = self._service.get(f"/syncs/{sync}/sync_runs", parameters={"page": 1, "per_page": 25, "order": "desc"})
        return [self._run(told) for told in _items(self._data(answer))]

    def cancel(self, run: str) -> None:
        """Ask Census to stop a run; asking twice does no harm."""
        self._data(self._service.call("POST", f"/sync_runs/{run}/cancel", is_repeatable=True))

    def refused_records(self, run: str) -> Iterator[Mapping[str, Any]]:
        """The records of a run that were not taken, page after page, as long as somebody wants more."""
        for page in range(1, MOST_PAGES + 1):
            answer = self._service.get(f"/sync_runs/{run}/records", parameters={"page": page, "per_page": PAGE_ROWS})
            yield from (record for record in _items(self._data(answer)) if str(record.get("status")).lower() not in TAKEN)
            if not (answer.content.get("pagination") or {}).get("next_page"):
                return

    def _data(self, answer: Answer) -> Any:
        content = answer.content
        if not isinstance(content, Mapping):
            raise self._unexpected("the answer is no JSON object")
        if content.get("status") not in ("success", "cancelled", "canceled"):
            raise self._unexpected(f"it answers {answer.status} but with the status {content.get('status')}")
        return content.get("data")

    def _run(self, told: Any) -> CensusRun:
        run = _mapping(told, "a run")
        if run.get("id") is None or not isinstance(run.get("status"), str):
            raise self._unexpected("a run has no id or no status")
        return CensusRun(str(run["id"]), run["status"].lower(), run)

    def _unexpected(self, what: str) -> PermanentError:
        return PermanentError(
            f"Census API {self.version} answers otherwise than it should: {what}",
            where=self._service.place,
            next="neopulse check",
        )

    def _explain(self, status: int, words: str) -> NeopulseError | None:
        quoted = self._service.quote(words)
        mend = _REFUSALS.get(status)
        if status == 410 or (status == 404 and self.version == "v1"):
            mend = f"see whether NEOPULSE_CENSUS_SYNCS names a sync of this workspace. {RETIRED}"
        if mend is None:
            return None
        return ConfigurationError(
            f"Census API {self.version} refuses with {status}: {quoted}",
            where=self._service.place,
            next=f"{mend}; then neopulse check",
        )


_REFUSALS = {
    401: "set NEOPULSE_CENSUS_TOKEN to a token that is valid: v2 takes a personal access token, v1 a workspace key",
    403: "give the owner of NEOPULSE_CENSUS_TOKEN the right to run these syncs",
    404: "see whether NEOPULSE_CENSUS_SYNCS names a sync that this token may see, and NEOPULSE_CENSUS_ADDRESS its region",
}


def _items(data: Any) -> list[Mapping[str, Any]]:
    if not isinstance(data, list):
        raise PermanentError("Census answers with something that is no list", next="neopulse check")
    return [_mapping(item, "an entry of a list") for item in data]


def _mapping(data: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise PermanentError(f"Census answers with {what} that is no JSON object", next="neopulse check")
    return data
