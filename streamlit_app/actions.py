"""Every write of the app: who may press, what the press leaves behind, and what it answers.

A press asks: it writes a row that the worker claims. Nothing here runs the chain. Each act checks the role itself,
whatever the page showed, and leaves an audit row with the values before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import streamlit as st

from pipeline import cancelling, settings
from pipeline.activation import declared
from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError
from pipeline.runs.holders import Holders
from pipeline.runs.records import Request, RequestState, Run, RunState
from pipeline.runs.store import RunStore
from pipeline.runs.trail import TrailStore
from pipeline.steps import STEPS
from pipeline.syncs_by_hand import ByHand
from pipeline.warehouse import choice
from pipeline.warehouse.publication import Version
from streamlit_app import auth, data, sessions, stores
from streamlit_app.auth import AdmissionError, Role

NOTED, READ = "sign_in_noted", "customers_read"
EARLY_WARNINGS = "early_warnings"  # the sync of that name in syncs.yml


@dataclass(frozen=True)
class Outcome:
    """What a press came to: `answer` names the sentence to say, `values` fill it."""

    accepted: bool
    answer: str
    values: Mapping[str, object] = field(default_factory=dict)


def run_now() -> Outcome:
    """Ask the worker for a full run."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    obstacle = why_no_run(store, SystemClock().now())
    return obstacle or _ask(store, user.name, "run_now", what="full run", first_step="extract", resumes=None)


def run_with(first_step: str, *, only_step: bool, full_refresh: bool) -> Outcome:
    """Ask the worker for a run with parameters of its own."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    if first_step not in STEPS:
        raise ConfigurationError(f"There is no step {first_step}", safe="Nothing was asked for", next="load the page again")
    obstacle = why_no_run(store, SystemClock().now())
    parameters = {"only_step": only_step, "full_refresh": full_refresh}
    return obstacle or _ask(
        store, user.name, "run_with", what=f"run from {first_step}", first_step=first_step, resumes=None, **parameters
    )


def cancel(run_id: int) -> Outcome:
    """Ask whoever does a run to end it; it ends within ten seconds."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    obstacle = why_no_cancel(store.run(run_id))
    if obstacle is not None:
        return obstacle
    cancelling.ask(store, run_id, user.name)
    return Outcome(True, "cancel_asked", {"run": run_id})


def why_no_cancel(run: Run) -> Outcome | None:
    """Why a run cannot be cancelled, or not again; None where it can."""
    if run.state is not RunState.RUNNING:
        return Outcome(False, "cancel_over", {"run": run.id})
    if run.cancel_asked_by is not None:
        return Outcome(False, "cancel_under_way", {"who": run.cancel_asked_by})
    return None


def retry_from_failure(run_id: int) -> Outcome:
    """Ask the worker to take up a failed or interrupted run at the step that did not succeed."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    run = store.run(run_id)
    obstacle = why_no_retry(run, store.latest()) or why_no_run(store, SystemClock().now())
    first_step = run.unfinished_step
    if obstacle is not None or first_step is None:
        return obstacle or Outcome(False, "not_failed", {"run": run_id})
    return _ask(store, user.name, "retry_from_failure", what=f"run {run_id}", first_step=first_step, resumes=run_id)


def carry_out_sync(name: str, *, only: str = "", afresh: bool = False, digest: str = "") -> Outcome:
    """Ask the worker to carry out the plan of that digest; at Census there is none, and the sync is run there."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    obstacle = why_no_run(store, SystemClock().now())
    if obstacle is not None:
        return obstacle
    newest_before = _newest_request(store)
    scope = {"only": only, "afresh": afresh}
    request = store.request_sync(user.name, sync=name, scope=scope, digest=digest)
    if request.id <= newest_before:
        return _already(request)
    store.audit(user.name, "carry_out_sync", name, after={"request": request.id, **request.parameters})
    return Outcome(True, "accepted", {"request": request.id})


def push_early_warnings() -> Outcome:
    """Ask the worker to bring the list of early warnings to its destination as it is now, by the plan of this moment.

    What a guard would stop is not sent: the page Syncs shows the plan, and carries it out by its digest.
    """
    user = auth.require_everywhere(Role.ADMIN)
    obstacle = why_no_push()
    if obstacle is not None:
        return obstacle
    in_force = data.in_force()
    hand = ByHand(in_force, data.run_store(), SystemClock(), data.current_version(), Holders.of(in_force.home))
    [plan] = hand.plans(EARLY_WARNINGS)
    if plan.is_idle:
        return Outcome(False, "push_idle")
    if plan.tripped:
        return Outcome(False, "push_guarded", {"reason": "; ".join(plan.tripped)})
    asked = carry_out_sync(EARLY_WARNINGS, digest=plan.digest)
    if asked.accepted:
        data.run_store().audit(
            user.name,
            "push_early_warnings",
            EARLY_WARNINGS,
            after={"rows": sum(map(plan.count, ("create", "update", "delete"))), **asked.values},
        )
    return asked


