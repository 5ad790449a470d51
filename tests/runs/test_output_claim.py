from __future__ import annotations

import fcntl
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.runs import publish as publishing
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.lease import grant
from tunesmith.runs.output_claim import claim_in
from tunesmith.runs.output_lock import PRIVATE, locked
from tunesmith.runs.publish import claim, publish, release
from tunesmith.spec.errors import OutputBusy, OutputLocked, Overtaken

Attempt = Callable[..., RunFolder]
JOB = "0123456789ab"
HOUR = 3600.0


@pytest.fixture
def attempt(home: Path, output: Path) -> Attempt:
    """Make an attempt at a job: this living process is who would launch it, so that it counts as alive."""

    def make(token: int, job: str | None = JOB) -> RunFolder:
        run = RunFolder.create(home, kind="train", name="faq", output=output, job=job, token=token)
        (run.artifacts_dir / "adapter.bin").write_text(run.id)
        return run

    return make


def publish_of(run: RunFolder, output: Path) -> list[str]:
    return publish(run.artifacts_dir, output, run)


def test_the_next_attempt_takes_over_from_one_that_lives(attempt: Attempt, output: Path) -> None:
    first, second = attempt(1), attempt(2)
    claim(output, first)
    claim(output, second)
    with pytest.raises(Overtaken, match=f"run {second.id} has its output"):
        publish_of(first, output)
    release(output, first)
    holder = claim_in(output / PRIVATE)
    assert holder is not None and (holder.run, holder.job, holder.token) == (second.id, JOB, 2)
    publish_of(second, output)
    assert (output / "adapter.bin").read_text() == second.id


def test_an_earlier_attempt_takes_nothing_back(attempt: Attempt, output: Path) -> None:
    first, second = attempt(1), attempt(2)
    claim(output, second)
    with pytest.raises(Overtaken):
        claim(output, first)


def test_another_job_waits_whatever_its_number(attempt: Attempt, output: Path) -> None:
    claim(output, attempt(1))
    for other in (attempt(9, "ba9876543210"), attempt(0, None), attempt(1)):
        with pytest.raises(OutputBusy):
            claim(output, other)


def test_nothing_is_published_when_the_lease_has_passed(attempt: Attempt, output: Path) -> None:
    run = attempt(1)
    claim(output, run)
    grant(run, time.time() - 1)
    with pytest.raises(Overtaken, match="lease has passed") as refused:
        publish_of(run, output)
    assert refused.value.exit_code == 75
    grant(run, time.time() + HOUR)
    publish_of(run, output)


def test_nothing_is_published_when_the_lease_passes_while_files_are_copied(
    attempt: Attempt, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, copy = attempt(1), publishing._copy

    def slow(artifacts: Path, stage: Path) -> list[str]:
        grant(run, time.time() - 1)
        return copy(artifacts, stage)

    claim(output, run)
    monkeypatch.setattr(publishing, "_copy", slow)
    with pytest.raises(Overtaken):
        publish_of(run, output)
    assert [entry.name for entry in output.iterdir()] == [PRIVATE]
    assert sorted(entry.name for entry in (output / PRIVATE).iterdir()) == ["claim.json", "lock"]


def test_of_a_hundred_stale_results_none_is_published(attempt: Attempt, output: Path) -> None:
    """However the later attempt stands when the earlier one wakes up: begun, finished, or not even there."""
    moments, refused = random.Random(7), 0
    for round in range(100):
        job = f"{round:012x}"
        first, second = attempt(1, job), attempt(2, job)
        claim(output, first)
        far = moments.randrange(4)
        if far >= 1:
            claim(output, second)
        if far >= 2:
            publish_of(second, output)
        if far >= 3:
            release(output, second)
        before = (output / "run.json").read_bytes() if (output / "run.json").exists() else None
        holder = claim_in(output / PRIVATE)
        if holder is not None and holder.run == first.id:
            grant(first, time.time() - 1)
        with pytest.raises(Overtaken):
            publish_of(first, output)
        refused += 1
        assert ((output / "run.json").read_bytes() if (output / "run.json").exists() else None) == before
        release(output, first)
        release(output, second)
    assert refused == 100


def test_a_lock_that_a_stopped_process_keeps_is_waited_for_so_long_and_no_longer(output: Path) -> None:
    (output / PRIVATE).mkdir(parents=True)
    with (output / PRIVATE / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = time.monotonic()
        with pytest.raises(OutputLocked, match="another process has been writing here"), locked(output, patience=0.1):
            pass
        assert 0.1 <= time.monotonic() - begun < 5
    with locked(output, patience=0.1) as private:
        assert private.is_dir()


def test_a_claim_of_a_locked_output_is_a_busy_output(
    attempt: Attempt, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "CLAIM_PATIENCE", 0.05)
    (output / PRIVATE).mkdir(parents=True)
    with (output / PRIVATE / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputBusy):
            claim(output, attempt(1))
