"""Evaluations of what is no chat: running text, classes, preferences, covered words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from integration.conftest import Here
from integration.jobs import begin, tiny_job
from integration.test_evaluation import COLOURS, colours, found, group_of, measured
from tiny import make_tiny_encoder
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import evaluation
from tunesmith.settings import Settings
from tunesmith.spec.errors import Relayed
from tunesmith.spec.evaluation import Verdict
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import DatasetRef, Evaluation
from tunesmith.spec.work import Asked

SPLIT = Evaluation(validation_split=0.25, test_prompts=0)


@pytest.fixture(autouse=True)
def evaluates_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LocalExecutor", lambda: here)


def lines(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def last_evaluation(run: RunFolder) -> Evaluated:
    return [event.body for event in read(run.events)[0] if isinstance(event.body, Evaluated)][-1]


def test_running_text_is_measured_token_by_token_and_never_asked(
    tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    texts = [
        {"text": f"The {thing} of {number} is {colour}. " * 3}
        for number in range(20)
        for thing, colour in COLOURS.items()
    ]
    run = begin(
        tiny_job(tiny_model, lines(tmp_path / "text.jsonl", texts), tmp_path / "out", max_steps=30, evaluation=SPLIT),
        settings,
    )
    result = found(run, settings)
    assert result.verdict is Verdict.BETTER
    assert {each.metric for each in group_of(result).measurements} == {"perplexity", "token_accuracy"}
    assert group_of(result).answers == []
    told = last_evaluation(run)
    assert measured(result, "perplexity").model == pytest.approx(math.exp(told.best_validation_loss), rel=1e-3)
    asked = found(run, settings, prompts=[Asked(prompt="The sky of 3 is", expected=" blue.")])
    assert len(group_of(asked, "prompts").answers) == 1


@pytest.mark.parametrize("method", ["lora", "full"])
def test_classes_are_measured_as_the_training_measured_them(method: str, settings: Settings, tmp_path: Path) -> None:
    encoder = make_tiny_encoder(tmp_path / "bert")
    rows = [{"text": question, "label": answer} for question, answer in colours()]
    data = lines(tmp_path / "rows.jsonl", rows)
    run = begin(
        tiny_job(encoder, data, tmp_path / "out", method=method, max_steps=30, evaluation=SPLIT, evaluate_every=30),
        settings,
    )
    result = found(run, settings)
    assert result.task == "classification" and result.verdict is None
    told = last_evaluation(run)
    assert measured(result, "loss").model == pytest.approx(told.validation_loss, rel=1e-3)
    assert measured(result, "accuracy").model == pytest.approx(told.metrics["accuracy"])
    assert measured(result, "rows of blue").model == told.metrics["rows of blue"]
    assert any("no head for the task" in note for note in result.notes)

    others = [{"text": f"new {question}", "label": answer} for question, answer in reversed(colours()[:41])]
    given = found(run, settings, data=[DatasetRef(uri=str(lines(tmp_path / "new.jsonl", others)))])
    assert measured(given, "rows of blue").model == 11
    for wrong, why in (
        ({"prompts": [Asked(prompt="sky?")]}, "answers no prompts"),
        ({"metrics": ["rouge1"]}, "as its training measures it"),
        ({"baseline": f"run:{run.id}"}, "base or none"),
    ):
        with pytest.raises(Relayed, match=why):
            found(run, settings, **wrong)


def test_preferences_are_compared_with_the_base_and_prompts_answered(
    tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    rows = [{"prompt": asked, "chosen": said, "rejected": "no idea"} for asked, said in colours()]
    data = lines(tmp_path / "rows.jsonl", rows)
    job = tiny_job(tiny_model, data, tmp_path / "out", max_steps=20, evaluation=SPLIT, evaluate_every=20)
    run = begin(job, settings)
    result = found(run, settings, prompts=[Asked(prompt="7: coal?")])
    assert (result.task, result.verdict, result.verdict_by) == ("dpo", Verdict.BETTER, "loss")
    assert measured(result, "loss").baseline == pytest.approx(math.log(2), rel=1e-3)
    told = last_evaluation(run)
    assert measured(result, "loss").model == pytest.approx(told.validation_loss, rel=1e-2)
    assert measured(result, "reward_accuracy").model == pytest.approx(told.metrics["reward_accuracy"])
    assert len(group_of(result, "prompts").answers) == 1


def test_covered_words_are_measured_beside_the_base(settings: Settings, tmp_path: Path) -> None:
    encoder = make_tiny_encoder(tmp_path / "bert", head=True)
    texts = [
        {"text": f"The {thing} of {number} is {colour}."} for number in range(20) for thing, colour in COLOURS.items()
    ]
    job = tiny_job(
        encoder, lines(tmp_path / "text.jsonl", texts), tmp_path / "out", task="mlm", max_steps=30, evaluation=SPLIT
    )
    result = found(begin(job, settings), settings)
    assert (result.task, result.verdict) == ("mlm", Verdict.BETTER)
    assert measured(result, "perplexity").baseline is not None


def test_what_only_a_run_knows_how_to_measure_is_refused_without_it(settings: Settings, tmp_path: Path) -> None:
    encoder = make_tiny_encoder(tmp_path / "bert")
    (encoder / "model_info.json").write_text(json.dumps({"task": "classification"}))
    data = [DatasetRef(uri=str(lines(tmp_path / "rows.jsonl", [{"text": "sky?", "label": "blue"}])))]
    with pytest.raises(Relayed, match="only the run of its training knows"):
        found(encoder, settings, data=data)
