"""What the page Definitions reads beside one version: the same figure in every place, and what versions made of past ones."""

from __future__ import annotations

from functools import cache

from pipeline import marts, reconciliation
from pipeline.kept import LIGHT_BYTES, Kept
from pipeline.marts import restatements as restated
from pipeline.marts.reader import Countries
from pipeline.marts.restatements import Cause, Point, Reason, Restatement, Told
from pipeline.reconciliation import Cell, Line, Place, Reconciliation
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import auth, data, stores
from streamlit_app.auth import Role

__all__ = ["Cause", "Cell", "Line", "Place", "Point", "Reason", "Reconciliation", "Restatement"]

MOST_KEPT = 24  # of both together, each of which counts alike


def reconciled() -> Reconciliation:
    """The key figures of the shown version beside what sheet, export and syncs hold; raises ConfinedError for some countries.

    Viewers get no count of fewer than 10 customers, from no place.
    """
    user = auth.require_everywhere(Role.VIEWER)
    in_force, version = data.in_force(), data.published()
    store = stores.run_store(in_force.run_store_url)
    key = ("places", str(version.folder), repr(reconciliation.marks(in_force, store)))
    found = _kept().get(key, lambda: reconciliation.reconcile(marts.reader(version), in_force, store))
    if user.may(Role.MANAGER):
        return found
    hidden = frozenset(figure.metric.name for figure in data.headline() if figure.withheld)
    return reconciliation.withheld(found, hidden)


def restatements() -> tuple[tuple[Version, ...], tuple[Restatement, ...]]:
    """The kept versions up to the shown one, newest first, and every figure of the past that one of them changed.

    For managers and admins, of the countries that they see: a difference may be of one customer.
    """
    user, shown = auth.require(Role.MANAGER), data.published()
    countries = None if user.countries is None else tuple(sorted(user.countries))
    kept = Publications(data.in_force().home, keep=data.in_force().versions_kept).versions()
    versions = tuple(version for version in kept if version.number <= shown.number)
    return versions, restated.restatements(versions, lambda version: _told(version, countries))


def _told(version: Version, countries: Countries) -> Told:
    return _kept().get(("told", str(version.folder), countries), lambda: restated.told(version, countries=countries))


@cache  # Streamlit's own is emptied by anybody who has opened a tab
def _kept() -> Kept:
    return Kept(MOST_KEPT * LIGHT_BYTES)
