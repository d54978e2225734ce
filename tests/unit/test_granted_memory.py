from pathlib import Path

import pytest

from pipeline.warehouse.memory import granted_memory


@pytest.mark.parametrize(
    ("machine", "granted"),
    [
        pytest.param(64_000_000_000, "5000MB", id="never more than keeps a run under 6 GB"),
        pytest.param(8_000_000_000, "4000MB", id="half of the machine"),
        pytest.param(3_999_000_000, "2000MB", id="rounded"),
        pytest.param(600_000_000, "500MB", id="less builds no bank"),
    ],
)
def test_half_of_the_machine_and_at_most_5_gb(machine: int, granted: str) -> None:
    assert granted_memory(machine=machine, containers=()) == granted


@pytest.mark.parametrize(
    ("limit", "granted"),
    [
        pytest.param("2147483648\n", "1074MB", id="half of the container"),
        pytest.param("max\n", "5000MB", id="a container without a limit"),
        pytest.param("9223372036854771712\n", "5000MB", id="no limit, as cgroup 1 says it"),
        pytest.param("no number", "5000MB", id="not understood"),
    ],
)
def test_a_container_counts_where_it_grants_less_than_the_machine_has(tmp_path: Path, limit: str, granted: str) -> None:
    container = tmp_path / "memory.max"
    container.write_text(limit)
    assert granted_memory(machine=64_000_000_000, containers=(tmp_path / "is not there", container)) == granted
