from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sample_plan import sample_plan
from service.jobs.conftest import Begin, until_over, until_step
from tiny import make_tiny_model
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import pause, stop_now
from tunesmith.service.jobs.resume import Resumable, find_resumable, resume, with_limits
from tunesmith.settings import Settings
from tunesmith.spec.errors import NothingToResume, ResumeDiffers, RunNotFound, WrongRunState
from tunesmith.spec.job import DatasetRef, Device
from tunesmith.spec.states import RunState


@pytest.fixture
def paused(begin: Begin) -> RunFolder:
    """A run of three steps that was paused after the second."""
    run = until_step(begin("train and wait"), 2)
    pause(run)
    return until_over(run)


def steps_of(run: RunFolder) -> list[str]:
    return [one.name for one in checkpoints.listed(run)]


def test_a_paused_run_goes_on_where_it_stopped(settings: Settings, paused: RunFolder, output: Path) -> None:
    child = until_over(resume(find_resumable(settings, output=output), settings))
    assert child.parent() == paused
    assert child.plan() == paused.plan()
    assert steps_of(child) == ["checkpoint-3"]
    assert status(child).state is RunState.SUCCEEDED
    assert status(paused).state is RunState.PAUSED
    assert published_run(output) == child.id


def test_a_killed_run_goes_on_too(settings: Settings, begin: Begin, output: Path) -> None:
    run = until_step(begin("train and wait"), 2)
    handle = handle_of(run)
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGKILL)
    until_over(run)
    assert find_resumable(settings, output=output) == Resumable(run)


def test_a_run_that_another_went_on_with_is_past(settings: Settings, paused: RunFolder, output: Path) -> None:
    child = resume(Resumable(paused), settings, {"recipe.max_steps": 5})
    until_over(child)
    found = find_resumable(settings, output=output)
    assert found == Resumable(child)
    with pytest.raises(WrongRunState, match="Larger --epochs or --max-steps"):
        resume(found, settings)


def test_a_child_without_a_checkpoint_goes_on_with_its_parents(
    settings: Settings, paused: RunFolder, output: Path
) -> None:
    child = resume(Resumable(paused), settings)
    stop_now(child)
    for own in checkpoints.listed(child):
        os.rename(own.path, own.path.with_name(".staging-9-00000000"))
    if status(child).state is RunState.CANCELLED:
        assert find_resumable(settings, output=output) == Resumable(child)
    assert checkpoints.start_of(child) == checkpoints.newest_verified(paused)


def test_a_living_run_cannot_be_resumed(settings: Settings, begin: Begin, output: Path) -> None:
    run = until_step(begin("train and wait"), 2)
    for reference in (None, run.id, str(run.checkpoints_dir / "checkpoint-1")):
        with pytest.raises(WrongRunState, match="runs follow"):
            find_resumable(settings, output=output, reference=reference)
    stop_now(run)


def test_without_a_checkpoint_there_is_nothing_to_resume(settings: Settings, begin: Begin, output: Path) -> None:
    with pytest.raises(NothingToResume, match="lora"):
        find_resumable(settings, output=output)
    run = until_over(begin("crash"))
    for reference in (None, run.id, "some/where/checkpoint-3"):
        with pytest.raises(NothingToResume):
            find_resumable(settings, output=output, reference=reference)
    with pytest.raises(RunNotFound):
        find_resumable(settings, output=output, reference="nobody")


