from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def arguments(home: Path, tiny_model: Path, chat_file: Path) -> list[str]:
    return ["--home", str(home), "plan", "--model", str(tiny_model), "--data", str(chat_file)]


def test_shows_what_would_be_done_and_why(tunesmith, arguments):
    said = tunesmith(*arguments)
    assert said.status == 0
    assert "twice the rank" in said.out
    assert "Time    about" in said.out


def test_starts_nothing(tunesmith, arguments, home):
    tunesmith(*arguments)
    assert not (home / "runs").exists()


def test_prints_the_plan_as_json(tunesmith, arguments):
    from tunesmith.spec.plan import Plan

    plan = Plan.model_validate_json(tunesmith(*arguments, "--json").out)
    assert plan.spec.recipe.adapter.rank == 8
    assert plan.data.rows == 40


def test_a_typed_flag_is_kept(tunesmith, arguments):
    plan = json.loads(tunesmith(*arguments, "--lora-r", "4", "--mode", "quick", "--json").out)
    assert plan["spec"]["recipe"]["adapter"]["rank"] == 4
    assert plan["spec"]["recipe"]["mode"] == "fast"
    assert {"field": "recipe.adapter.rank", "value": 4, "reason": "given"} in plan["decisions"]


@pytest.mark.parametrize(
    ("flags", "status", "sentence"),
    [
        (["--target-modules", "q_prj"], 78, "no linear layer 'q_prj'"),
        (["--memory-limit-gb", "0.1"], 78, "needs about"),
        (["--max-seq-length", "4096"], 2, "at most 512"),
        (["--task", "pretraining"], 2, "a task for 40 conversations"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(tunesmith, arguments, flags, status, sentence):
    said = tunesmith(*arguments, *flags)
    assert said.status == status
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_a_model_that_is_not_one_is_one_sentence(tunesmith, home, chat_file, tmp_path):
    (tmp_path / "empty").mkdir()
    said = tunesmith("--home", str(home), "plan", "--model", str(tmp_path / "empty"), "--data", str(chat_file))
    assert said.status == 78
    assert "neither config.json nor adapter_config.json" in said.err


def test_imports_no_torch(arguments):
    program = "import sys; from tunesmith.cli.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.splitlines()[-1] == "False"
