from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tunesmith.runs.checkpoints import stage
from tunesmith.runs.folder import RunFolder
from tunesmith.service.system import doctor
from tunesmith.service.system.doctor import State
from tunesmith.service.system.packages import fault, lacking
from tunesmith.service.system.probes import TorchFacts
from tunesmith.settings import Settings


def test_a_home_that_can_be_written_is_fine(tmp_path: Path) -> None:
    check = doctor.check_home(Settings(home=tmp_path / "deep" / "home"))
    assert (check.state, check.advice) == (State.OK, "")


def test_a_home_below_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor.check_home(Settings(home=tmp_path / "file" / "home"))
    assert check.state is State.FAULT
    assert "TUNESMITH_HOME" in check.advice


def test_the_disk_is_asked_where_the_home_will_be(tmp_path: Path) -> None:
    check = doctor.check_disk(Settings(home=tmp_path / "not" / "there"))
    assert str(tmp_path) in check.found


def test_half_written_checkpoints_are_found(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert doctor.check_leftovers(settings).state is State.OK
    run = RunFolder.create(tmp_path, kind="train", name="r")
    with stage(run, 3) as staging:
        (staging.path / "weights").write_bytes(b"x" * 2_000_000)
        shutil.copytree(staging.path, run.checkpoints_dir / f"{staging.path.name}0")  # as a kill would leave it
    assert doctor.check_leftovers(settings).state is State.OK, "a run that goes on may be writing"
    (run.path / "exit.json").write_text('{"code": null, "signal": 9, "peak_memory_bytes": 0, "ended_at": 0}')
    check = doctor.check_leftovers(settings)
    assert (check.state, check.found) == (State.WARNING, "1 half-written checkpoints, 2 MB")


def test_offline_does_not_ask_the_hub(tmp_path: Path) -> None:
    check = doctor.check_hub(Settings(home=tmp_path, offline=True))
    assert (check.state, check.found) == (State.OK, "not asked (offline)")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (TorchFacts(None, fault="ImportError: libc"), State.FAULT),
        (TorchFacts("2.13.0", fault="RuntimeError: operator torchvision::nms does not exist"), State.FAULT),
        (TorchFacts("2.13.0"), State.OK),
    ],
)
def test_torch_must_import_with_what_stands_beside_it(facts: TorchFacts, state: State) -> None:
    check = doctor.check_torch(facts)
    assert check.state is state
    assert bool(check.advice) == (state is not State.OK)


@pytest.mark.parametrize(
    ("facts", "state", "found"),
    [
        (TorchFacts("2", ("NVIDIA H100",), bf16=True), State.OK, "NVIDIA H100; bf16"),
        (TorchFacts("2", bf16=False), State.WARNING, "CPU without bf16 (avx512_bf16 or AMX)"),
    ],
)
def test_the_device_is_named(facts: TorchFacts, state: State, found: str) -> None:
    check = doctor.check_device(facts)
    assert (check.state, check.found) == (state, found)


def test_packages_that_lack_or_are_too_old_are_named() -> None:
    assert lacking("tunesmith", extra=None) == []
    assert lacking("pytest", extra="no such extra") == []


@pytest.mark.parametrize(
    ("requirement", "sentence"),
    [
        ("pytest>=1", None),
        ("pytest>=999.1", "is older than 999.1"),
        ("no-such-package-anywhere>=1; extra == 'x'", "no-such-package-anywhere is not installed"),
    ],
)
def test_a_requirement_is_compared_with_what_is_installed(requirement: str, sentence: str | None) -> None:
    found = fault(requirement)
    assert found is None if sentence is None else sentence in (found or "")
