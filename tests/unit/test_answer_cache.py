"""Answers are kept by weight: the least lately asked go first, one asker makes what several wait for, errors are not kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from streamlit_app.answer_cache import LIGHT_BYTES, AnswerCache, weight


def table(bytes_of_it: int) -> pa.Table:
    return pa.table({"value": pa.array(range(bytes_of_it // 8), pa.int64())})


def test_a_table_weighs_its_bytes_and_anything_else_a_little() -> None:
    assert weight(table(8_000)) == 8_000 + LIGHT_BYTES
    assert (weight(None), weight((1.0, 2.0))) == (LIGHT_BYTES, 2 * LIGHT_BYTES)


def test_the_least_lately_asked_goes_once_all_weigh_too_much() -> None:
    kept, made = AnswerCache(35_000), list[str]()

    def ask(key: str) -> None:
        kept.get(key, lambda: (made.append(key), table(8_000))[1])

    for key in ("a", "b", "c", "a", "d", "a", "c", "b"):  # three of them weigh 30,000: d pushes out b
        ask(key)
    assert made == ["a", "b", "c", "d", "b"]


def test_an_answer_that_is_heavier_than_all_may_be_is_given_and_kept_alone() -> None:
    kept = AnswerCache(1)
    assert kept.get("whole", lambda: table(8_000)).num_rows == 1_000
    assert kept.get("whole", lambda: pytest.fail("it was kept")).num_rows == 1_000


def test_an_error_is_raised_and_not_kept() -> None:
    kept = AnswerCache(1_000_000)
    with pytest.raises(ZeroDivisionError):
        kept.get("share", lambda: 1 / 0)
    assert kept.get("share", lambda: 0.5) == 0.5


def test_several_who_ask_at_once_wait_for_the_one_who_makes_it() -> None:
    kept, made, is_asked = AnswerCache(1_000_000), list[int](), threading.Event()

    def make() -> int:
        is_asked.wait(5)
        made.append(1)
        return 42

    with ThreadPoolExecutor(4) as readers:
        answers = [readers.submit(kept.get, "key", make) for _ in range(4)]
        is_asked.set()
        assert [answer.result() for answer in answers] == [42] * 4
    assert made == [1]
