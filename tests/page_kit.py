"""Pages without a browser: opened by a link, read, and pressed; and the run store that they read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hand_made import publish_customers
from streamlit.testing.v1 import AppTest

from pipeline.clock import SystemClock
from pipeline.runs.records import Lease, Run, StepState
from pipeline.runs.store import RunStore
from pipeline.steps import STEPS
from streamlit_app import auth, data, formats
from streamlit_app.auth import Role, User

SECONDS = 120
KINDS = ("header", "subheader", "caption", "markdown", "warning", "info", "error", "code", "table", "toast")
HOSTILE = "`[click](javascript:alert(1)) <script>alert(1)</script> **bold** :material/check:"
UNMADE = HOSTILE.replace(":material", ":\u2060material")  # Streamlit makes an icon of it in code too
OF_ANOTHER = ("did not have this", "n'avait pas ceci")  # of common.other_edition, in both languages
HARMLESS = f"`` {UNMADE} ``"  # text between two ticks: it has one itself


def draw(name: str) -> None:
    import importlib  # a page under test is a program of its own

    importlib.import_module(f"streamlit_app.views.{name}").show()


def opened(name: str, **parameters: str | list[str]) -> AppTest:
    """A page by itself, opened by a link with these parameters."""
    page = AppTest.from_function(draw, args=(name,), default_timeout=SECONDS)
    page.query_params.update(parameters)
    return page.run()


def whole(name: str, **parameters: str | list[str]) -> AppTest:
    """The same, of a page on which nothing is broken."""
    page = opened(name, **parameters)
    assert failed(page) == []
    return page


def failed(page: AppTest) -> list[str]:
    """What a page of this neopulse's own version must not say: errors, and that another one published it."""
    lacking = [told.value for told in page.info if any(words in told.value for words in OF_ANOTHER)]
    return [error.value for error in page.error] + [error.message for error in page.exception] + lacking


def words(page: AppTest) -> str:
    return "\n".join(str(element.value) for kind in KINDS for element in page.get(kind))


def cells(page: AppTest) -> list[str]:
    """Every cell of every table."""
    return [str(cell) for table in page.table for row in table.value.to_numpy().tolist() for cell in row]


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def is_harmless(page: AppTest, hostile: str = HOSTILE) -> bool:
    """Whether the hostile text stands on the page, and each time as a text: in code type, or plain as people's words are."""
    harmless, in_plain_type = f"`` {hostile.replace(HOSTILE, UNMADE)} ``", formats.plain(hostile)
    shown = "\n".join([*(str(element.value) for kind in KINDS if kind != "table" for element in page.get(kind)), *cells(page)])
    return (harmless in shown or in_plain_type in shown) and hostile not in shown.replace(harmless, "")


def run_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A run store that the app reads, and an admin at the screen."""
    monkeypatch.setenv("NEOPULSE_HOME", str(folder))
    data.in_force.cache_clear()
    store = RunStore.open(f"sqlite:///{folder / 'run_store.db'}", clock=SystemClock())
    monkeypatch.setattr(data, "run_store", lambda: store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    return store


def published_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in that folder with a version of seven customers, which the app reads."""
    monkeypatch.setenv("NEOPULSE_HOME", str(folder))
    monkeypatch.chdir(folder)
    data.in_force.cache_clear()
    publish_customers(folder, 7, clock=SystemClock())
    return folder


def with_a_worker(store: RunStore) -> RunStore:
    """The same, beside a worker that is alive."""
    store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    return store


def begin(store: RunStore, **parameters: object) -> tuple[Lease, Run]:
    """A run that a worker has begun, and the lease that it holds."""
    lease = store.take_lease("worker-1", seconds=60)
    plan = [(step, StepState.PENDING) for step in STEPS]
    values: dict[str, object] = {"trigger": "schedule", "requested_by": "daily", "first_step": "extract"} | parameters
    return lease, store.start_run(lease, plan=plan, **values)  # type: ignore[arg-type]
