"""What is signed out stays out: this session and every copy of its cookie, and no other session of the same person."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.clock import FixedClock
from pipeline.runs.store import RunStore
from streamlit_app import auth, claims, sessions, stores
from streamlit_app.auth import Role, SignInError, User

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_session_that_was_signed_out_is_over_and_another_one_of_the_same_person_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'run_store.db'}"
    store = RunStore.open(url, clock=FixedClock(MONDAY))
    monkeypatch.setattr(stores, "run_store", lambda _: store)
    first, second = (claims.session({"sub": "7", "nonce": nonce}) for nonce in ("a", "b"))
    assert sessions.note(url, first, "ada")
    assert not sessions.note(url, first, "ada")
    assert not sessions.is_over(url, first)
    sessions.end(url, first, "ada")
    assert sessions.is_over(url, first)
    assert not sessions.is_over(url, second)
    store.close()


def test_sessions_that_wait_for_one_look_at_the_store_do_not_look_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, all_wait = [], threading.Event()

    def ended_sessions() -> frozenset[str]:
        looks.append(1)
        all_wait.wait(5)
        return frozenset({"a"})

    monkeypatch.setattr(stores, "run_store", lambda _: SimpleNamespace(ended_sessions=ended_sessions))
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(sessions.is_over, "sqlite:///of-this-test", "a") for _ in range(8)]
        all_wait.set()
        assert all(answer.result() for answer in answers)
    assert len(looks) == 1


def test_a_copied_cookie_of_a_session_that_was_signed_out_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_in_force", lambda: SimpleNamespace(signs_in=True, run_store_url="x"))
    monkeypatch.setattr(auth, "admit", lambda *_, **__: User("ada", Role.ADMIN, session="s"))
    monkeypatch.setattr(sessions, "is_over", lambda _, session: session == "s")
    with pytest.raises(SignInError) as refused:
        auth.current_user()
    assert refused.value.reason == "signed_out"
