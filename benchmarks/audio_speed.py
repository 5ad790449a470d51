"""Training speed on recordings beside transformers' Trainer: same model, rows, order, batch and settings, in one run.

    python -m benchmarks.audio_speed                       # all cases
    python -m benchmarks.audio_speed --only ctc --steps 6

Each measurement is a process of its own. The Trainer gets its features computed before the clock starts, as its recipes
do; tunesmith computes them on the way. Losses stand beside the speeds: both sides take the same rows in the same order
with dropout off, so they agree to the noise of the number format. Speed is recordings divided by time, the median over
the steps after the first two. The Trainer runs as it comes (32 bits) and with ``bf16=True``; tunesmith in 32 bits, and
as its plan chooses.
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
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
CASES = {"whisper-lora": "lora", "whisper-full": "full", "ctc": "full", "classes": "full"}
SIDES = ("ours-fp32", "ours", "trainer", "trainer-bf16")
SETTLED = 2
"""First steps that are not counted."""
RATE, ROWS_A_STEP, SEED = 1e-4, 8, 42
WORDS = ("press", "the", "pound", "key", "after", "you", "have", "entered", "your", "number", "and", "wait")


def main() -> None:
    arguments = parse()
    if arguments.side:
        print(json.dumps(measured(arguments.only, arguments.side, Path(arguments.scratch), arguments.steps)))
        return
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as scratch:
        for case in arguments.only.split(",") if arguments.only else CASES:
            write(case, Path(scratch), arguments)
            report(case, {side: alone(case, side, Path(scratch), arguments.steps) for side in SIDES})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", help="folder of a Whisper (default: the pulled whisper-tiny-en)")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", help="comma list of " + ", ".join(CASES))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    return parser.parse_args()


def write(case: str, scratch: Path, arguments: argparse.Namespace) -> None:
    """Write the rows and the model of a case."""
    import soundfile

    random, rows = np.random.default_rng(0), []
    folder = scratch / case
    (folder / "rows").mkdir(parents=True)
    for number in range(arguments.steps * ROWS_A_STEP):
        seconds = float(random.uniform(1, 8))
        wave = random.normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
        soundfile.write(folder / "rows" / f"{number}.wav", wave, 16_000)
        said = {"text": " ".join(random.choice(WORDS, max(2, int(seconds * 2))))}
        rows.append({"audio": f"{number}.wav", **({"label": f"c{number % 4}"} if case == "classes" else said)})
    (folder / "rows" / "audio_data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    if case.startswith("whisper"):
        (folder / "model").symlink_to(whisper(arguments.whisper).resolve())
    else:
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        still = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout",
                 "layerdrop", "mask_time_prob", "mask_feature_prob")  # fmt: skip
        config = Wav2Vec2Config(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=6, intermediate_size=1536,
            feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True, **dict.fromkeys(still, 0.0),
        )  # fmt: skip
        Wav2Vec2Model(config).save_pretrained(folder / "model")


def whisper(given: str | None) -> Path:
    if given:
        return Path(given)
    from tunesmith.service.models.pull import pull
    from tunesmith.settings import load_settings

    return pull("whisper-tiny-en", load_settings(), lambda stage, done: print(stage))


def alone(case: str, side: str, scratch: Path, steps: int) -> dict[str, Any]:
    """Measure one side in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.audio_speed", "--only", case, "--side", side, "--steps", str(steps)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TUNESMITH_HOME": str(scratch / "home")}
    done = subprocess.run(
        [*command, "--scratch", str(scratch)], cwd=ROOT, env=environment, capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{case} {side} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(case: str, side: str, scratch: Path, steps: int) -> dict[str, Any]:
    folder = scratch / case
    run = planned(case, folder, scratch / "home", precision="fp32" if side != "ours" else None)
    return ours(run) if side.startswith("ours") else trainers(case, run, steps, bf16=side == "trainer-bf16")


def planned(case: str, folder: Path, home: Path, *, precision: str | None) -> Any:
    """A run folder with the plan of a case, not begun."""
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.submit import plan_job
    from tunesmith.settings import Settings
    from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output
    from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, Recipe

    recipe = Recipe.model_validate(
        {
            "method": CASES[case], "epochs": 1, "learning_rate": RATE, "schedule": "constant", "warmup_steps": 0,
            "weight_decay": 0.0, "force_epochs": True, "batch": BatchRecipe(size=ROWS_A_STEP, accumulation=1),
            "adapter": AdapterRecipe(rank=8, dropout=0.0), "gradient_checkpointing": False, "precision": precision,
        }
    )  # fmt: skip
    spec = JobSpec(
        model=ModelRef(source=str(folder / "model")),
        datasets=[DatasetRef(uri=str(folder / "rows" / "audio_data.jsonl"))],
        recipe=recipe, evaluation=Evaluation(validation_split=0.0, test_prompts=0), seed=SEED,
        output=Output(dir=str(folder / "out"), tensorboard=False), options={"freeze_convolutions": False},
    )  # fmt: skip
    home.mkdir(exist_ok=True)
    return RunFolder.create(home, kind="train", name=case, plan=plan_job(spec, Settings(home=home)))


def ours(run: Any) -> dict[str, Any]:
    from tunesmith.runs.event_log import read
    from tunesmith.spec.events import Step
    from tunesmith.worker import train
    from tunesmith.worker.reporting import Reporter

    train.run(run, Reporter(run))
    told = [(event.time, event.body.loss) for event in read(run.events, 0)[0] if isinstance(event.body, Step)]
    return summed([one - other for (other, _), (one, _) in itertools.pairwise(told)], [loss for _, loss in told])


def trainers(case: str, run: Any, steps: int, *, bf16: bool) -> dict[str, Any]:
    """The same rows, in the order in which tunesmith takes them, by transformers' Trainer."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from tunesmith.modalities.audio.builder import build_classifier, build_recognizer
    from tunesmith.training.batching import step_rows
    from tunesmith.worker.prepare import prepare_data
    from tunesmith.worker.reporting import Reporter

    plan = run.plan()
    data = prepare_data(run, plan, Reporter(run)).prepared
    build = build_classifier if case == "classes" else build_recognizer
    pieces = build(plan, data.train, data.validation, torch.device("cpu"), labels=data.labels)
    rows = [
        row for step in range(steps) for row in step_rows(len(data.train), ROWS_A_STEP, SEED, 0, step * ROWS_A_STEP)
    ]
    batches = [pieces.train.batch([row], 0) for row in rows]
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
    model = pieces.model
    if case == "ctc":
        model.config.ctc_loss_reduction = "sum"
    InOrder(
        model=model, args=settings, train_dataset=batches, callbacks=[Clock()],
        data_collator=lambda some: joined(case, some),
    ).train()  # fmt: skip
    labels = [
        sum(batch.labels for batch in batches[start : start + ROWS_A_STEP])
        for start in range(0, len(batches), ROWS_A_STEP)
    ]
    if case == "ctc":
        losses = [loss / count for loss, count in zip(losses, labels, strict=False)]
    return summed([one - other for other, one in itertools.pairwise(ticks)], losses)


def joined(case: str, some: list[Any]) -> dict[str, Any]:
    """Pad single rows to a batch, as the recipes of transformers do."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    inputs = {name: pad_sequence([each.inputs[name][0] for each in some], batch_first=True) for name in some[0].inputs}
    if case == "classes":
        return {**inputs, "labels": torch.cat([each.classes for each in some])}
    if case == "ctc":
        said = [torch.tensor(each.said[0]) for each in some]
        return {**inputs, "labels": pad_sequence(said, batch_first=True, padding_value=-100)}
    prompt = some[0].prompt
    ids = [torch.tensor(each.said[0][:-1]) for each in some]
    said = [torch.tensor([-100] * (prompt - 1) + each.said[0][prompt:]) for each in some]
    return {
        **inputs,
        "decoder_input_ids": pad_sequence(ids, batch_first=True, padding_value=50256),
        "labels": pad_sequence(said, batch_first=True, padding_value=-100),
    }


def summed(seconds: list[float], losses: list[float]) -> dict[str, Any]:
    speed = ROWS_A_STEP / statistics.median(seconds[SETTLED - 1 :])
    return {"rows_per_second": speed, "losses": losses}


def report(case: str, found: dict[str, dict[str, Any]]) -> None:
    print(f"\n{case}: recordings a second, and the losses of the first and the last step")
    for side, each in found.items():
        print(f"  {side:13} {each['rows_per_second']:7.2f}   {each['losses'][0]:.4f} {each['losses'][-1]:.4f}")
    exact = found["ours-fp32"]["rows_per_second"] / found["trainer"]["rows_per_second"]
    default = found["ours"]["rows_per_second"]
    best = max(found[side]["rows_per_second"] for side in ("trainer", "trainer-bf16"))
    as_it_comes = default / found["trainer"]["rows_per_second"]
    print(f"  ratio {as_it_comes:.2f} as both come, {default / best:.2f} to its best, {exact:.2f} in 32 bits")


if __name__ == "__main__":
    main()
