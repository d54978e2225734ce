"""The run store: what ran, what runs, what was asked for, what was sent. The one place where app, worker and CLI meet."""

from __future__ import annotations

from pipeline.clock import Clock
from pipeline.runs.alerts import AlertStore
from pipeline.runs.annotations import AnnotationStore
from pipeline.runs.database import open_engine
from pipeline.runs.deliveries import DeliveryStore
from pipeline.runs.endings import EndingStore
from pipeline.runs.history import HistoryStore
from pipeline.runs.leases import LeaseStore
from pipeline.runs.pruning import PruningStore
from pipeline.runs.reports import ReportStore
from pipeline.runs.requests import RequestStore
from pipeline.runs.saved_views import SavedViewStore
from pipeline.runs.schedules import ScheduleStore
from pipeline.runs.sign_ins import SignInStore
from pipeline.runs.syncs import SyncStore
from pipeline.runs.targets import TargetStore
from pipeline.runs.trail import TrailStore
from pipeline.runs.watching import WatchStore


class RunStore(
    LeaseStore,
    HistoryStore,
    RequestStore,
    ScheduleStore,
    EndingStore,
    DeliveryStore,
    TrailStore,
    SignInStore,
    SyncStore,
    WatchStore,
    AlertStore,
    ReportStore,
    PruningStore,
    TargetStore,
    AnnotationStore,
    SavedViewStore,
):
    """The run store, safe to use from many threads and processes at once."""

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> RunStore:
        """Open the run store at an SQLAlchemy URL, making it where it is not there yet.

        Raises ConfigurationError where the URL is wrong or its place cannot be used.
        """
        return cls(open_engine(url, clock), clock)
