"""Speed beside transformers' Trainer: the same model, rows, order, batch and settings, each side alone in a process.

The Trainer gets its inputs made before the clock starts, as its recipes do; tunesmith makes them on the way. Losses
stand beside the speeds: dropout is off, so they agree to the noise of the number format. Speed is rows divided by time,
the median over the steps after the first two. The Trainer runs as it comes (32 bits) and with ``bf16=True``; tunesmith
in 32 bits, and as its plan chooses. Beside tunesmith's stands the share of a step that making its batch takes.
Ends with exit status 1 if a ratio is below what we require of ourselves, or first losses in 32 bits are not equal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SIDES = ("ours-fp32", "ours", "trainer", "trainer-bf16")
SETTLED = 2
"""First steps that are not counted."""
RATE, ROWS_A_STEP, SEED = 1e-4, 8, 42
REQUIRED = {"the Trainer as it comes": 1.2, "its best": 0.95}
"""Least ratios, as both plan and come; one run differs from the next by some hundredths: 0.95 is "not slower"."""
SAME = 1e-3
"""Largest difference of first losses in 32 bits, as a share."""


@dataclass(frozen=True)
class Bench:
    """What a benchmark compares."""

    module: str
    cases: Mapping[str, str]
    """Name and method of each case."""
    rows: str
    """What a row is, for the report."""
    write: Callable[[str, Path, int], None]
    """Write the model and so many rows of a case into a folder: ``model`` and ``data``."""
    pieces: Callable[[str, Any, Any], Any]
    """Return what the loop runs on, for a case, a plan and prepared data."""
    joined: Callable[[str, list[Any]], dict[str, Any]]
    """Pad single rows to a batch, as the recipes of transformers do."""
    options: Mapping[str, Any]
    settled: Callable[[str, Any, list[float], list[int]], list[float]] = lambda case, model, losses, labels: losses
    """Bring the Trainer's losses to tunesmith's unit."""


def main(bench: Bench, about: str | None) -> int:
    """Run the cases that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", help="comma list of " + ", ".join(bench.cases))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(_measured(bench, given.only, given.side, Path(given.scratch), given.steps)))
        return 0
    faults = []
    for case in given.only.split(",") if given.only else bench.cases:
        with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as scratch:
            (Path(scratch) / case).mkdir()
            bench.write(case, Path(scratch) / case, given.steps * ROWS_A_STEP)
            found = {side: _alone(bench, case, side, Path(scratch), given.steps) for side in SIDES}
        faults += [f"{case}: {fault}" for fault in _report(bench, case, found)]
    print("\n".join(["", *faults]) if faults else "\nall as required")
    return 1 if faults else 0


