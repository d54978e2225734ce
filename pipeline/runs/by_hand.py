"""A sync by somebody's hand while it is going on: it holds the lease as a run does, and no run is written down for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.runs.records import RequestState
from pipeline.runs.requests import SYNC
from pipeline.runs.store import RunStore

ABOUT_TO_BEGIN = timedelta(seconds=5)  # a run that has taken the lease is written down within this time
LAST_REQUESTS = 100


@dataclass(frozen=True)
class SyncByHand:
    """`sync` and `who` are None where it was begun at a command line: its own process alone knows them."""

    holder: str
    since: datetime
    sync: str | None = None
    who: str | None = None


def going_on(store: RunStore, now: datetime) -> SyncByHand | None:
    """The sync that somebody's hand began and that is not over, if there is one."""
    lease, latest = store.lease(), store.latest()
    if lease is None or lease.taken_at is None or (latest is not None and latest.lease_token == lease.token):
        return None
    claimed = (one for one in store.requests(LAST_REQUESTS) if one.kind == SYNC and one.state is RequestState.CLAIMED)
    request = next(claimed, None)
    if request is not None:
        return SyncByHand(lease.holder, lease.taken_at, str(request.parameters["sync"]), request.requested_by)
    return None if now - lease.taken_at < ABOUT_TO_BEGIN else SyncByHand(lease.holder, lease.taken_at)
