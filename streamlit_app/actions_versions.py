"""What an admin decides about a candidate that waits: approved, a run publishes it; rejected, it is deleted."""

from __future__ import annotations

from pipeline import approval, settings
from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError
from pipeline.warehouse import choice
from pipeline.warehouse.held import HeldCandidates
from streamlit_app import actions, auth, data
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

PUBLISHING = {"first_step": "transform", "only_step": False, "full_refresh": False, "resumes": None}


def approve(run_id: int, note: str) -> Outcome:
    """Ask the worker to publish the candidate of a run and to go on with the steps behind it."""
    user = auth.require(Role.ADMIN)
    store, publications = data.run_store(), choice.publications(settings.load())
    obstacle = actions.why_no_run(store, SystemClock().now())
    if obstacle is not None:
        return obstacle
    try:
        held = HeldCandidates(publications).find(run_id)
    except ConfigurationError:
        return Outcome(False, "not_waiting", {"run": run_id})
    store.note_held(held.run_id, held.held_at, held.reasons)
    parameters = {**PUBLISHING, "approves": run_id}
    asked = store.approve(run_id, held.held_at, who=user.name, note=note, parameters=parameters)
    if asked is None:
        return Outcome(False, "not_waiting", {"run": run_id})
    request, is_new = asked
    if not is_new:  # an equal press came first
        return Outcome(False, "waiting", {"who": request.requested_by})
    approval.audit_approval(store, publications, held, who=user.name, note=note)
    return Outcome(True, "approved", {"run": run_id, "request": request.id})


def reject(run_id: int, note: str) -> Outcome:
    """Delete the candidate of a run; readers keep the version that they see."""
    user = auth.require(Role.ADMIN)
    try:
        approval.reject(data.run_store(), choice.publications(settings.load()), run_id, who=user.name, note=note)
    except ConfigurationError:
        return Outcome(False, "not_waiting", {"run": run_id})
    return Outcome(True, "rejected", {"run": run_id})
