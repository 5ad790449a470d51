"""Adapters for pictures, whole: through the command's own calls, in processes of their own, opened by diffusers."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from integration.jobs import begin, digest, kill, tiny_job, until_over, until_step
from made_pipelines import draw_shapes, write_full_sd, write_sd, write_sdxl
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.events import Evaluated, Picture, Step
from tunesmith.spec.job import Evaluation, JobSpec
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, CheckpointRecipe
from tunesmith.spec.states import RunState

pytestmark = pytest.mark.chaos

FILE = "pytorch_lora_weights.safetensors"
KOHYA = "kohya_lora.safetensors"
PROMPT = "a red circle on white"
CREDIBLE = 1.6
"""Most that a plan may estimate of what is then taken, as a factor."""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    made = draw_shapes(folder / "images", 40)
    with (folder / "data.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt", "image_path"])
        rows.writerows((prompt, f"images/{name}") for name, prompt in made)
    return folder


def job(model: Path, data: Path, output: Path, **changes: Any) -> JobSpec:
    given: dict[str, Any] = {
        "length": None, "task": "text-to-image", "adapter": AdapterRecipe(rank=4, dropout=0.1), "epochs": 4,
        "batch": BatchRecipe(size=4, accumulation=1), "evaluate_every": None, "learning_rate": 0.01,
        "options": {"sample_prompts": [PROMPT], "sample_steps": 4},
    }  # fmt: skip
    return tiny_job(model, data, output, **given | changes)


@pytest.mark.parametrize("layout", ["sd", "sdxl"])
def test_the_loss_falls_samples_change_and_diffusers_opens_the_result(
    layout: str, shapes: Path, tmp_path: Path, home: Path
) -> None:
    import diffusers

    write, kind = {
        "sd": (write_sd, diffusers.StableDiffusionPipeline), "sdxl": (write_sdxl, diffusers.StableDiffusionXLPipeline),
    }[layout]  # fmt: skip
    options = {"sample_prompts": [PROMPT], "sample_steps": 4, "train_text_encoder": layout == "sdxl"}
    spec = job(write(tmp_path / layout), shapes, tmp_path / "out", options=options, adapter=AdapterRecipe(dropout=0))
    run = until_over(begin(spec, Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED
    losses = [event.body.validation_loss for event in follow(run) if isinstance(event.body, Evaluated)]
    assert losses[-1] < losses[0]
    drawn = [event.body for event in follow(run) if isinstance(event.body, Picture)]
    files = [(run.path / each.file).read_bytes() for each in drawn]
    assert [drawn[0].when, drawn[-1].when] == ["before", "after"]
    assert len({each.seed for each in drawn}) == 1
    assert files[0] != files[-1]

    made = {name: _drawn(kind, tmp_path / layout, tmp_path / "out", name) for name in (None, FILE, KOHYA)}
    assert _far(made[FILE], made[KOHYA]) <= 1 < _far(made[FILE], made[None])
    assert _far(made[FILE], files[-1]) <= 2
    assert _far(made[None], files[0]) <= 2


@pytest.mark.parametrize("text", [False, True])
def test_a_killed_and_resumed_run_comes_to_the_same_weights_and_pictures(
    text: bool, shapes: Path, tmp_path: Path, home: Path
) -> None:
    settings = Settings(home=home)
    model = write_sd(tmp_path / "sd")
    options = {"sample_prompts": [PROMPT], "sample_steps": 2, "train_text_encoder": text, "mirror": True}
    changes: dict[str, Any] = {"options": options, "checkpoints": CheckpointRecipe(every_steps=3)}
    straight = until_over(begin(job(model, shapes, tmp_path / "straight", **changes), settings))
    run = begin(job(model, shapes, tmp_path / "killed", **changes), settings)
    for step in (5, 14):
        assert until_step(run, step)
        kill(run)
        run = resume(Resumable(run), settings)
    until_over(run)
    assert status(run).state is RunState.SUCCEEDED
    for name in (FILE, KOHYA):
        assert digest(run.artifacts_dir / name) == digest(straight.artifacts_dir / name)
    for name in ("before-1.png", "after-1.png"):
        assert (run.path / "pictures" / name).read_bytes() == (straight.path / "pictures" / name).read_bytes()


def test_the_full_sizes_of_stable_diffusion_take_a_step_in_the_memory_that_the_plan_says(
    shapes: Path, tmp_path: Path, home: Path
) -> None:
    evaluation = Evaluation(validation_split=0.0, test_prompts=0)
    spec = job(
        write_full_sd(tmp_path / "full"), shapes, tmp_path / "out", precision="bf16", max_steps=1, options={},
        batch=BatchRecipe(size=1, accumulation=1), evaluation=evaluation,
    )  # fmt: skip
    spec = spec.model_copy(update={"datasets": [spec.datasets[0].model_copy(update={"limit": 2})]})
    plan = plan_job(spec, Settings(home=home))
    run = until_over(begin(plan, Settings(home=home)))
    [step] = [event.body for event in follow(run) if isinstance(event.body, Step)]
    assert np.isfinite(step.loss)
    assert step.memory_bytes <= plan.memory.total <= CREDIBLE * step.memory_bytes


def _drawn(kind: Any, model: Path, adapter: Path, name: str | None) -> bytes:
    """Draw with diffusers alone, without and with an adapter."""
    pipeline = kind.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    if name is not None:
        pipeline.load_lora_weights(str(adapter), weight_name=name)
        assert pipeline.get_list_adapters()
    made = pipeline(
        PROMPT, num_inference_steps=4, height=32, width=32, guidance_scale=7.5, negative_prompt="",
        generator=torch.Generator().manual_seed(42),
    ).images[0]  # fmt: skip
    file = io.BytesIO()
    made.save(file, "PNG")
    return file.getvalue()


def _far(one: bytes, other: bytes) -> int:
    """Largest difference of a colour."""
    pixels = [np.asarray(Image.open(io.BytesIO(content)), np.int16) for content in (one, other)]
    return int(np.abs(pixels[0] - pixels[1]).max())
