from collections.abc import Mapping
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
def test_half_of_the_machine_and_at_most_5_gb(tmp_path: Path, machine: int, granted: str) -> None:
    assert granted_memory(machine=machine, groups=tmp_path, own=tmp_path / "is not there") == granted


@pytest.mark.parametrize(
    ("limit", "granted"),
    [
        pytest.param("2147483648\n", "1074MB", id="half of the container"),
        pytest.param("max\n", "5000MB", id="a container without a limit"),
        pytest.param("9223372036854771712\n", "5000MB", id="no limit, as cgroup 1 says it"),
        pytest.param("no number", "5000MB", id="not understood"),
    ],
)
@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_counts_where_it_grants_less_than_the_machine_has(
    tmp_path: Path, file: str, limit: str, granted: str
) -> None:
    own = groups_with(tmp_path, "0::/\n", {file: limit})
    assert granted_memory(machine=64_000_000_000, groups=tmp_path, own=own) == granted


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        pytest.param(
            "0::/system.slice/neopulse.service\n",
            {"system.slice/neopulse.service/memory.max": "2000000000\n", "system.slice/memory.max": "max\n"},
            id="of the service",
        ),
        pytest.param(
            "0::/system.slice/neopulse.service\n",
            {"system.slice/neopulse.service/memory.max": "max\n", "system.slice/memory.max": "2000000000\n"},
            id="of all services",
        ),
        pytest.param(
            "5:cpu,cpuacct:/elsewhere\n4:memory:/a:b/neopulse\n0::/\n",
            {"memory/a:b/neopulse/memory.limit_in_bytes": "2000000000\n"},
            id="cgroup 1",
        ),
        pytest.param("0::/docker/0123\n", {"memory.max": "2000000000\n"}, id="told as the host sees it"),
        pytest.param("not understood\n", {"memory.max": "2000000000\n"}, id="told in other words"),
    ],
)
def test_the_least_limit_of_the_groups_that_the_process_is_in_counts(tmp_path: Path, own: str, limits: Mapping[str, str]) -> None:
    assert granted_memory(machine=64_000_000_000, groups=tmp_path, own=groups_with(tmp_path, own, limits)) == "1000MB"


def groups_with(folder: Path, own: str, limits: Mapping[str, str]) -> Path:
    """Put the files of limits into a folder, and beside them the one that says in which groups the process is; returns that."""
    for name, limit in limits.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(limit)
    told = folder / "own"
    told.write_text(own)
    return told
