"""What tests share is made once: pytest-xdist keeps a group in one process, which some pytest makes it forget without a word."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("a group of one")
def test_a_group_is_known_to_who_gives_out_the_tests(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process does all tests here")
    assert request.node.nodeid.endswith("@a group of one")
