"""Syncs that somebody asked for on a page: carried out by the worker, as every write to the outside is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.reverse_etl.plan import Scope
from pipeline.runs.holders import Holders
from pipeline.runs.records import Request
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.syncs_by_hand import ByHand, Press, outcome
from pipeline.warehouse.publication import Publications


@dataclass(frozen=True)
class SyncsOnRequest:
    """Carries out one sync of the version that readers see at that moment."""

    settings: Settings
    store: RunStore
    clock: Clock
    publications: Publications
    holders: Holders

    def carry_out(self, request: Request, *, is_to_end: Callable[[], bool]) -> str:
        """Do what the request asks for, and say what came of it; raises what hinders it."""
        asked = request.parameters
        press = Press(asked["sync"], request.requested_by, Scope(**asked["scope"]), asked["digest"], request.id)
        hand = ByHand(self.settings, self.store, self.clock, self.publications.current(), self.holders)
        return outcome(hand.apply(press, is_to_end=is_to_end))
