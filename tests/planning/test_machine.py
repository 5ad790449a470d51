from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.planning.facts import device_facts
from tunesmith.planning.machine import cores, cpu_share, memory_room
from tunesmith.spec.errors import NoSuchDevice
from tunesmith.spec.job import Resources

GIB = 2**30


def test_this_machine_has_cores_and_memory():
    facts = device_facts(Resources(device="cpu"))
    assert (facts.kind, facts.count) == ("cpu", 1)
    assert facts.cores == cores() >= 1
    assert facts.memory > 0
    assert facts.name


def test_a_limit_counts_instead_of_what_is_there():
    assert device_facts(Resources(device="cpu", memory_limit_gb=3)).memory == 3 * GIB


def test_processes_share_the_memory_of_a_cpu():
    assert device_facts(Resources(device="cpu", memory_limit_gb=3, processes=2)).memory == 1.5 * GIB


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(NoSuchDevice, match="--device cuda cannot be used"):
        device_facts(Resources(device="cuda"))


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("-", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_container_limits_memory(tmp_path):
    files = {"memory-max": "1000", "memory-current": "600", "memory-stat": "anon 1\ninactive_file 100\n"}
    assert memory_room(write(tmp_path, **files)) == 500


def test_an_older_container_limits_memory(tmp_path):
    files = {"memory__memory-limit_in_bytes": "1000", "memory__memory-usage_in_bytes": "600"}
    assert memory_room(write(tmp_path, **files)) == 400


@pytest.mark.parametrize("files", [{}, {"memory-max": "max", "memory-current": "600"}])
def test_no_limit_of_memory(tmp_path, files):
    assert memory_room(write(tmp_path, **files)) is None


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"cpu-max": "150000 100000"}, 1.5),
        ({"cpu-max": "max 100000"}, None),
        ({"cpu__cpu-cfs_quota_us": "400000", "cpu__cpu-cfs_period_us": "100000"}, 4.0),
        ({"cpu__cpu-cfs_quota_us": "-1", "cpu__cpu-cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_container_limits_cores(tmp_path, files, share):
    assert cpu_share(write(tmp_path, **files)) == share
