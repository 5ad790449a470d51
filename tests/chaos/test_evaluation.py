"""The demo's adapter, an untrained one and one of shuffled answers, measured on questions that the demo held out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from chaos.test_real_model import fetched
from integration.jobs import begin, until_over
from tunesmith.cli.demo import DATA, MODEL, VALIDATION, demo_job
from tunesmith.data.mixture import split
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.evaluation import evaluate
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.evaluation import EvaluationResult, Verdict
from tunesmith.spec.job import DatasetRef, Evaluation, Output
from tunesmith.spec.work import Answering, EvaluateSpec

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def rows(settings: Settings) -> list[str]:
    """The lines of the demo's data."""
    fetched(MODEL, settings)
    return (fetched(DATA, settings) / "chat.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def demo(rows: list[str], settings: Settings) -> RunFolder:
    return until_over(begin(plan_job(demo_job(settings.home / "demo"), settings), settings))


@pytest.fixture(scope="module")
def held_out(rows: list[str], settings: Settings) -> DatasetRef:
    """The questions that the demo validates on, as data of their own."""
    _, validation, _ = split(len(rows), VALIDATION, 42)
    file = settings.home / "held-out.jsonl"
    file.write_text("".join(f"{rows[place]}\n" for place in validation))
    return DatasetRef(uri=str(file))


def found(model: str, settings: Settings, **changes: object) -> EvaluationResult:
    few = {"answered": 8, "sampling": Answering(max_tokens=32)}
    return evaluate(EvaluateSpec.model_validate({"model": model, **few, **changes}), settings, lambda name, done: None)


def test_the_adapter_of_the_demo_is_better(demo: RunFolder, rows: list[str], settings: Settings) -> None:
    result = found(f"run:{demo.id}", settings)
    assert result.verdict is Verdict.BETTER, result.model_dump_json(indent=1)
    [group] = result.groups
    assert group.rows == group.found == int(len(rows) * VALIDATION)


def test_an_adapter_that_was_not_trained_cannot_be_told_apart(
    held_out: DatasetRef, settings: Settings, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(settings.models_dir / MODEL)
    get_peft_model(base, LoraConfig(r=8, target_modules=["q_proj", "v_proj"])).save_pretrained(tmp_path / "untrained")
    result = found(str(tmp_path / "untrained"), settings, data=[held_out])
    assert result.verdict is Verdict.CANNOT_TELL
    assert {each.verdict for each in result.groups[0].measurements} == {Verdict.CANNOT_TELL}


def test_an_adapter_of_shuffled_answers_is_worse(
    demo: RunFolder, rows: list[str], held_out: DatasetRef, settings: Settings, tmp_path: Path
) -> None:
    """Worse than the one of the demo, which was trained on the same questions in the same way."""
    held = set(Path(held_out.uri).read_text().splitlines())
    talks = [json.loads(row)["messages"] for row in rows if row not in held]
    answers = [talk[-1] for talk in talks]
    random.Random(1).shuffle(answers)
    shuffled = tmp_path / "shuffled.jsonl"
    turns = ([*talk[:-1], answer] for talk, answer in zip(talks, answers, strict=True))
    shuffled.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    job = demo_job(tmp_path / "lora").model_copy(
        update={
            "name": "shuffled",
            "datasets": [DatasetRef(uri=str(shuffled))],
            "evaluation": Evaluation(validation_split=0, test_prompts=0),
            "output": Output(dir=str(tmp_path / "lora")),
        }
    )
    until_over(begin(plan_job(job, settings), settings))
    result = found(str(tmp_path / "lora"), settings, data=[held_out], baseline=f"run:{demo.id}")
    assert result.verdict is Verdict.WORSE, result.model_dump_json(indent=1)
