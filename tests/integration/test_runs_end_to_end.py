"""From a job to a result that other programs open: real workers, a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from integration.conftest import STEPS, Here
from integration.jobs import begin, digest, steps_of, tiny_job
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import claim, published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.errors import OutputBusy
from tunesmith.spec.events import Finished
from tunesmith.spec.job import Evaluation, Output
from tunesmith.spec.states import RunState


def output_of(run: RunFolder) -> Path:
    output = run.header().output
    assert output is not None
    return Path(output)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(20).unsqueeze(0)).logits


def test_a_run_succeeds_and_says_so(trained: RunFolder) -> None:
    now = status(trained)
    assert (now.state, now.step, now.exit) == (RunState.SUCCEEDED, STEPS, 0), trained.log.read_text()
    assert [step.step for step in steps_of(trained)] == list(range(1, STEPS + 1))
    assert published_run(output_of(trained)) == trained.id
    last = list(follow(trained))[-1].body
    assert isinstance(last, Finished)
    assert (last.summary["steps"], last.summary["epochs"], last.summary["state"]) == (STEPS, 10, "succeeded")
    assert (
        last.summary["best_validation_loss"]
        < json.loads((output_of(trained) / "adapter_info.json").read_text())["final_metrics"]["start_validation_loss"]
    )


def test_the_adapter_opens_with_peft_and_changes_the_model(trained: RunFolder, tiny_model: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    before = logits(base)
    adapted = PeftModel.from_pretrained(base, output_of(trained))
    assert not torch.allclose(before, logits(adapted.eval()), atol=1e-3)
    assert AutoTokenizer.from_pretrained(output_of(trained)).chat_template


def test_the_result_tells_its_story(trained: RunFolder, tiny_model: Path) -> None:
    from matplotlib.image import imread

    output = output_of(trained)
    info = json.loads((output / "adapter_info.json").read_text())
    assert (info["base_model"], info["run"]) == (str(tiny_model), trained.id)
    assert info["final_metrics"]["total_evaluations"] == STEPS // 4
    assert imread(output / "training_history.png").shape[:2] == (600, 1080)
    assert f"base_model: {json.dumps(str(tiny_model))}" in (output / "README.md").read_text()
    assert (output / "checkpoints" / "last" / "weights.safetensors").is_file()


def test_tensorboard_reads_its_events(trained: RunFolder) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output_of(trained) / "logs" / "training"))
    events.Reload()
    assert len(events.Scalars("train/loss")) == STEPS
    assert [round(point.value, 4) for point in events.Scalars("train/loss")] == [
        round(step.loss, 4) for step in steps_of(trained)
    ]
    assert events.Scalars("eval/loss")


def test_what_nobody_published_is_left_alone(trained: RunFolder) -> None:
    assert (output_of(trained) / "notes.txt").read_text() == "mine"


def test_a_whole_model_opens_with_transformers(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    output = tmp_path / "model"
    run = begin(tiny_job(tiny_model, chat_data, output, method="full", max_steps=6), settings)
    assert (here.code, status(run).state) == (0, RunState.SUCCEEDED), run.log
    base, tuned = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for folder in (tiny_model, output))
    assert not torch.allclose(logits(base), logits(tuned), atol=1e-3)
    assert json.loads((output / "model_info.json").read_text())["weights_of_step"] <= 6


def test_a_later_run_replaces_the_result_and_a_living_one_keeps_others_out(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "lora"
    job = tiny_job(tiny_model, chat_data, output, max_steps=2)
    first = begin(job.model_copy(update={"output": Output(dir=str(output), save_bin=True)}), settings)
    weights, extra = digest(output / "adapter_model.safetensors"), output / "adapter_model.bin"
    assert torch.load(extra, weights_only=True).keys()

    living = RunFolder.create(settings.home, kind="train", name="living", plan=first.plan(), output=output)
    claim(output, living)
    plan = plan_job(job.model_copy(update={"seed": 7, "output": Output(dir=str(output), tensorboard=False)}), settings)
    with pytest.raises(OutputBusy, match=living.id):
        start(plan, settings)
    assert digest(output / "adapter_model.safetensors") == weights
    assert published_run(output) == first.id

    (living.path / "exit.json").write_text("{}")
    second = start(plan, settings)
    assert published_run(output) == second.id
    assert digest(output / "adapter_model.safetensors") != weights
    assert not extra.exists()
    assert not (output / "logs").exists()


def test_held_out_questions_are_answered_before_and_after(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    evaluation = Evaluation(validation_split=0.2, test_prompts=2)
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=1, evaluation=evaluation), settings)
    samples = [event.body for event in follow(run) if event.body.kind == "sample"]
    assert len(samples) == 2
    assert all(sample.prompt.startswith("What is") and sample.expected.startswith("It is") for sample in samples)
