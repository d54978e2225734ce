"""Whether the run store answers, asked once for a drawing of a page: published figures lie beside it and stand without it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from streamlit_app import auth, data, data_kept
from streamlit_app.auth import AdmissionError, Role, RoleError
from streamlit_app.data import Run

log = logging.getLogger(__name__)
_silent: dict[str, float] = {}  # since when each store does not answer: one that the network lost takes ten seconds to say so


@dataclass(frozen=True)
class Seen:
    """Whether it answered, and the newest run if there is one."""

    answers: bool
    latest: Run | None = None


def look() -> Seen:
    """Ask for the newest run; who may not look is told so as ever. A store that was silent is asked again after a while."""
    auth.require(Role.VIEWER)
    url = data.in_force().run_store_url
    if time.monotonic() - _silent.get(url, -data_kept.SECONDS_SILENT) < data_kept.SECONDS_SILENT:
        return Seen(False)
    try:
        return Seen(True, data.latest_run())
    except (AdmissionError, RoleError):
        raise
    except data_kept.SILENT as error:
        _silent[url] = time.monotonic()
        log.warning("pages are drawn without the run store: %s", error.what)
        return Seen(False)
