from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from small_disk import small_disk
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import claim, publish, published_run, release
from tunesmith.spec.errors import DiskFull, OutputBusy, OutputUnusable
from tunesmith.spec.events import Finished

MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(home: Path, output: Path) -> MakeRun:
    """Make a run with these artifacts; by default this living process is who will launch it."""

    def make(files: dict[str, str] | None = None) -> RunFolder:
        run = RunFolder.create(home, kind="train", name="faq", output=output)
        for name, text in (files or {}).items():
            path = run.artifacts_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return run

    return make


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "run.json")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def end(run: RunFolder) -> None:
    with EventWriter(run.events) as log:
        log.append(Finished(summary={}, artifacts=None))


def test_the_result_is_there_and_names_its_run(make_run: MakeRun, output: Path) -> None:
    run = make_run({"adapter.bin": "a", "logs/training/events": "e"})
    assert publish(run.artifacts_dir, output, run) == []
    assert content(output) == {"adapter.bin": "a", "logs/training/events": "e"}
    assert json.loads((output / "run.json").read_text())["run"] == run.id == published_run(output)
    assert not (output / ".tunesmith").exists()


def test_a_later_run_replaces_what_an_earlier_one_published_and_nothing_else(make_run: MakeRun, output: Path) -> None:
    old = make_run({"adapter.bin": "old", "only-old/x": "x", "both/old": "o"})
    publish(old.artifacts_dir, output, old)
    (output / "notes.txt").write_text("mine")
    (output / "both" / "notes.txt").write_text("mine too")
    new = make_run({"adapter.bin": "new", "both/new": "n"})
    publish(new.artifacts_dir, output, new)
    assert content(output) == {"adapter.bin": "new", "both/new": "n", "both/notes.txt": "mine too", "notes.txt": "mine"}
    assert published_run(output) == new.id
    assert not (output / "only-old").exists()


def test_a_foreign_file_in_the_way_is_kept(make_run: MakeRun, output: Path) -> None:
    output.mkdir()
    (output / "README.md").write_text("mine")
    (output / "run.json").write_text("mine")
    (output / "logs").write_text("mine, and no folder")
    run = make_run({"README.md": "model card", "logs/x": "x"})
    kept = publish(run.artifacts_dir, output, run)
    assert kept == [f"{name}.before-{run.id}" for name in ("README.md", "logs", "run.json")]
    assert {(output / name).read_text() for name in kept} == {"mine", "mine, and no folder"}
    assert (output / "README.md").read_text() == "model card"
    assert published_run(output) == run.id


def test_a_result_is_as_readable_as_any_file_that_the_user_makes(make_run: MakeRun, output: Path) -> None:
    run = make_run({"adapter.bin": "a"})
    (run.artifacts_dir / "adapter.bin").chmod(0o600)
    publish(run.artifacts_dir, output, run)
    (output / "mine").touch()
    assert (output / "adapter.bin").stat().st_mode == (output / "mine").stat().st_mode


def test_a_link_is_published_as_a_link_to_the_same_place(make_run: MakeRun, output: Path) -> None:
    run = make_run()
    os.symlink("../checkpoints", run.artifacts_dir / "checkpoints")
    for _ in range(2):
        publish(run.artifacts_dir, output, run)
        assert os.readlink(output / "checkpoints") == str(run.checkpoints_dir)


