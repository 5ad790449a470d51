"""A full disk ends a run with one sentence; what was there stays, and with room again the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.conftest import Here
from integration.jobs import begin, digest, tiny_job
from small_disk import small_disk
from tunesmith.runs import checkpoints
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import find_resumable, resume
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.errors import DiskFull
from tunesmith.spec.events import CheckpointSaved, Failed
from tunesmith.spec.states import RunState
from tunesmith.training.loop import Loop


def fill(disk: Path, *, leave: int) -> Path:
    """Fill a disk up to ``leave`` bytes."""
    import shutil

    file = disk / "fill.bin"
    with file.open("wb") as stream:
        stream.write(b"\0" * (shutil.disk_usage(disk).free - leave))
    return file


def test_a_full_output_keeps_the_earlier_result(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=20) as disk:
        output = disk / "lora"
        first = begin(tiny_job(tiny_model, chat_data, output, max_steps=2), settings)
        before = {file.name: digest(file) for file in output.iterdir() if file.is_file()}
        plan = plan_job(tiny_job(tiny_model, chat_data, output, max_steps=3), settings)
        filling = fill(disk, leave=16_384)
        second = start(plan, settings)
        last = list(follow(second))[-1].body
        assert isinstance(last, Failed)
        assert (here.code, last.exit_code, last.code) == (78, 78, "disk_full")
        assert str(output) in last.message
        assert published_run(output) == first.id
        assert {file.name: digest(file) for file in output.iterdir() if file.is_file()} == before

        filling.unlink()
        third = resume(find_resumable(settings, output=output), settings)
        assert (here.code, third.header().parent) == (0, second.id)
        assert published_run(output) == third.id


def test_a_full_home_keeps_the_earlier_checkpoints(
    here: Here, tiny_model: Path, chat_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", megabytes=20) as disk:
        settings = Settings(home=disk / "home")
        filling = disk / "fill.bin"
        write = Loop.write

        def write_until_full(loop: Loop, folder: Path) -> None:
            if loop.progress.step == 6:
                fill(disk, leave=8_192)
            write(loop, folder)

        monkeypatch.setattr(Loop, "write", write_until_full)
        run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=9, evaluate_every=100), settings)
        assert here.code == 78
        saved = [event.body.step for event in follow(run) if isinstance(event.body, CheckpointSaved)]
        assert saved == [3]
        newest = checkpoints.newest_verified(run)
        assert newest is not None and newest.step == 3
        there = [entry.name for entry in run.checkpoints_dir.iterdir() if not entry.is_symlink()]
        assert there == ["checkpoint-3"]
        last = list(follow(run))[-1].body
        assert isinstance(last, Failed)
        assert last.code == "disk_full"
        assert status(run).state is RunState.FAILED
        assert published_run(tmp_path / "lora") is None

        monkeypatch.setattr(Loop, "write", write)
        filling.unlink()
        child = resume(find_resumable(settings, output=tmp_path / "lora"), settings)
        assert (here.code, status(child).step) == (0, 9)


def test_a_disk_without_room_for_a_run_says_so_before_it_starts(
    here: Here, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        settings = Settings(home=disk)
        plan = plan_job(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=3), settings)
        fill(disk, leave=0)
        with pytest.raises(DiskFull):
            start(plan, settings)
        assert not [entry for entry in disk.rglob("*") if entry.name.startswith("20")]


def test_a_disk_that_fills_up_while_the_data_is_read(
    here: Here, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        settings = Settings(home=disk / "home")
        plan = plan_job(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=3), settings)
        fill(disk, leave=65_536)
        run = start(plan, settings)
        assert here.code == 78
        last = list(follow(run))[-1].body
        assert isinstance(last, Failed) and last.code == "disk_full"
