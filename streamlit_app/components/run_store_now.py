"""Whether the run store answers, asked once for a drawing of a page: published figures lie beside it and stand without it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pipeline.errors import ConfigurationError, PermanentError, TransientError
from streamlit_app import data
from streamlit_app.auth import AdmissionError, RoleError
from streamlit_app.data import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """Whether it answered, and the newest run if there is one."""

    answers: bool
    latest: Run | None = None


def look() -> Seen:
    """Ask for the newest run; who may not look is told so as ever."""
    try:
        return Seen(True, data.latest_run())
    except (AdmissionError, RoleError):
        raise
    except (ConfigurationError, PermanentError, TransientError) as error:
        log.warning("pages are drawn without the run store: %s", error.what)
        return Seen(False)