@pytest.mark.parametrize("name", ["../victim", "/VICTIM", "", ".", "a/../../victim", 7, ".tunesmith/lock"])
def test_a_name_that_leads_out_of_the_output_removes_nothing(
    make_run: MakeRun, output: Path, tmp_path: Path, name: object
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    named = str(victim) if name == "/VICTIM" else name
    output.mkdir()
    (output / "mine.txt").write_text("mine")
    story = {"run": "other", "name": "x", "folder": "/x", "files": ["mine.txt", named]}
    (output / "run.json").write_text(json.dumps(story))
    assert published_run(output) is None
    run = make_run({"adapter.bin": "a"})
    assert publish(run.artifacts_dir, output, run) == [f"run.json.before-{run.id}"]
    assert victim.read_text() == "mine"
    assert (output / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("key", ["files", "foreign", "old"])
def test_a_journal_that_leads_out_of_the_output_is_ignored(
    make_run: MakeRun, output: Path, tmp_path: Path, key: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (output / ".tunesmith" / "stage").mkdir(parents=True)
    (output / ".tunesmith" / "victim").write_text("theirs")
    journal = {"run": "other", "files": [], "foreign": [], "old": [], key: ["../victim"]}
    (output / ".tunesmith" / "publishing.json").write_text(json.dumps(journal))
    run = make_run()
    claim(output, run)
    assert victim.read_text() == "mine"
    release(output, run)


def test_what_lies_behind_a_link_is_not_removed(make_run: MakeRun, output: Path, tmp_path: Path) -> None:
    old = make_run({"logs/x": "x"})
    publish(old.artifacts_dir, output, old)
    os.rename(output / "logs", tmp_path / "logs")
    os.symlink(tmp_path / "logs", output / "logs")
    new = make_run({"adapter.bin": "a"})
    publish(new.artifacts_dir, output, new)
    assert (tmp_path / "logs" / "x").read_text() == "x"


def test_a_living_run_keeps_others_out(make_run: MakeRun, output: Path) -> None:
    first, second = make_run(), make_run()
    claim(output, first)
    claim(output, first)
    with pytest.raises(OutputBusy, match=first.id):
        claim(output, second)
    release(output, second)
    with pytest.raises(OutputBusy):
        claim(output, second)
    release(output, first)
    claim(output, second)
    release(output, second)
    assert list(output.iterdir()) == []


def test_the_claim_of_a_run_that_is_over_counts_for_nothing(make_run: MakeRun, output: Path) -> None:
    first, second = make_run(), make_run()
    claim(output, first)
    end(first)
    claim(output, second)


def test_the_claim_of_a_run_that_is_gone_counts_for_nothing(make_run: MakeRun, output: Path) -> None:
    first, second = make_run(), make_run()
    claim(output, first)
    os.rename(first.path, first.path.with_name(".gone"))
    claim(output, second)


def test_a_file_is_no_output(make_run: MakeRun, output: Path) -> None:
    output.write_text("a file")
    with pytest.raises(OutputUnusable, match=r"cannot be written.*--output"):
        claim(output, make_run())
    with pytest.raises(OutputUnusable):
        claim(output / "inside", make_run())


def test_a_full_disk_leaves_the_earlier_result(make_run: MakeRun, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        output = disk / "lora"
        old = make_run({"adapter.bin": "old"})
        publish(old.artifacts_dir, output, old)
        before = content(output)
        large = make_run({"adapter.bin": "x" * 3_000_000, "more.bin": "y" * 3_000_000})
        with pytest.raises(DiskFull, match=r"6 MB are needed"):
            publish(large.artifacts_dir, output, large)
        assert content(output) == before
        assert published_run(output) == old.id


def test_a_disk_without_any_room_cannot_be_claimed(make_run: MakeRun, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        with pytest.raises(OSError, match="space"), (disk / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
        with pytest.raises(DiskFull):
            claim(disk / "lora", make_run())


CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.copyfile"})


def publish_until(run: RunFolder, output: Path, change: int) -> int:
    """Publish in a child process that is killed right before its n-th change of the file system."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = change

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if event in CHANGES or writes:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        publish(run.artifacts_dir, output, run)
        os._exit(0)
    finally:
        os._exit(1)


def test_a_kill_at_any_moment_leaves_the_old_result_or_the_new_or_none_that_looks_whole(
    make_run: MakeRun, output: Path
) -> None:
    old_files = {"a.bin": "old", "b.bin": "old", "gone/x": "old"}
    new_files = {"a.bin": "new", "b.bin": "new", "c.bin": "new"}
    seen = set()
    for change in range(1, 200):
        old, new = make_run(old_files), make_run(new_files)
        publish(old.artifacts_dir, output, old)
        code = publish_until(new, output, change)
        there = published_run(output)
        public = {name: text for name, text in content(output).items() if not name.startswith(".tunesmith")}
        seen.add({old.id: "old", new.id: "new", None: "between"}[there])
        if there is not None:
            assert public == (old_files if there == old.id else new_files)
        # Whoever comes next ends what was begun.
        claim(output, new)
        release(output, new)
        assert published_run(output) in (old.id, new.id)
        assert content(output) == (old_files if published_run(output) == old.id else new_files)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert code == 0
    assert seen == {"old", "between", "new"}
