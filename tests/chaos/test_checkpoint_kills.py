"""Kill -9 at random moments of a process that only saves: what is visible is whole, and what was announced is there."""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
from collections import Counter
from pathlib import Path

import pytest

from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder

SIZES = (100, 30_000, 300_000)
"""Bytes of the files of a checkpoint."""
LONGEST = 0.06
"""Seconds that a saver lives, at most: enough for some checkpoints, so that kills fall everywhere."""


@pytest.mark.parametrize("kills", [40, pytest.param(300, marks=pytest.mark.chaos)])
def test_kills_while_saving_leave_only_whole_checkpoints(
    home: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(kills)
    run = RunFolder.create(home, kind="train", name="saver")
    seen: Counter[str] = Counter()
    for _ in range(kills):
        announced = saver_killed_after(run, chance.uniform(0, LONGEST))
        seen.update(kind_of(entry.name) for entry in run.checkpoints_dir.iterdir())
        check(run, announced)
        seen["kills"] += 1
    with capsys.disabled():
        print(f"\n{', '.join(f'{count} {what}' for what, count in sorted(seen.items()))}; 0 bad checkpoints")
    assert seen["staging left"] > 0
    assert seen["checkpoint visible"] > kills


def check(run: RunFolder, announced: int) -> None:
    """Every visible checkpoint verifies and loads; the newest, no older than what was announced, is resumed."""
    visible = [entry for entry in run.checkpoints_dir.iterdir() if kind_of(entry.name) == "checkpoint visible"]
    for path in visible:
        assert checkpoints.verify(path), path
        assert {len(file.read_bytes()) for file in path.glob("*.bin")} == set(SIZES)
        assert set((path / "0.bin").read_bytes()) == {int(path.name.split("-")[1]) % 256}
    checkpoints.sweep(run)
    newest = checkpoints.start_of(run)
    assert announced == 0 or newest is not None
    if newest is not None:
        assert newest.step >= max([announced, *(int(path.name.split("-")[1]) for path in visible)])
    for name in (checkpoints.BEST, checkpoints.LAST):
        if (run.checkpoints_dir / name).is_symlink():
            assert checkpoints.pointed(run, name) is not None


def saver_killed_after(run: RunFolder, seconds: float) -> int:
    """Let a process save until it is killed; return the last step that it announced."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            save_for_ever(run, writer)
        finally:
            os._exit(1)
    os.close(writer)
    select.select([], [], [], seconds)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with os.fdopen(reader) as told:
        return max([int(line) for line in told], default=0)


def save_for_ever(run: RunFolder, announce: int) -> None:
    """Do as a training run does: sweep, go on from the newest, save, point, prune; now and then save a step again."""
    checkpoints.sweep(run)
    start = checkpoints.start_of(run)
    for step in itertools.count((start.step if start else 0) + 1):
        for _ in range(2 if step % 3 == 0 else 1):
            with checkpoints.stage(run, step) as staging:
                for number, size in enumerate(SIZES):
                    (staging.path / f"{number}.bin").write_bytes(bytes([step % 256]) * size)
                saved = staging.commit({"step": step})
            os.write(announce, b"%d\n" % step)
        checkpoints.point(run, checkpoints.LAST, saved.name)
        if step % 4 == 0:
            checkpoints.point(run, checkpoints.BEST, saved.name)
        checkpoints.prune(run, keep=2)


def kind_of(name: str) -> str:
    if name.startswith("."):
        return f"{name[1:].split('-')[0]} left"
    return "checkpoint visible" if name.startswith("checkpoint-") else "pointer visible"
