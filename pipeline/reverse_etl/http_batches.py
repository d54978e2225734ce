"""Rows in batches to an address: a batch that is refused is split until the bad rows stand alone.

Two ways of speaking. `http`: `{"sync", "operation", "key", "records": [...]}` is answered by nothing, or by an object that may
have `accepted` (a count) and `rejected` (`[{"key", "reason"}]`). `upsert`: `{"inputs": [{"id", "idProperty", "properties"}]}`
is answered, as HubSpot does, by `results` and `errors`. An answer that does not account for every row is no success. Each
batch carries an Idempotency-Key, which is the same when it is sent again because nobody knows whether it was taken, and
another one when the same rows are sent in a later round.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

from pipeline.errors import ConfigurationError, NeopulseError, PermanentError
from pipeline.http import Answer
from pipeline.reverse_etl.base import Reject
from pipeline.reverse_etl.syncs import Sync, fingerprint

OPERATIONS: Mapping[str, str] = {
    "mirror": "upsert",
    "upsert": "upsert",
    "update_only": "update",
    "create_only": "create",
    "append": "append",
}
ABOUT_THE_ROWS = frozenset({400, 409, 413, 422})
HOPELESS_AFTER = 100  # rows refused while none was taken: then it is not the rows that are wrong
NOT_TOLD = "the destination did not say what became of this row"

Record = Mapping[str, Any]


class Caller(Protocol):
    """What carries a request; pipeline.http.Service does."""

    @property
    def place(self) -> str:
        """The address as it may be shown."""

    def call(self, method: str, path: str, *, content: Any, headers: Mapping[str, str], is_repeatable: bool) -> Answer:
        """One request, tried again while there is hope."""


class BatchRefusedError(PermanentError):
    """The destination does not want these rows; some of them may be fine."""


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: the keys that were taken, and those that were not, with the reason."""

    taken: tuple[str, ...]
    rejects: tuple[Reject, ...]


def explain(sync: Sync) -> Callable[[int, str], NeopulseError | None]:
    """What the refusals of a destination mean."""

    def explained(status: int, words: str) -> NeopulseError | None:
        said = " ".join(words.split())[:200] or f"refused with {status}"
        if status in ABOUT_THE_ROWS:
            return BatchRefusedError(said, where=f"syncs.yml: {sync.name}", next="neopulse check")
        if status in (401, 403, 404):
            return ConfigurationError(
                f"The destination of {sync.name} refuses with {status}: {said}",
                where=f"syncs.yml: {sync.name}: {sync.destination.kind}",
                safe="What was sent before is noted down; the next run goes on from there",
                next="see whether the address is right and NEOPULSE_SYNC_TOKENS has the token it names, then neopulse check",
            )
        return None

    return explained