def test_a_checkpoint_is_named_by_its_folder(
    settings: Settings, paused: RunFolder, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = paused.checkpoints_dir / "checkpoint-1"
    os.symlink(paused.checkpoints_dir, output / "checkpoints")
    monkeypatch.chdir(paused.checkpoints_dir)
    for reference in (str(first), "checkpoint-1", "checkpoints/checkpoint-1"):
        assert find_resumable(settings, output=output, reference=reference) == Resumable(paused, first)
    last = find_resumable(settings, output=output, reference="checkpoints/last")
    assert last.checkpoint == paused.checkpoints_dir / "checkpoint-2"
    child = until_over(resume(Resumable(paused, first), settings))
    assert steps_of(child) == ["checkpoint-2", "checkpoint-3"]


def test_a_damaged_checkpoint_is_not_resumed(settings: Settings, paused: RunFolder, output: Path) -> None:
    (paused.checkpoints_dir / "checkpoint-2" / "state.bin").write_bytes(b"damaged!")
    with pytest.raises(NothingToResume):
        find_resumable(settings, reference=str(paused.checkpoints_dir / "checkpoint-2"))
    child = until_over(resume(find_resumable(settings, output=output), settings))
    assert steps_of(child) == ["checkpoint-2", "checkpoint-3"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("recipe.learning_rate", 0.5),
        ("recipe.epochs", 0.5),
        ("recipe.max_steps", 2),
        ("recipe.batch.size", 4),
        ("seed", 7),
        ("model.source", "another"),
        ("datasets", [DatasetRef(uri="other.jsonl")]),
        ("output.dir", "/somewhere/else"),
    ],
)
def test_what_was_typed_differently_is_refused(settings: Settings, paused: RunFolder, path: str, value: object) -> None:
    with pytest.raises(ResumeDiffers, match=path):
        resume(Resumable(paused), settings, {path: value})
    assert len(list(settings.runs_dir.iterdir())) == 1


def test_what_was_typed_again_is_fine(
    settings: Settings, paused: RunFolder, output: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started_in = Path(paused.header().folder)
    monkeypatch.chdir(tmp_path)
    typed = {
        "recipe.epochs": 1,
        "recipe.max_steps": 3,
        "resources.device": Device.AUTO,
        "model.source": "tiny",
        "datasets": [DatasetRef(uri=str(started_in / "chat.jsonl"))],
        "output.dir": output.name,
        "name": "another name",
    }
    child = until_over(resume(Resumable(paused), settings, typed))
    assert child.plan() == paused.plan()
    assert child.header().folder == str(started_in)


def test_another_model_in_the_same_place_is_refused(settings: Settings, paused: RunFolder, model: Path) -> None:
    make_tiny_model(model, vocabulary=300)
    with pytest.raises(ResumeDiffers, match="the model"):
        resume(Resumable(paused), settings)


def test_larger_limits_go_further(settings: Settings, begin: Begin, output: Path) -> None:
    done = until_over(begin())
    child = until_over(resume(find_resumable(settings, output=output), settings, {"recipe.max_steps": 5}))
    assert steps_of(child) == ["checkpoint-4", "checkpoint-5"]
    assert (child.plan().steps, done.plan().steps) == (5, 3)
    assert (output / "steps.txt").read_text() == "5"


def test_other_limits_count_steps_as_planning_does(output: Path) -> None:
    plan = sample_plan(output)
    data = plan.data.model_copy(update={"rows": 101, "sequences_per_row": 2.5})
    evaluation = plan.spec.evaluation.model_copy(update={"validation_split": 0.1})
    spec = plan.spec.model_copy(update={"evaluation": evaluation})
    plan = plan.model_copy(update={"data": data, "spec": spec})
    # 228 sequences in batches of four.
    assert with_limits(plan, {"recipe.epochs": 2.0, "recipe.max_steps": None}).steps == 2 * 57
    assert with_limits(plan, {"recipe.max_steps": 7}).steps == 7


def test_a_checkpoint_is_found_by_its_path_in_any_unfinished_run_of_the_output(
    settings: Settings, paused: RunFolder, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_resumable(settings, output=output, reference="checkpoints/checkpoint-2")
    assert found == Resumable(paused, (paused.checkpoints_dir / "checkpoint-2").resolve())
    with pytest.raises(NothingToResume):
        find_resumable(settings, output=tmp_path / "other", reference="checkpoints/checkpoint-2")
