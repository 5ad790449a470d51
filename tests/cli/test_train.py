from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call
from tunesmith.cli.train import command
from tunesmith.spec.events import RunSummary

GUIDE = """--data --output --method --epochs --batch-size --learning-rate --lora-r --lora-alpha --target-modules
--circular --max-circular-epochs --circular-batch-multiplier --resume --resume-from --no-tensorboard --tensorboard-port
--tensorboard-only --patience --overfitting-threshold --min-evaluations --use-8bit --use-4bit --max-seq-length --mode
--force-epochs --validation-split --optimizer --gradient-accumulation --gradient-accumulation-steps --max-examples
--skip-test --test-prompt --dataset-format --config --model-path --device --dtype --seed"""
"""Every flag that the training guide names."""


@pytest.mark.parametrize("flag", GUIDE.split())
def test_every_flag_of_the_guide_is_one_of_ours(flag: str) -> None:
    assert flag in {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


def test_help_is_no_failure(tunesmith: Call) -> None:
    assert tunesmith("train", "-h") == tunesmith("train", "--help")
    assert tunesmith("train", "-h").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["--data", "chat.jsonl"], 2, "No model is named"),
        (["--model", "./nowhere", "--data", "chat.jsonl"], 78, "./nowhere: no such model"),
        (["--resume"], 78, "no unfinished run with a complete checkpoint"),
        (["--resume-from", "no-such-run"], 78, "There is no run 'no-such-run'"),
    ],
)
def test_what_cannot_start_is_one_sentence_and_leaves_no_run(
    tunesmith: Call, home: Path, arguments: list[str], status: int, word: str
) -> None:
    said = tunesmith("train", *arguments)
    assert said.status == status
    assert word in said.err
    assert len(said.err.splitlines()) == 1
    assert not (home / "runs").exists()


def test_data_that_is_not_there_ends_with_65(tunesmith: Call, home: Path, tiny_model: Path) -> None:
    said = tunesmith("train", "--model", str(tiny_model), "--data", "nowhere.jsonl", "--json")
    assert said.status == 65
    assert json.loads(said.out)["error"]["code"] == "data_not_found"


def test_a_model_is_trained_and_the_last_line_sums_it_up(
    tunesmith: Call, home: Path, tiny_model: Path, chat_file: Path
) -> None:
    said = tunesmith(
        *("train", "--model", str(tiny_model), "--data", str(chat_file), "--max-steps", "2", "--skip-test"),
        *("--no-tensorboard", "--device", "cpu", "--json"),
    )
    assert (said.status, said.err) == (0, "")
    summary = RunSummary.model_validate_json(said.out)
    assert (summary.state, summary.steps) == ("succeeded", 2)
    assert Path("lora/adapter_model.safetensors").is_file()
    assert (home / "runs" / summary.run / "events.jsonl").is_file()