def _alone(bench: Bench, case: str, side: str, scratch: Path, steps: int) -> dict[str, Any]:
    """Measure one side in a process of its own."""
    command = [sys.executable, "-m", bench.module, "--only", case, "--side", side, "--steps", str(steps)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TUNESMITH_HOME": str(scratch / "home")}
    done = subprocess.run(
        [*command, "--scratch", str(scratch)], cwd=ROOT, env=environment, capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{case} {side} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(bench: Bench, case: str, side: str, scratch: Path, steps: int) -> dict[str, Any]:
    run = _planned(bench, case, scratch / case, scratch / "home", precision="fp32" if side != "ours" else None)
    return (
        _ours(bench, case, run, steps)
        if side.startswith("ours")
        else _trainers(bench, case, run, steps, bf16=side == "trainer-bf16")
    )


def _planned(bench: Bench, case: str, folder: Path, home: Path, *, precision: str | None) -> Any:
    """A run folder with the plan of a case, not begun."""
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.submit import plan_job
    from tunesmith.settings import Settings
    from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output
    from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, Recipe

    recipe = Recipe.model_validate(
        {
            "method": bench.cases[case], "epochs": 1, "learning_rate": RATE, "schedule": "constant", "warmup_steps": 0,
            "weight_decay": 0.0, "force_epochs": True, "batch": BatchRecipe(size=ROWS_A_STEP, accumulation=1),
            "adapter": AdapterRecipe(rank=8, dropout=0.0), "gradient_checkpointing": False, "precision": precision,
        }
    )  # fmt: skip
    spec = JobSpec(
        model=ModelRef(source=str(folder / "model")),
        datasets=[DatasetRef(uri=str(folder / "data"))],
        recipe=recipe, evaluation=Evaluation(validation_split=0.0, test_prompts=0), seed=SEED,
        output=Output(dir=str(folder / "out"), tensorboard=False), options=dict(bench.options),
    )  # fmt: skip
    home.mkdir(exist_ok=True)
    return RunFolder.create(home, kind="train", name=case, plan=plan_job(spec, Settings(home=home)))


def _ours(bench: Bench, case: str, run: Any, steps: int) -> dict[str, Any]:
    from tunesmith.runs.event_log import read
    from tunesmith.spec.events import Step
    from tunesmith.worker import train
    from tunesmith.worker.reporting import Reporter

    train.run(run, Reporter(run))
    told = [(event.time, event.body.loss) for event in read(run.events, 0)[0] if isinstance(event.body, Step)]
    found = _summed([one - other for (other, _), (one, _) in itertools.pairwise(told)], [loss for _, loss in told])
    pieces, rows = _prepared(bench, case, run, steps)
    began = time.monotonic()
    for each in rows:
        pieces.train.batch(each, 0)
    return found | {"making": (time.monotonic() - began) / steps * found["rows_per_second"] / ROWS_A_STEP}


def _prepared(bench: Bench, case: str, run: Any, steps: int) -> tuple[Any, list[list[int]]]:
    """Return what the loop runs on, and the rows of each step."""
    from tunesmith.training.batching import step_rows
    from tunesmith.worker.prepare import prepare_data
    from tunesmith.worker.reporting import Reporter

    plan = run.plan()
    data = prepare_data(run, plan, Reporter(run)).prepared
    rows = [step_rows(len(data.train), ROWS_A_STEP, SEED, 0, step * ROWS_A_STEP) for step in range(steps)]
    return bench.pieces(case, plan, data), rows


def _trainers(bench: Bench, case: str, run: Any, steps: int, *, bf16: bool) -> dict[str, Any]:
    """The same rows, in the order in which tunesmith takes them, by transformers' Trainer."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    pieces, rows = _prepared(bench, case, run, steps)
    _as_it_comes(pieces.model)
    batches = [pieces.train.batch([row], 0) for some in rows for row in some]
    ticks, losses = [], []

    class Clock(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **known: Any) -> None:
            ticks.append(time.monotonic())

        def on_log(self, arguments: Any, state: Any, control: Any, logs: Any = None, **known: Any) -> None:
            if logs and "loss" in logs:
                losses.append(logs["loss"])

    class InOrder(Trainer):
        def _get_train_sampler(self, *given: Any) -> Any:
            return torch.utils.data.SequentialSampler(batches)

    settings = TrainingArguments(
        output_dir=str(run.path / "trainer"), per_device_train_batch_size=ROWS_A_STEP, max_steps=steps, bf16=bf16,
        learning_rate=RATE, lr_scheduler_type="constant", weight_decay=0.0, logging_steps=1, save_strategy="no",
        report_to=[], use_cpu=True, remove_unused_columns=False, disable_tqdm=True, logging_nan_inf_filter=False,
    )  # fmt: skip
    InOrder(
        model=pieces.model, args=settings, train_dataset=batches, callbacks=[Clock()],
        data_collator=lambda some: bench.joined(case, some),
    ).train()  # fmt: skip
    labels = [
        sum(batch.labels for batch in batches[start : start + ROWS_A_STEP])
        for start in range(0, len(batches), ROWS_A_STEP)
    ]
    return _summed(
        [one - other for other, one in itertools.pairwise(ticks)], bench.settled(case, pieces.model, losses, labels)
    )


def _as_it_comes(model: Any) -> None:
    """Take out of a model what tunesmith has put in to make it quick."""
    for module in model.modules():
        vars(module).pop("forward", None)
        if hasattr(module, "config") and hasattr(module.config, "_attn_implementation"):
            module.config._attn_implementation = "sdpa"


def _summed(seconds: list[float], losses: list[float]) -> dict[str, Any]:
    return {"rows_per_second": ROWS_A_STEP / statistics.median(seconds[SETTLED - 1 :]), "losses": losses}


def _report(bench: Bench, case: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """Print what was found; return what falls short."""
    print(f"\n{case}: {bench.rows} a second, and the losses of the first and the last step")
    for side, each in found.items():
        making = f"   making batches: {each['making']:.1%} of a step" if "making" in each else ""
        print(f"  {side:13} {each['rows_per_second']:7.2f}   {each['losses'][0]:.4f} {each['losses'][-1]:.4f}{making}")
    exact = found["ours-fp32"]["rows_per_second"] / found["trainer"]["rows_per_second"]
    default = found["ours"]["rows_per_second"]
    best = max(found[side]["rows_per_second"] for side in ("trainer", "trainer-bf16"))
    as_it_comes = default / found["trainer"]["rows_per_second"]
    print(f"  ratio {as_it_comes:.2f} as both come, {default / best:.2f} to its best, {exact:.2f} in 32 bits")
    ratios = {"the Trainer as it comes": as_it_comes, "its best": default / best}
    faults = [
        f"{ratios[beside]:.2f} beside {beside}, required {least}"
        for beside, least in REQUIRED.items()
        if ratios[beside] < least
    ]
    ours, theirs = (found[side]["losses"][0] for side in ("ours-fp32", "trainer"))
    if abs(ours - theirs) > SAME * abs(theirs):
        faults.append(f"the first losses in 32 bits are {ours:.5f} and {theirs:.5f}")
    return faults
