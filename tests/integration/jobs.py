"""Whole jobs on a tiny model: small recipes that take a second, and the things that may happen to their runs."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.events import Ended, Failed, Finished, Step
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output, Resources
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, CheckpointRecipe, Recipe, StoppingRecipe

ADAPTER = "adapter_model.safetensors"
WEIGHTS = {"lora": ADAPTER, "qlora": ADAPTER, "lora-8bit": ADAPTER, "full": "model.safetensors"}
"""The file with the trained weights, by method."""


def tiny_job(model: Path, data: Path, output: Path, **changes: Any) -> JobSpec:
    """A job of short steps with a checkpoint every third; ``changes`` are fields of the recipe and of the job."""
    recipe: dict[str, Any] = {
        "method": "lora", "adapter": AdapterRecipe(rank=4, dropout=0.1), "length": 64, "epochs": 3, "precision": "fp32",
        "batch": BatchRecipe(size=4, accumulation=1, micro_tokens=100), "learning_rate": 0.01, "evaluate_every": 4,
        "stopping": StoppingRecipe(patience=1000), "checkpoints": CheckpointRecipe(every_steps=3),
    }  # fmt: skip
    recipe |= {name: changes.pop(name) for name in list(changes) if name in Recipe.model_fields}
    spec: dict[str, Any] = {
        "evaluation": Evaluation(validation_split=0.2, test_prompts=0), "output": Output(dir=str(output)),
        "resources": Resources(device="cpu", threads=1),
    }  # fmt: skip
    return JobSpec(
        model=ModelRef(source=str(model)),
        datasets=[DatasetRef(uri=str(data))],
        recipe=Recipe.model_validate(recipe),
        **spec | changes,
    )


def begin(spec: JobSpec | Plan, settings: Settings) -> RunFolder:
    return start(spec if isinstance(spec, Plan) else plan_job(spec, settings), settings)


def until_over(run: RunFolder) -> RunFolder:
    for _ in follow(run, poll=0.01):
        pass
    return run


def until_step(run: RunFolder, step: int) -> bool:
    """Wait until the run has taken a step; False if it ended before."""
    for event in follow(run, poll=0.001):
        if isinstance(event.body, Ended | Failed | Finished):
            return False
        if isinstance(event.body, Step) and event.body.step >= step:
            return True
    return False


def kill(run: RunFolder) -> RunFolder:
    """Kill the worker where it stands and see its end written down."""
    handle = handle_of(run)
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGKILL)
    return until_over(run)


def steps_of(run: RunFolder) -> list[Step]:
    return [event.body for event in follow(run) if isinstance(event.body, Step)]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def weights_digest(run: RunFolder) -> str:
    """sha256 of the trained weights in a run's result."""
    return digest(run.artifacts_dir / WEIGHTS[str(run.plan().spec.recipe.method)])
