"""What was made is kept by weight: the least lately asked go first, errors are not kept, and several wait for one maker."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from pipeline.kept import LIGHT_BYTES, Kept, weight


def table(bytes_of_it: int) -> pa.Table:
    return pa.table({"value": pa.array(range(bytes_of_it // 8), pa.int64())})


def test_a_table_weighs_its_bytes_and_anything_else_a_little() -> None:
    assert weight(table(8_000)) == 8_000 + LIGHT_BYTES
    assert (weight(None), weight((1.0, 2.0))) == (LIGHT_BYTES, 2 * LIGHT_BYTES)


def test_the_least_lately_asked_goes_once_all_weigh_too_much() -> None:
    kept, made = Kept(40_000), list[str]()

    def ask(key: str) -> None:
        kept.get(key, lambda: (made.append(key), table(8_000))[1])

    for key in ("a", "b", "c", "d", "a", "e", "a", "c", "b"):  # four of them weigh 40,000: e pushes out b
        ask(key)
    assert made == ["a", "b", "c", "d", "e", "b"]


def test_what_weighs_more_than_half_of_all_is_given_and_pushes_nothing_out() -> None:
    kept, made = Kept(40_000), list[str]()
    kept.get("small", lambda: table(800))
    for _ in range(2):
        assert kept.get("whole", lambda: (made.append("whole"), table(24_000))[1]).num_rows == 3_000
    assert made == ["whole"] * 2
    assert kept.get("small", lambda: pytest.fail("it was pushed out")).num_rows == 100


def test_an_error_is_raised_and_not_kept() -> None:
    kept = Kept(1_000_000)
    with pytest.raises(ZeroDivisionError):
        kept.get("share", lambda: 1 / 0)
    assert kept.get("share", lambda: 0.5) == 0.5


def test_several_who_ask_at_once_wait_for_the_one_who_makes_it() -> None:
    kept, made, is_asked = Kept(1_000_000), list[int](), threading.Event()

    def make() -> int:
        is_asked.wait(5)
        made.append(1)
        return 42

    with ThreadPoolExecutor(4) as readers:
        answers = [readers.submit(kept.get, "key", make) for _ in range(4)]
        is_asked.set()
        assert [answer.result() for answer in answers] == [42] * 4
    assert made == [1]