def why_no_push() -> Outcome | None:
    """Why the list cannot be pushed now: no such sync here, Census plans it, or a run is going on; None where it can."""
    auth.require_everywhere(Role.ADMIN)
    in_force = data.in_force()
    if in_force.reverse_etl == "census" or EARLY_WARNINGS not in {sync.name for sync in declared(in_force)}:
        return Outcome(False, "push_elsewhere")
    return why_no_run(data.run_store(), SystemClock().now())


def rollback(name: str) -> Outcome:
    """Make a kept version the one that every reader sees."""
    user = auth.require(Role.ADMIN)
    store, publications = data.run_store(), choice.publications(settings.load())
    before = publications.readable_current()
    if before is not None and before.name == name:
        return Outcome(False, "already_current", {"version": name})

    def note(after: Version) -> None:
        store.audit(user.name, "rollback", "published version", before=before.name if before else None, after=after.name)

    version = publications.rollback(name, note=note)
    return Outcome(True, "rolled_back", {"version": version.name})


def note_sign_in() -> None:
    """Note down once that this person came, whatever the role; who needs no sign-in is not noted."""
    user = auth.current_user()
    if not user.session or st.session_state.get(NOTED) == user.session:  # this tab has asked the store already
        return
    st.session_state[NOTED] = user.session
    if sessions.note(data.in_force().run_store_url, user.session, user.name):
        _trail().audit(user.name, "sign_in", "session", after={"role": user.role.name.lower()})


def note_refusal(refused: AdmissionError) -> None:
    """Note down once that the provider knew somebody who has no entry here."""
    session = auth.session_of_the_refused()
    if st.session_state.get(NOTED) != session and sessions.note(data.in_force().run_store_url, session, refused.place):
        _trail().audit(refused.place[:200], "sign_in_refused", "session", after={"reason": refused.reason})
    st.session_state[NOTED] = session


def note_customer_read(customer_id: str) -> None:
    """Note down, once a tab, that this person opened the page of one customer; raises RoleError for who may not."""
    user = auth.require(Role.MANAGER)
    read: set[tuple[str, str]] = st.session_state.setdefault(READ, set())
    if (user.name, customer_id) not in read:
        _trail().audit(user.name, "read_customer", "customer", after={"customer": customer_id, "version": data.published().name})
        read.add((user.name, customer_id))


def sign_out() -> Outcome:
    """Sign out, in this tab, in every other one, and for whoever copied the cookie."""
    user = auth.current_user()
    sessions.end(data.in_force().run_store_url, user.session, user.name)
    _trail().audit(user.name, "sign_out", "session")
    st.logout()
    return Outcome(True, "signed_out")


def _trail() -> TrailStore:
    """Where acts are noted down that need no more than to be somebody."""
    return stores.run_store(data.in_force().run_store_url)


def why_no_run(store: RunStore, now: datetime) -> Outcome | None:
    """Why a run cannot be asked for at this moment; None where it can."""
    run, request = running(store), store.next_request()
    if run is not None:
        return Outcome(False, "running", {"run": run.id})
    if request is not None:
        return Outcome(False, "waiting", {"who": request.requested_by})
    if not any(worker.is_alive(now) for worker in store.workers()):
        return Outcome(False, "no_worker")
    return None


def running(store: RunStore) -> Run | None:
    """The run that is going on. One whose lease ran out is dead, whatever its row still says: the worker will close it."""
    latest = store.latest()
    return latest if latest is not None and latest.state is RunState.RUNNING and store.lease() is not None else None


def why_no_retry(run: Run, latest: Run | None) -> Outcome | None:
    """Why this run cannot be taken up again; None where it can.

    Only the newest run: what an older one left half done has been done or overtaken since.
    """
    if not run.is_resumable:
        return Outcome(False, "not_failed", {"run": run.id})
    if latest is not None and latest.id != run.id:
        return Outcome(False, "overtaken", {"run": run.id, "latest": latest.id})
    return None


def _ask(
    store: RunStore,
    who: str,
    action: str,
    *,
    what: str,
    first_step: str,
    resumes: int | None,
    only_step: bool = False,
    full_refresh: bool = False,
) -> Outcome:
    newest_before = _newest_request(store)
    request = store.request_run(who, first_step=first_step, resumes=resumes, only_step=only_step, full_refresh=full_refresh)
    if request.id <= newest_before:  # an equal press came first, and the store gave back its row
        return _already(request)
    store.audit(who, action, what, after={"request": request.id, **request.parameters})
    return Outcome(True, "accepted", {"request": request.id})


def _newest_request(store: RunStore) -> int:
    return max((request.id for request in store.requests(1)), default=0)


def _already(request: Request) -> Outcome:
    if request.state is RequestState.CLAIMED and request.run_id is not None:
        return Outcome(False, "running", {"run": request.run_id})
    return Outcome(False, "waiting", {"who": request.requested_by})
