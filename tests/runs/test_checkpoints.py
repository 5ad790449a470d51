from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from small_disk import small_disk
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import DiskFull


def save(run: RunFolder, step: int, content: bytes = b"weights") -> checkpoints.Checkpoint:
    with checkpoints.stage(run, step) as staging:
        (staging.path / "state").mkdir()
        (staging.path / "state" / "weights.bin").write_bytes(content)
        (staging.path / "position.json").write_text(str(step))
        return staging.commit({"fingerprint": "abc"})


def visible(run: RunFolder) -> list[str]:
    return sorted(os.listdir(run.checkpoints_dir))


def test_a_committed_checkpoint_verifies_and_knows_its_meta(run: RunFolder) -> None:
    saved = save(run, 20)
    assert checkpoints.verify(saved.path)
    assert checkpoints.listed(run) == [saved]
    assert (saved.name, saved.step, saved.meta, saved.bytes) == ("checkpoint-20", 20, {"fingerprint": "abc"}, 9)


def test_steps_are_ordered_as_numbers(run: RunFolder) -> None:
    for step in (9, 100, 20):
        save(run, step)
    assert [one.step for one in checkpoints.listed(run)] == [9, 20, 100]
    newest = checkpoints.newest_verified(run)
    assert newest is not None
    assert newest.step == 100


@pytest.mark.parametrize("fault", ["a bit", "a byte too few", "a file too few", "no manifest", "a torn manifest"])
def test_a_damaged_checkpoint_is_passed_over(run: RunFolder, fault: str) -> None:
    good, bad = save(run, 1), save(run, 2)
    weights = bad.path / "state" / "weights.bin"
    match fault:
        case "a bit":
            weights.write_bytes(b"weighty")
        case "a byte too few":
            weights.write_bytes(b"weight")
        case "a file too few":
            weights.unlink()
        case "no manifest":
            (bad.path / "manifest.json").unlink()
        case "a torn manifest":
            (bad.path / "manifest.json").write_text('{"step": 2, "fi')
    assert not checkpoints.verify(bad.path)
    assert checkpoints.newest_verified(run) == good


def test_the_same_step_is_replaced(run: RunFolder) -> None:
    save(run, 5, b"first")
    saved = save(run, 5, b"second")
    assert (saved.path / "state" / "weights.bin").read_bytes() == b"second"
    assert visible(run) == ["checkpoint-5"]


def test_without_a_commit_nothing_stays(run: RunFolder) -> None:
    with pytest.raises(ValueError, match="shapes"), checkpoints.stage(run, 1) as staging:
        (staging.path / "weights.bin").write_bytes(b"half")
        raise ValueError("shapes")
    assert visible(run) == []


def test_sweeping_clears_away_what_a_kill_left(run: RunFolder) -> None:
    saved = save(run, 3)
    folder = run.checkpoints_dir
    (folder / ".staging-4-0a1b2c3d").mkdir()
    (folder / ".trash-1-0a1b2c3d").mkdir()
    os.symlink("checkpoint-3", folder / ".pointer-0a1b2c3d")
    (folder / "notes.txt").write_text("mine")
    checkpoints.sweep(run)
    assert visible(run) == ["checkpoint-3", "notes.txt"]
    assert checkpoints.listed(run) == [saved]


def test_sweeping_puts_back_what_was_being_replaced(run: RunFolder) -> None:
    saved = save(run, 3)
    os.rename(saved.path, run.checkpoints_dir / ".aside-3-0a1b2c3d")
    checkpoints.sweep(run)
    assert checkpoints.newest_verified(run) == saved


def test_sweeping_drops_what_was_replaced(run: RunFolder) -> None:
    saved = save(run, 3)
    shutil.copytree(saved.path, run.checkpoints_dir / ".aside-3-0a1b2c3d")
    checkpoints.sweep(run)
    assert visible(run) == ["checkpoint-3"]


def test_keeps_the_newest_the_best_and_the_protected(run: RunFolder) -> None:
    for step in range(1, 7):
        save(run, step)
    checkpoints.point(run, "best", "checkpoint-1")
    checkpoints.point(run, "last", "checkpoint-6")
    assert checkpoints.prune(run, 2, {"checkpoint-3"}) == ["checkpoint-2", "checkpoint-4"]
    assert visible(run) == ["best", "checkpoint-1", "checkpoint-3", "checkpoint-5", "checkpoint-6", "last"]


def test_a_pointer_moves(run: RunFolder) -> None:
    assert checkpoints.pointed(run, "best") is None
    first, second = save(run, 1), save(run, 2)
    for saved in (first, second):
        checkpoints.point(run, "best", saved.name)
        assert os.readlink(run.checkpoints_dir / "best") == saved.name
        found = checkpoints.pointed(run, "best")
        assert found is not None
        assert found.step == saved.step


def test_a_resumed_run_starts_from_its_parents_until_it_has_its_own(home: Path, run: RunFolder) -> None:
    old = save(run, 4)
    child = RunFolder.create(home, kind="train", name="faq", parent=run)
    grandchild = RunFolder.create(home, kind="train", name="faq", parent=child)
    assert checkpoints.start_of(grandchild) == old
    own = save(grandchild, 6)
    assert checkpoints.start_of(grandchild) == own


def test_a_run_starts_from_the_checkpoint_that_it_was_told(home: Path, run: RunFolder) -> None:
    early = save(run, 2)
    save(run, 4)
    child = RunFolder.create(home, kind="train", name="faq", parent=run, start=early.path)
    grandchild = RunFolder.create(home, kind="train", name="faq", parent=child)
    for resumed in (child, grandchild):
        found = checkpoints.start_of(resumed)
        assert found is not None
        assert found.step == 2


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        run = RunFolder.create(disk, kind="train", name="faq")
        saved = save(run, 1, b"x" * 1_500_000)
        with pytest.raises(DiskFull, match=r"the disk is full"):
            save(run, 2, b"x" * 3_500_000)
        assert visible(run) == ["checkpoint-1"]
        assert checkpoints.newest_verified(run) == saved
        with pytest.raises(DiskFull), checkpoints.stage(run, 1) as staging:
            (staging.path / "weights.bin").write_bytes(b"x" * 3_500_000)
            staging.commit()
        assert checkpoints.newest_verified(run) == saved


def test_a_run_that_another_went_on_with_keeps_only_what_is_still_wanted(run: RunFolder) -> None:
    for step in (3, 6, 9):
        save(run, step)
    checkpoints.point(run, "best", "checkpoint-3")
    checkpoints.point(run, "last", "checkpoint-9")
    assert checkpoints.clear(run, 3) == ["checkpoint-6", "checkpoint-9"]
    assert visible(run) == ["best", "checkpoint-3"]
    assert checkpoints.clear(run, None) == ["checkpoint-3"]
    assert visible(run) == []
