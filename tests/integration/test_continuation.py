"""A finished run is continued on other data: its weights, or its whole state."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from integration.conftest import Here, write_chat
from integration.jobs import begin, steps_of, tiny_job, weights_digest
from tiny import make_tiny_encoder
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.errors import ContinuationDiffers, NothingToContinue, RunNotFound
from tunesmith.spec.job import JobSpec, ModelRef
from tunesmith.spec.recipe import AdapterRecipe
from tunesmith.spec.states import RunState


@pytest.fixture
def more(tmp_path: Path) -> Path:
    return write_chat(tmp_path / "more.jsonl", rows=20)


def continuing(run: RunFolder, how: str | None, data: Path, output: Path, **changes: Any) -> JobSpec:
    """A job on the result of a run that leaves open what follows from it."""
    open_: dict[str, Any] = {"adapter": AdapterRecipe(), "method": None, "epochs": 1, "precision": "fp32"}
    job = tiny_job(Path("/nowhere"), data, output, **open_ | changes)
    return job.model_copy(update={"model": ModelRef.model_validate({"source": f"run:{run.id}", "continue": how})})


def finish(job: JobSpec, settings: Settings) -> RunFolder:
    run = begin(job, settings)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    return run


def begins_with(run: RunFolder) -> float:
    return next(event.body for event in follow(run) if event.body.kind == "evaluated").validation_loss


def test_weights_go_on_with_a_fresh_optimizer_and_schedule(
    here: Here, trained: RunFolder, shared_settings: Settings, more: Path, tmp_path: Path
) -> None:
    run = finish(continuing(trained, None, more, tmp_path / "lora"), shared_settings)
    plan = run.plan()
    assert plan.spec.model.source == f"run:{trained.id}"
    assert plan.model == trained.plan().model
    assert plan.spec.recipe.adapter.rank == trained.plan().spec.recipe.adapter.rank
    assert run.header().continues == trained.id
    assert run.header().parent is None
    assert steps_of(run)[0].step == 1
    untrained = begins_with(trained)
    assert begins_with(run) < untrained - 0.1


def test_state_goes_on_counting(
    here: Here, trained: RunFolder, shared_settings: Settings, more: Path, tmp_path: Path
) -> None:
    run = finish(continuing(trained, "state", more, tmp_path / "lora"), shared_settings)
    before = steps_of(trained)[-1].step
    assert [step.step for step in steps_of(run)] == list(range(before + 1, before + 5))
    assert steps_of(run)[-1].epoch == 1
    start = load_file(checkpoints.start_of(trained).path / "optimizer.safetensors")  # type: ignore[union-attr]
    end = load_file(checkpoints.start_of(run).path / "optimizer.safetensors")  # type: ignore[union-attr]
    counters = [name for name in start if name.endswith(":step")]
    assert counters
    assert all(torch.equal(end[name], start[name] + 4) for name in counters)


def test_preferences_are_measured_from_the_weights_that_are_continued(
    here: Here, trained: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"What is {n} plus 1?", "chosen": f"It is {n + 1}.", "rejected": "No."} for n in range(12)]
    pairs.write_text("\n".join(json.dumps(row) for row in rows))
    run = finish(continuing(trained, "weights", pairs, tmp_path / "dpo"), shared_settings)
    first = next(event.body for event in follow(run) if event.body.kind == "evaluated")
    assert first.validation_loss == pytest.approx(math.log(2), abs=1e-6)
    assert first.metrics["reward_margin"] == pytest.approx(0, abs=1e-6)


def test_a_fully_trained_model_is_continued_too(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, more: Path, tmp_path: Path
) -> None:
    first = finish(tiny_job(tiny_model, chat_data, tmp_path / "full", method="full", epochs=2), settings)
    best = status(first).best_validation_loss
    run = finish(continuing(first, "weights", chat_data, tmp_path / "again"), settings)
    assert begins_with(run) == pytest.approx(best, rel=1e-6)
    as_base = finish(continuing(first, "no", more, tmp_path / "base", method="lora"), settings)
    assert as_base.plan().model.path == str(first.artifacts_dir)
    assert as_base.header().continues is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adapter": AdapterRecipe(rank=8)}, "adapter.rank 8: it was trained with 4"),
        ({"method": "full"}, "recipe.method full: it was trained with lora"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(
    changes: dict[str, Any], words: str, trained: RunFolder, shared_settings: Settings, more: Path, tmp_path: Path
) -> None:
    with pytest.raises(ContinuationDiffers, match=words):
        plan_job(continuing(trained, "weights", more, tmp_path / "lora", **changes), shared_settings)


def test_a_head_is_only_continued_on_its_own_task_and_classes(here: Here, settings: Settings, tmp_path: Path) -> None:
    def rows(name: str, classes: list[str]) -> Path:
        texts = [{"text": f"text {n} of {n % len(classes)}", "label": classes[n % len(classes)]} for n in range(20)]
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(row) for row in texts))
        return path

    mails, model = rows("mails.jsonl", ["ham", "spam"]), make_tiny_encoder(tmp_path / "encoder")
    first = finish(tiny_job(model, mails, tmp_path / "first", max_steps=2), settings)
    assert json.loads((tmp_path / "first" / "adapter_info.json").read_text())["classes"] == ["ham", "spam"]
    assert steps_of(finish(continuing(first, None, mails, tmp_path / "again", max_steps=1), settings))

    other = begin(continuing(first, None, rows("moods.jsonl", ["glad", "sad"]), tmp_path / "moods"), settings)
    assert here.code == 78
    assert "classes glad, sad: it was trained with ham, spam" in list(follow(other))[-1].body.message
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"text": f"text {n}"}) for n in range(20)))
    with pytest.raises(ContinuationDiffers, match="task mlm: it was trained with classification"):
        plan_job(continuing(first, None, texts, tmp_path / "words"), settings)


def test_the_chat_template_and_what_is_trained_go_on(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, more: Path, tmp_path: Path
) -> None:
    mine, same, other = (tmp_path / f"{name}.jinja" for name in ("mine", "same", "other"))
    text = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}"
    for file in (mine, same, other):
        file.write_text(text + (" " if file == other else ""))
    options = {"chat_template": str(mine), "train_on": "all"}
    first = finish(tiny_job(tiny_model, chat_data, tmp_path / "first", max_steps=1, options=options), settings)
    mine.unlink()

    plan = plan_job(continuing(first, None, more, tmp_path / "again"), settings)
    assert Path(plan.spec.options["chat_template"]).read_text() == text
    assert plan.spec.options["train_on"] == "all"
    typed = {"chat_template": str(same), "train_on": "assistant", "dpo_beta": 0.3}
    plan = plan_job(continuing(first, None, more, tmp_path / "again", options=typed), settings)
    assert typed.items() <= plan.spec.options.items()
    with pytest.raises(ContinuationDiffers, match=r"options\.chat_template"):
        plan_job(continuing(first, None, more, tmp_path / "x", options={"chat_template": str(other)}), settings)


def test_a_run_with_a_checkpoint_of_its_own_does_without_the_one_that_it_continues(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, more: Path, tmp_path: Path
) -> None:
    first = finish(tiny_job(tiny_model, chat_data, tmp_path / "first", max_steps=2), settings)
    second = finish(continuing(first, "state", more, tmp_path / "second"), settings)
    shutil.rmtree(first.path)
    again = start(second.plan(), settings, parent=second)
    assert status(again).state is RunState.SUCCEEDED, again.log.read_text()
    assert weights_digest(again) == weights_digest(second)


def test_an_adapter_is_no_model_to_start_from(
    trained: RunFolder, shared_settings: Settings, more: Path, tmp_path: Path
) -> None:
    with pytest.raises(NothingToContinue, match="merge it first"):
        plan_job(continuing(trained, "no", more, tmp_path / "lora"), shared_settings)


def test_what_is_not_there_or_not_finished_is_not_continued(
    trained: RunFolder, shared_settings: Settings, settings: Settings, more: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunNotFound):
        plan_job(continuing(trained, "weights", more, tmp_path / "lora"), settings)
    begun = RunFolder.create(settings.home, kind="train", name="begun", plan=trained.plan())
    with pytest.raises(NothingToContinue, match="has no result"):
        plan_job(continuing(begun, "weights", more, tmp_path / "lora"), settings)
