"""Mode adaptive beside mode medium, on a noisy and on a small data set: best validation loss, and every decision.

    python benchmarks/adaptive.py                       # both data sets, two seeds: about 15 minutes on two cores
    python benchmarks/adaptive.py --only small --seeds 1

Rows are drawn from the ChatterBot corpus (``tunesmith pull chatterbot-corpus``). ``noisy``: 240 rows, of which three in
ten got another row's answer; ``small``: 60 rows, which are soon known by heart. Both modes train on the same rows in
the same order with the settings that their mode chooses, are evaluated equally often, and are judged on the same 60
rows, whose answers are right and which neither trains on. Exit status 1: adaptive was worse by more than the seeds
differ.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.cli.figures import line_of
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import load_settings
from tunesmith.spec.events import DecisionMade, Evaluated, Failed, Finished
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output
from tunesmith.spec.recipe import Recipe

HELD_OUT = 60
TOLERANCE = 0.01
"""Share of the loss by which two seeds of the same mode differ, and which therefore means nothing."""


@dataclass(frozen=True)
class Case:
    """A data set and how long it is trained on."""

    name: str
    rows: int
    shuffled: float
    """Share of the rows that get another row's answer."""
    epochs: int
    evaluate_every: int


CASES = (Case("noisy", 240, 0.3, 3, 4), Case("small", 60, 0.0, 10, 3))


def main() -> int:
    """Run the cases that were asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--data", default="chatterbot-corpus")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    print("| data | seed | medium | adaptive | changes |\n| --- | --- | --- | --- | --- |", flush=True)
    worse = [not compare(case, args) for case in CASES if args.only in (None, case.name)]
    return 1 if any(worse) else 0


def compare(case: Case, args: argparse.Namespace) -> bool:
    """Train in both modes with every seed; tell whether adaptive is no worse."""
    found: dict[str, list[float]] = {"medium": [], "adaptive": []}
    for seed in range(1, args.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            train, held_out = write_rows(case, args.data, seed, Path(folder))
            runs = {mode: best_loss(case, mode, seed, args.model, train, held_out) for mode in found}
        for mode, (loss, _) in runs.items():
            found[mode].append(loss)
        changes = "; ".join(runs["adaptive"][1]) or "none"
        losses = " | ".join(f"{runs[mode][0]:.4f}" for mode in found)
        print(f"| {case.name} | {seed} | {losses} | {changes} |", flush=True)
    medium, adaptive = (statistics.mean(found[mode]) for mode in ("medium", "adaptive"))
    print(f"| {case.name} | mean | {medium:.4f} | {adaptive:.4f} | |", flush=True)
    return adaptive <= medium * (1 + TOLERANCE)


def write_rows(case: Case, data: str, seed: int, folder: Path) -> tuple[Path, Path]:
    """Draw rows to train on and to judge by, and exchange some answers of the former."""
    from tunesmith.service.models.resolve import resolve_data

    files = resolve_data(data, load_settings()).split(",")
    rows = [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]
    chance = random.Random(seed)
    chosen = chance.sample(rows, HELD_OUT + case.rows)
    train = chosen[HELD_OUT:]
    wrong = chance.sample(range(case.rows), round(case.rows * case.shuffled))
    answers = [train[row]["messages"][-1]["content"] for row in wrong]
    for row, answer in zip(wrong, answers[1:] + answers[:1], strict=True):
        train[row]["messages"][-1]["content"] = answer
    return _write(folder / "train.jsonl", train), _write(folder / "held-out.jsonl", chosen[:HELD_OUT])


def best_loss(case: Case, mode: str, seed: int, model: str, train: Path, held_out: Path) -> tuple[float, list[str]]:
    """Train; return the validation loss of the result, and what the mode changed on the way."""
    recipe = Recipe.model_validate({"mode": mode, "epochs": case.epochs, "evaluate_every": case.evaluate_every})
    spec = JobSpec(
        model=ModelRef(source=model),
        datasets=[DatasetRef(uri=str(train)), DatasetRef(uri=str(held_out), validation=True)],
        recipe=recipe,
        evaluation=Evaluation(test_prompts=0),
        output=Output(dir=str(train.with_name(mode))),
        seed=seed,
    )
    settings = load_settings()
    loss, changes = float("nan"), []
    for event in follow(start(plan_job(spec, settings), settings)):
        if isinstance(event.body, DecisionMade):
            changes.append(_told(event.body))
        elif isinstance(event.body, Evaluated):
            loss = event.body.best_validation_loss
            print(line_of(event.body), file=sys.stderr, flush=True)
        elif isinstance(event.body, Failed):
            raise SystemExit(event.body.message)
        elif isinstance(event.body, Finished):
            changes.append(f"ended: {event.body.summary['stopped_because']}")
    return loss, changes


def _told(decision: DecisionMade) -> str:
    at = int(decision.numbers.get("step", 0))
    value: Any = f"{decision.value:.3g}" if isinstance(decision.value, float) else decision.value
    return f"step {at}: {decision.field.removeprefix('recipe.')} = {value} ({decision.reason})"


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


if __name__ == "__main__":
    sys.exit(main())
