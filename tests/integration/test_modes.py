"""Runs of the modes from the plan to the result: landing, growing batches, automatic stops, and forced epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Here
from integration.jobs import begin, tiny_job
from tiny import make_tiny_encoder
from tunesmith.cli.main import main
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import cancel
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.events import Body
from tunesmith.spec.job import Evaluation
from tunesmith.spec.recipe import CheckpointRecipe, CircularRecipe
from tunesmith.spec.states import RunState
from tunesmith.worker.keeping import Keeper


def told(run: RunFolder, kind: str) -> list[Any]:
    return [event.body for event in follow(run) if event.body.kind == kind]


def test_a_cancelled_run_without_end_lands_and_succeeds(
    here: Here,
    settings: Settings,
    tiny_model: Path,
    chat_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say = Keeper.say

    def say_and_cancel(keeper: Keeper, body: Body) -> None:
        say(keeper, body)
        if body.kind == "step" and body.step == 5:
            cancel(keeper._run)

    monkeypatch.setattr(Keeper, "say", say_and_cancel)
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", mode="non-stop", epochs=None), settings)
    assert here.code == 0
    now = status(run)
    assert (now.state, now.exit, now.reason, now.step, now.total_steps) == (RunState.SUCCEEDED, 0, "landed", 6, None)
    rates = [step.learning_rate for step in told(run, "step")]
    assert rates[-1] == pytest.approx(rates[-2] / 2)
    assert published_run(tmp_path / "lora") == run.id


def test_the_published_folder_of_a_classifier_names_its_classes(here: Here, settings: Settings, tmp_path: Path) -> None:
    rows = [{"text": f"text {n} of {n % 2}", "label": ("ham", "spam")[n % 2]} for n in range(20)]
    (tmp_path / "mails.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    model = make_tiny_encoder(tmp_path / "encoder")
    begin(tiny_job(model, tmp_path / "mails.jsonl", tmp_path / "out", method="full", max_steps=1), settings)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"] == {"0": "ham", "1": "spam"}
    assert json.loads((tmp_path / "out" / "model_info.json").read_text())["classes"] == ["ham", "spam"]


def test_the_result_is_tested_once_on_the_rows_kept_for_it(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    kept = Evaluation(validation_split=0.2, test_split=0.2, test_prompts=0)
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", epochs=1, evaluation=kept), settings)
    (tested,) = told(run, "tested")
    assert tested.rows == 8
    assert told(run, "started")[0].rows == 24
    assert told(run, "finished")[0].summary["test_loss"] == tested.loss > 0
    assert (
        json.loads((tmp_path / "lora" / "adapter_info.json").read_text())["final_metrics"]["test_loss"] == tested.loss
    )


FLAGS = [
    "--method", "full", "--max-seq-length", "64", "--epochs", "6", "--batch-size", "8", "--learning-rate", "0.03",
    "--eval-steps", "1", "--patience", "1000", "--dtype", "fp32", "--skip-test", "--threads", "1", "--device", "cpu",
    "--gradient-accumulation", "1", "--validation-split", "0.2", "--json",
]  # fmt: skip


def train(model: Path, data: Path, output: Path, *flags: str) -> int:
    return main(["train", "--model", str(model), "--data", str(data), "--output", str(output), *FLAGS, *flags])


@pytest.fixture
def unlearnable(tmp_path: Path) -> Path:
    """Rows whose answers follow from nothing: they can only be learned by heart."""
    import random

    chance, file = random.Random(0), tmp_path / "unlearnable.jsonl"
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [{"prompt": f"{i}", "completion": "".join(chance.choices(letters, k=20))} for i in range(30)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_overfitting_stops_a_run_and_forced_epochs_are_trained_to_the_end(
    here: Here, home: Path, tiny_model: Path, unlearnable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = ("--epochs", "16", "--overfitting-threshold", "0.02")
    assert train(tiny_model, unlearnable, tmp_path / "one", *long) == 0
    stopped = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "overfitting" in stopped["stopped_because"]
    assert stopped["epochs"] < 16, stopped
    assert train(tiny_model, unlearnable, tmp_path / "two", *long, "--force-epochs") == 0
    forced = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (forced["stopped_because"], forced["epochs"]) == ("all steps done", 16)
    run = RunFolder(home / "runs" / forced["run"])
    assert [decision.field for decision in told(run, "decision")] == ["recipe.force_epochs"]
    info = json.loads((tmp_path / "two" / "model_info.json").read_text())
    assert (info["weights"], info["weights_of_step"]) == ("last step", forced["steps"])


def test_an_exploding_perplexity_stops_a_run(
    here: Here, home: Path, tiny_model: Path, unlearnable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ("--learning-rate", "1", "--epochs", "60", "--overfitting-threshold", "1000", "--warmup-ratio", "0.9")
    assert train(tiny_model, unlearnable, tmp_path / "one", *wild) == 0
    assert "perplexity explosion" in json.loads(capsys.readouterr().out.splitlines()[-1])["stopped_because"]


def test_a_perfect_loss_stops_a_circular_run(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        "mode": "circular", "epochs": None, "circular": CircularRecipe(cycles=40, batch_multiplier=2.0),
        "method": "full", "learning_rate": 0.01, "evaluate_every": None,
        "checkpoints": CheckpointRecipe(every_steps=1000),
    }  # fmt: skip
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "one", **changes, stopping={"perfect_loss": 0.7}), settings)
    now = status(run)
    assert now.reason is not None and now.reason.startswith("perfect loss"), now.reason
    batch, stop = told(run, "decision")
    assert (batch.field, batch.value, batch.numbers["cycle"]) == ("recipe.batch.size", 8, 6)
    assert stop.field == "recipe.stopping.perfect_loss"
    assert stop.numbers["train_loss"] < 0.7


def test_a_circular_run_goes_on_when_it_may_cycle_longer(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"mode": "circular", "epochs": None, "circular": CircularRecipe(cycles=2)}
    first = begin(tiny_job(tiny_model, chat_data, tmp_path / "one", **changes), settings)
    assert status(first).reason == "all steps done"
    second = resume(Resumable(first), settings, {"recipe.circular.cycles": 3})
    assert told(second, "started")[0].epochs == 3
    assert status(second).epoch == 3
