"""The audit log can be added to and read, and nothing else; what is signed out stays out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from streamlit.testing.v1 import AppTest

from pipeline.clock import FixedClock
from pipeline.runs import migrations, schema
from pipeline.runs.schema import audit
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from streamlit_app import auth, claims, data, sessions, stores
from streamlit_app.around import Around, is_way
from streamlit_app.auth import Role, SignInError, User

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOSTILE = "`[click](javascript:alert(1)) <script>alert(1)</script> **bold** :material/check:"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'run_store.db'}"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def store(url: str, clock: FixedClock) -> Iterator[RunStore]:
    """A store with three acts, a day apart."""
    opened = RunStore.open(url, clock=clock)
    for day, (who, action) in enumerate((("ada", "run_now"), ("max", "export"), ("ada", "export"))):
        opened.audit(who, action, f"thing {day}", before={"day": day}, after={"day": day + 1})
        clock.sleep(24 * 3600)
    yield opened
    opened.close()


@pytest.mark.parametrize("change", [update(audit).values(who="eve"), delete(audit), delete(audit).where(audit.c.id == 1)])
def test_the_database_itself_refuses_to_change_or_remove_an_act(store: RunStore, url: str, change: object) -> None:
    before = store.acts()
    with pytest.raises(DBAPIError, match="append-only"), create_engine(url).begin() as connection:
        connection.execute(change)  # type: ignore[call-overload]
    assert store.acts() == before


def test_an_older_store_is_closed_too_and_keeps_its_acts(url: str, clock: FixedClock) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        schema.METADATA.create_all(connection)
        connection.execute(insert(schema.migrations).values(number=1, applied_at=MONDAY))
        for act in ("update", "delete"):
            connection.execute(text(f"drop trigger audit_refuses_{act}"))
        connection.execute(text("drop table sign_ins"))
        connection.execute(insert(audit).values(at=MONDAY, who="ada", action="run_now", what="full run"))
    store = RunStore.open(url, clock=clock)
    assert [row.who for row in store.acts()] == ["ada"]
    assert store.begin_session("a", "ada")
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(delete(audit))
    with engine.begin() as connection:
        assert max(connection.execute(select(schema.migrations.c.number)).scalars()) == migrations.LATEST


def test_no_way_in_the_code_leads_to_a_change_of_an_act() -> None:
    folder = Path(schema.__file__).parent
    for path in folder.glob("*.py"):
        words = path.read_text(encoding="utf-8")
        assert "update(audit)" not in words, path.name
        assert "delete(audit)" not in words, path.name


def test_acts_are_found_by_person_act_and_days(store: RunStore) -> None:
    def found(**asked: object) -> list[str]:
        return [row.what for row in store.acts(Acts(**asked), limit=10)]  # type: ignore[arg-type]

    assert found() == ["thing 2", "thing 1", "thing 0"]
    assert found(who="ada") == ["thing 2", "thing 0"]
    assert found(action="export", who="max") == ["thing 1"]
    assert found(since=MONDAY + timedelta(days=1), until=MONDAY + timedelta(days=2)) == ["thing 1"]
    assert store.actors() == ["ada", "max"]
    assert store.kinds_of_acts() == ["export", "run_now"]
    assert [row.what for row in store.acts(Acts(), limit=1)] == ["thing 2"]


def draw() -> None:
    from streamlit_app.views import ops_audit

    ops_audit.show()


def test_the_page_shows_filters_and_texts_that_stay_texts(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "run_store", lambda: store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    store.audit("eve", "export", HOSTILE, after={"filters": {"search": HOSTILE}, "rows": 3})
    page = AppTest.from_function(draw, default_timeout=60).run()
    assert [error.message for error in page.exception] == []
    (shown,) = page.table
    assert list(shown.value["Who"]) == ["`eve`", "`ada`", "`max`", "`ada`"]
    assert shown.value["What"][0] == f"`` {HOSTILE} ``"
    assert shown.value["After"][0] == f"filters: search: `` {HOSTILE} ``  \nrows: `3`"
    narrowed = page.selectbox(key="who").set_value("max").run()
    assert list(narrowed.table[0].value["What"]) == ["`thing 1`"]
    assert narrowed.query_params["who"] == "max"


def test_a_session_that_was_signed_out_is_over_and_another_one_of_the_same_person_is_not(
    store: RunStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "run_store", lambda _: store)
    first, second = (claims.session({"sub": "7", "nonce": nonce}) for nonce in ("a", "b"))
    assert sessions.note(url, first, "ada")
    assert not sessions.note(url, first, "ada")
    assert not sessions.is_over(url, first)
    sessions.end(url, first, "ada")
    assert sessions.is_over(url, first)
    assert not sessions.is_over(url, second)


def test_a_copied_cookie_of_a_session_that_was_signed_out_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(auth, "_in_force", lambda: SimpleNamespace(signs_in=True, run_store_url="x"))
    monkeypatch.setattr(auth, "admit", lambda *_, **__: User("ada", Role.ADMIN, session="s"))
    monkeypatch.setattr(sessions, "is_over", lambda _, session: session == "s")
    with pytest.raises(SignInError) as refused:
        auth.current_user()
    assert refused.value.reason == "signed_out"


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb", "/é", "/" + "x" * 3000, "/a\\b", "\t/a"],
)
def test_the_way_back_leads_nowhere_but_into_the_app(text: str) -> None:
    assert not is_way(text)
    assert is_way("/ops_runs?section=runs&run=3")


def answered(
    path: str, *, is_https: bool = True, asked: dict[str, str] | None = None, said: dict[str, str] | None = None
) -> list[str]:
    """The headers of an answer, as `name: value`, of a server that says these itself."""
    sent: list[dict[str, object]] = []

    async def server(_scope: object, _receive: object, send: object) -> None:
        headers = [(name.encode(), value.encode()) for name, value in (said or {}).items()]
        await send({"type": "http.response.start", "status": 302, "headers": headers})  # type: ignore[operator]

    async def keep(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in (asked or {}).items()]
    scope = {"type": "http", "path": path, "headers": headers}
    with ThreadPoolExecutor(1) as elsewhere:  # a browser of another test may have left its loop in this thread
        elsewhere.submit(asyncio.run, Around(server, is_https=is_https)(scope, None, keep)).result()  # type: ignore[arg-type]
    return [f"{name.decode()}: {value.decode()}" for name, value in sent[0]["headers"]]  # type: ignore[attr-defined]


def test_after_a_sign_in_the_page_that_was_asked_for_opens() -> None:
    came = {"host": "app.example", "referer": "https://app.example/churn?window=60"}
    (remembered,) = [line for line in answered("/auth/login", asked=came) if line.startswith("set-cookie")]
    assert remembered.startswith(
        "set-cookie: neopulse_way_back=%2Fchurn%3Fwindow%3D60; Path=/oauth2callback; Max-Age=600; HttpOnly"
    )
    assert remembered.endswith("; Secure")
    cookie = remembered.removeprefix("set-cookie: ").partition(";")[0]
    assert "location: /churn?window=60" in answered("/oauth2callback", asked={"cookie": cookie}, said={"location": "/"})
    evil = {"cookie": "neopulse_way_back=%2F%2Fevil.example"}
    assert "location: /" in answered("/oauth2callback", asked=evil, said={"location": "/"})
    other = {"host": "app.example", "referer": "https://evil.example/churn"}
    assert any("neopulse_way_back=%2F;" in line for line in answered("/auth/login", asked=other))


def test_every_answer_keeps_others_from_framing_it_and_cookies_are_for_https_alone() -> None:
    lines = answered("/", said={"set-cookie": "_streamlit_user=x; HttpOnly"})
    assert "x-frame-options: DENY" in lines
    assert "set-cookie: _streamlit_user=x; HttpOnly; Secure" in lines
    assert any(line.startswith("strict-transport-security") for line in lines)
    here = answered("/", is_https=False, said={"set-cookie": "_streamlit_user=x; HttpOnly"})
    assert "set-cookie: _streamlit_user=x; HttpOnly" in here