class Batches:
    """One sync's destination; `sends` says how often the sync came to its end before."""

    def __init__(self, sync: Sync, caller: Caller, *, path: str, key: str, sends: int = 0) -> None:
        self._sync = sync
        self._caller = caller
        self._path = path
        self._key = key
        self._sends = sends
        self._taken = 0
        self._refused = 0

    def send(self, operation: str, hashes: Mapping[str, int], records: Sequence[Record]) -> Iterator[Outcome]:
        """Send some rows (key to hash, in their order); an outcome for each part that the destination decided about, at once."""
        keys = list(hashes)
        try:
            outcome = self._once(operation, hashes, records)
        except BatchRefusedError as error:
            if len(keys) > 1:
                half = len(keys) // 2
                yield from self.send(operation, {key: hashes[key] for key in keys[:half]}, records[:half])
                yield from self.send(operation, {key: hashes[key] for key in keys[half:]}, records[half:])
                return
            outcome = Outcome((), (Reject(keys[0], error.what),))
        self._taken += len(outcome.taken)
        self._refused += len(outcome.rejects)
        yield outcome
        if not self._taken and self._refused >= HOPELESS_AFTER:
            raise self._broken(f"refuses every row, the first ones because: {outcome.rejects[0].reason}")

    def _once(self, operation: str, hashes: Mapping[str, int], records: Sequence[Record]) -> Outcome:
        keys, mark = list(hashes), fingerprint([self._sync.name, self._sends, operation, list(hashes.items())])
        if self._sync.destination.kind == "upsert":
            inputs = [
                {"id": key, "idProperty": self._key, "objectWriteTraceId": key, "properties": record}
                for key, record in zip(keys, records, strict=True)
            ]
            return self._upserted(self._post({"inputs": inputs}, mark), keys)
        content = {"sync": self._sync.name, "operation": operation, "key": self._key, "records": list(records)}
        return self._accepted(self._post(content, mark), keys)

    def _post(self, content: Mapping[str, Any], mark: str) -> Any:
        headers = {"Idempotency-Key": f"{self._sync.name}-{mark}"}
        return self._caller.call("POST", self._path, content=content, headers=headers, is_repeatable=True).content

    def _accepted(self, told: Any, keys: Sequence[str]) -> Outcome:
        if told is None or told == {}:
            return Outcome(tuple(keys), ())
        if not isinstance(told, Mapping) or not _says_what_it_took(told):
            raise self._broken(f"does not say that it took the rows: {json.dumps(told)[:200]}")
        rejects = self._rejects(told.get("rejected", []), keys)
        refused = {reject.key for reject in rejects}
        if told.get("accepted", len(keys) - len(rejects)) != len(keys) - len(rejects):
            raise self._broken(f"took {told['accepted']} and refused {len(rejects)} of {len(keys)} rows, which does not add up")
        return Outcome(tuple(key for key in keys if key not in refused), rejects)

    def _rejects(self, told: Any, keys: Sequence[str]) -> tuple[Reject, ...]:
        known = set(keys)
        if not isinstance(told, list) or not all(isinstance(each, Mapping) and str(each.get("key")) in known for each in told):
            raise self._broken("names rejected rows that it was not sent")
        reasons = {str(each["key"]): str(each.get("reason") or "no reason given")[:200] for each in told}
        return tuple(Reject(key, reason) for key, reason in reasons.items())

    def _upserted(self, told: Any, keys: Sequence[str]) -> Outcome:
        if not isinstance(told, Mapping) or not isinstance(told.get("results", []), list):
            raise self._broken("answers otherwise than HubSpot does")
        results, errors = told.get("results", []), told.get("errors") or []
        if not isinstance(errors, list) or not all(isinstance(error, Mapping) for error in errors):
            raise self._broken("answers otherwise than HubSpot does")
        if not errors and not told.get("numErrors") and len(results) == len(keys):
            return Outcome(tuple(keys), ())
        reasons = _reasons(errors, keys)
        if errors and not reasons:
            raise BatchRefusedError(str(errors[0].get("message") or "refused")[:200], where=self._caller.place)
        taken = {name for result in results for name in _names(result, self._key)} - reasons.keys()
        rejects = tuple(Reject(key, reasons.get(key, NOT_TOLD)) for key in keys if key not in taken)
        return Outcome(tuple(key for key in keys if key in taken), rejects)

    def _broken(self, what: str) -> PermanentError:
        return PermanentError(
            f"The destination of {self._sync.name} {what}",
            where=self._caller.place,
            safe="What it took before is noted down; the next run goes on from there",
            next=f"mend the destination or syncs.yml, then neopulse syncs {self._sync.name}",
        )


def _says_what_it_took(told: Mapping[str, Any]) -> bool:
    """Whether an answer counts rows, and tells of nothing that went wrong; what it says in other words nobody knows."""
    went_well = told.get("success", True) is True and not told.get("error") and not told.get("errors")
    return went_well and not {"accepted", "rejected"}.isdisjoint(told)


def plain(value: Any) -> Any:
    """A value as JSON has it: days and moments (UTC) as text, what is no number as nothing."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return (float(value) if Decimal(repr(float(value))) == value else str(value)) if value.is_finite() else None
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            return moment.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list() | tuple():
            return [plain(each) for each in value]
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case _:
            return str(value)


def _reasons(errors: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, str]:
    """The reason of each row that an error names, wherever in its context the name stands."""
    reasons: dict[str, str] = {}
    for error in errors:
        context = error.get("context")
        listed = context.values() if isinstance(context, Mapping) else ()
        named = {str(each) for some in listed if isinstance(some, list) for each in some}
        for key in keys:
            if key in named:
                reasons[key] = str(error.get("message") or "no reason given")[:200]
    return reasons


def _names(result: Any, key: str) -> tuple[str, ...]:
    """What a result may call the row that it is about."""
    if not isinstance(result, Mapping):
        return ()
    properties = result.get("properties") or {}
    return tuple(str(name) for name in (result.get("objectWriteTraceId"), properties.get(key)) if name is not None)
