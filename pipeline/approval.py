"""A candidate that looks unusual waits for an admin: held here instead of published, and published when it is approved."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence

import duckdb

from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, HeldError, NeopulseError
from pipeline.guard import Columns, Reason, Usual, columns_of, in_words, reasons
from pipeline.runs.store import RunStore
from pipeline.runs.watching import APPROVED, PUBLISHED, REJECTED, REPLACED, USUAL_PUBLICATIONS, Publication
from pipeline.warehouse.held import Held, HeldCandidates
from pipeline.warehouse.publication import Candidate, Publications, Version

_log = logging.getLogger(__name__)


def hold_where_unusual(context: StepContext, candidate: Candidate) -> None:
    """Put a candidate aside where the guard finds something, and raise HeldError with the reasons."""
    current = context.publications.readable_current() or next(iter(context.publications.versions()), None)
    if current is None:
        return
    remember(context.store, context.publications)
    history = context.store.publications(USUAL_PUBLICATIONS, source=candidate.facts.source)
    usual = Usual(current, _columns_seen(current), history)
    found = reasons(candidate.facts, columns_of(candidate.folder / current.database.name), usual, context.settings)
    if found:
        raise _held(context, candidate, found)


def _columns_seen(current: Version) -> Columns:
    """The columns of what readers see; none to compare with where its file is damaged: a run is what mends that."""
    try:
        return columns_of(current.database)
    except (NeopulseError, OSError, duckdb.Error) as error:
        _log.warning("The columns of %s cannot be compared: %s", current.name, error)
        return {}


def _held(context: StepContext, candidate: Candidate, found: Sequence[Reason]) -> HeldError:
    candidates = HeldCandidates(context.publications)
    held = candidates.hold(candidate, found, clock=context.clock, guard=context.guard)
    context.store.note_held(held.run_id, held.held_at, held.reasons)
    replaced = _replace(context, candidates, by=held.name, but=held.run_id)
    shutil.rmtree(candidate.folder.parent, ignore_errors=True)
    for reason in found:
        _log.warning("Unusual: %s", in_words(reason))
    more = f" ({len(found) - 1} more: the page Versions has them)" if found[1:] else ""
    instead = f"; it replaces the candidate of {', '.join(replaced)}" if replaced else ""
    return HeldError(
        f"The candidate of {held.name} waits for approval: {in_words(found[0])}{more}",
        reasons=found,
        replaced=replaced,
        where=str(held.folder),
        safe=f"{context.publications.in_words()}; nothing was sent{instead}",
        next=f"look at the page Versions, then neopulse approve {held.run_id} or neopulse reject {held.run_id}",
    )


def note(context: StepContext, version: Version) -> None:
    """Remember what was just published, and clear away the candidates that waited: they are overtaken."""
    remember(context.store, context.publications)
    _replace(context, HeldCandidates(context.publications), by=version.name)


def publish(context: StepContext) -> StepResult:
    """Publish the held candidate that this run approves, exactly as it was held; what a crash left half done is finished."""
    run_id = context.run.approves or 0
    candidates, store = HeldCandidates(context.publications), context.store
    decision = store.decision(run_id)
    version = None if decision is None else candidates.published_as(run_id, decision.held_at)
    if version is None:
        version = _publish(context, candidates.find(run_id))
        decision = store.decision(run_id)
    if decision is not None:
        store.decide(run_id, decision.held_at, state=PUBLISHED, who="", note="", outcome=version.name)
    note(context, version)
    _log.info("Version %s is current: the candidate of run %d, approved", version.name, run_id)
    told = {"version": version.name, "as_of": version.as_of.isoformat(), "approved_candidate_of_run": run_id}
    by = {"approved_by": decision.decided_by or context.run.requested_by, "note": decision.note} if decision else {}
    return StepResult("held candidate", None, sum(version.rows.values()), told | by)


def _publish(context: StepContext, held: Held) -> Version:
    before = context.publications.readable_current()
    context.store.note_held(held.run_id, held.held_at, held.reasons)
    context.progress(None, "publishing the approved candidate")
    version = HeldCandidates(context.publications).publish(
        held,
        context.settings.home / "candidates" / str(context.run.id),
        lease_token=context.run.lease_token,
        started_at=context.run.started_at,
        clock=context.clock,
        guard=context.guard,
    )
    context.store.audit(
        context.run.requested_by,
        "publish_approved",
        f"candidate of {held.name}",
        before=before.name if before else None,
        after=version.name,
    )
    return version


def remember(store: RunStore, publications: Publications) -> None:
    """Write down the kept versions that the store does not know yet: those of this run, or of one that a crash ended."""
    store.note_publications([_remembered(store, version) for version in publications.versions()])


def _remembered(store: RunStore, version: Version) -> Publication:
    decision = store.decision(version.run_id)
    return Publication(
        version=version.name,
        published_at=version.published_at,
        run_id=version.run_id,
        source=version.source,
        as_of=version.as_of,
        transactions=version.transactions,
        rows=version.rows,
        approved=decision is not None and decision.state in (APPROVED, PUBLISHED) and decision.held_at <= version.published_at,
    )


def _replace(context: StepContext, candidates: HeldCandidates, *, by: str, but: int | None = None) -> list[str]:
    gone = candidates.clear(but=but)
    for held in gone:
        context.store.note_held(held.run_id, held.held_at, held.reasons)
        if context.store.decide(held.run_id, held.held_at, state=REPLACED, who=context.run.requested_by, note="", outcome=by):
            _log.warning("The candidate of %s, which waited for approval, is replaced by %s", held.name, by)
    return [held.name for held in gone]


def reject(store: RunStore, publications: Publications, run_id: int, *, who: str, note: str) -> Held:
    """Write down who rejects a candidate that waits, and delete it.

    Raises ConfigurationError where it does not wait, or where the store says that something else had become of it: its files,
    which a crash had left, are gone as well then.
    """
    decided_here = False

    def write_down(held: Held) -> None:
        nonlocal decided_here
        store.note_held(held.run_id, held.held_at, held.reasons)
        decided_here = store.decide(held.run_id, held.held_at, state=REJECTED, who=who, note=note)
        if decided_here:
            store.audit(who, "reject", f"candidate of {held.name}", before=told(held), after={"state": REJECTED, "note": note})

    held = HeldCandidates(publications).reject(run_id, note=write_down)
    if not decided_here:
        raise _decided(store, publications, held, next="neopulse versions")
    return held


def approve(store: RunStore, publications: Publications, run_id: int, *, who: str, note: str) -> Held:
    """Write down that a candidate is approved; a run publishes it.

    Raises ConfigurationError where it does not wait or was decided about otherwise.
    """
    held = HeldCandidates(publications).find(run_id)
    store.note_held(held.run_id, held.held_at, held.reasons)
    if not store.decide(held.run_id, held.held_at, state=APPROVED, who=who, note=note):
        raise _decided(store, publications, held, next=f"neopulse reject {run_id} removes its files")
    audit_approval(store, publications, held, who=who, note=note)
    return held


def _decided(store: RunStore, publications: Publications, held: Held, *, next: str) -> ConfigurationError:
    """What the store says became of a candidate whose files were still there."""
    decision = store.decision(held.run_id)
    what = "was decided about" if decision is None else f"was {decision.state}"
    who = f" by {decision.decided_by}" if decision is not None and decision.decided_by else ""
    instead = f": {decision.outcome}" if decision is not None and decision.outcome else ""
    return ConfigurationError(
        f"The candidate of {held.name} {what}{who} before{instead}",
        where="the run store",
        safe=publications.in_words(),
        next=next,
    )


def audit_approval(store: RunStore, publications: Publications, held: Held, *, who: str, note: str) -> None:
    """Note down who approved what, and what readers saw before."""
    current = publications.readable_current()
    before = told(held) | {"readers_see": current.name if current else None}
    store.audit(who, "approve", f"candidate of {held.name}", before=before, after={"state": APPROVED, "note": note})


def told(held: Held) -> dict[str, object]:
    """A candidate as the audit keeps it."""
    return {
        "state": "held",
        "as_of": held.facts.as_of.isoformat(),
        "transactions": held.facts.transactions,
        "reasons": [in_words(reason) for reason in held.reasons],
    }
