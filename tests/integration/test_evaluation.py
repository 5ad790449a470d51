"""Evaluations of whole runs: better, worse, cannot tell; rows that no training saw; what is asked for and refused."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Here
from integration.jobs import begin, tiny_job, until_over
from tiny import make_tiny_model
from tunesmith.runs.checkpoints import listed
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs import evaluation
from tunesmith.service.jobs.evaluation import evaluate
from tunesmith.service.jobs.work_folders import evaluate_run
from tunesmith.settings import Settings
from tunesmith.spec.errors import Relayed
from tunesmith.spec.evaluation import EvaluationResult, Group, Measurement, Verdict
from tunesmith.spec.events import Finished
from tunesmith.spec.job import DatasetRef, Evaluation
from tunesmith.spec.recipe import AdapterRecipe
from tunesmith.spec.states import Request, RunState
from tunesmith.spec.work import Answering, Asked, EvaluateSpec

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black"}
ROWS = 160
SPLIT = Evaluation(validation_split=0.25, test_prompts=0)


def colours() -> list[tuple[str, str]]:
    things = list(COLOURS)
    return [(f"{number}: {things[number % 4]}?", COLOURS[things[number % 4]]) for number in range(ROWS)]


def written(path: Path, rows: list[tuple[str, str]]) -> Path:
    turns = ([{"role": "user", "content": asked}, {"role": "assistant", "content": said}] for asked, said in rows)
    path.write_text("".join(json.dumps({"messages": list(each)}) + "\n" for each in turns))
    return path


@pytest.fixture(scope="session")
def knows_colours(tiny_model: Path, shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that trained every weight of the tiny model on colours."""
    folder = tmp_path_factory.mktemp("colours")
    job = tiny_job(
        tiny_model, written(folder / "colours.jsonl", colours()), folder / "out", method="full", max_steps=60, epochs=5,
        learning_rate=0.01, evaluate_every=30, evaluation=SPLIT, name="colours",
    )  # fmt: skip
    return until_over(begin(job, shared_settings))


@pytest.fixture
def evaluates_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setattr(evaluation, "LocalExecutor", lambda: here)
    return here


def silent(message: str, done: float | None) -> None:
    """Hear nothing."""


def found(model: Path | RunFolder, settings: Settings, **changes: Any) -> EvaluationResult:
    name = f"run:{model.id}" if isinstance(model, RunFolder) else str(model)
    values: dict[str, Any] = {"precision": "fp32", "answered": 2, "sampling": Answering(max_tokens=8)}
    return evaluate(EvaluateSpec(model=name, **values | changes), settings, silent)


def group_of(result: EvaluationResult, name: str = "rows") -> Group:
    [group] = [each for each in result.groups if each.name == name]
    return group


def measured(result: EvaluationResult, metric: str, group: str = "rows") -> Measurement:
    [one] = [each for each in group_of(result, group).measurements if each.metric == metric]
    return one


def test_what_was_trained_is_better_on_the_rows_that_it_did_not_see(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings
) -> None:
    result = found(knows_colours, shared_settings, answered=100)
    assert (result.verdict, result.verdict_by, result.baseline) == (Verdict.BETTER, "perplexity", "base")
    group = group_of(result)
    assert (group.rows, group.found, group.answered) == (40, 40, 40)
    perplexity = measured(result, "perplexity")
    assert perplexity.baseline and perplexity.model < perplexity.baseline
    assert perplexity.low is not None and perplexity.high is not None and perplexity.high < 0
    assert perplexity.difference == pytest.approx(perplexity.model - perplexity.baseline)
    assert measured(result, "exact_match").verdict is Verdict.BETTER
    assert measured(result, "exact_match").model == sum(each.scores["exact_match"] for each in group.answers) / 40

    from tunesmith.data.mixture import split

    training = {colours()[place] for place in split(ROWS, 0.25, 42)[0]}
    asked = {(each.prompt, each.expected) for each in group.answers}
    assert len(asked) == 40 and not asked & training and asked < set(colours())


def test_an_adapter_that_was_not_trained_cannot_be_told_from_its_base(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(knows_colours.artifacts_dir)
    get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"])).save_pretrained(tmp_path / "untrained")
    data = [DatasetRef(uri=str(written(tmp_path / "colours.jsonl", colours())))]
    result = found(tmp_path / "untrained", shared_settings, data=data)
    assert result.verdict is Verdict.CANNOT_TELL
    assert {each.verdict for each in group_of(result).measurements} == {Verdict.CANNOT_TELL}
    assert measured(result, "perplexity").difference == 0
    assert result.size.trainable_parameters < result.size.total_parameters


def test_an_adapter_of_shuffled_answers_is_worse(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    right = colours()
    answers = [answer for _, answer in right]
    random.Random(0).shuffle(answers)
    shuffled = [(asked, answer) for (asked, _), answer in zip(right, answers, strict=True)]
    job = tiny_job(
        knows_colours.artifacts_dir, written(tmp_path / "shuffled.jsonl", shuffled), tmp_path / "lora",
        max_steps=40, evaluate_every=40, evaluation=Evaluation(validation_split=0, test_prompts=0),
    )  # fmt: skip
    run = begin(job, shared_settings)
    result = found(run, shared_settings, data=[DatasetRef(uri=str(written(tmp_path / "right.jsonl", right)))])
    assert result.verdict is Verdict.WORSE
    assert measured(result, "token_accuracy").verdict is Verdict.WORSE
    group = group_of(result)
    assert group.trained_on == len(set(right) & set(shuffled)) > 0
    assert group.found == ROWS - group.trained_on
    assert any(f"{group.trained_on} rows were left out" in note for note in result.notes)


def test_what_is_asked_for_is_what_is_done(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings
) -> None:
    few = found(knows_colours, shared_settings, rows=12, answered=3, metrics=["perplexity", "rouge1"], bootstrap=100)
    assert [each.metric for each in group_of(few).measurements] == ["perplexity", "rouge1"]
    assert (group_of(few).rows, group_of(few).found, len(group_of(few).answers)) == (12, 40, 3)
    silent_one = found(knows_colours, shared_settings, metrics=["perplexity"], baseline="none", seed=1)
    assert silent_one.verdict is None and silent_one.baseline is None
    assert group_of(silent_one).answers == []
    assert measured(silent_one, "perplexity").baseline is None
    sure = found(knows_colours, shared_settings, metrics=["perplexity"], confidence=0.99)
    unsure = found(knows_colours, shared_settings, metrics=["perplexity"], confidence=0.6)
    wide, narrow = measured(sure, "perplexity"), measured(unsure, "perplexity")
    assert wide.low < narrow.low < narrow.high < wide.high  # type: ignore[operator]
    by_answers = found(knows_colours, shared_settings, answered=12, metrics=["rouge1"])
    assert (by_answers.verdict, by_answers.verdict_by) == (Verdict.BETTER, "rouge1")
    assert "on 12 rows" in by_answers.why
    nine = found(knows_colours, shared_settings, rows=9, metrics=["perplexity"])
    assert nine.verdict is Verdict.CANNOT_TELL and "Too few" in nine.why


def test_prompts_are_answered_and_measured_where_the_answer_is_known(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings
) -> None:
    prompts = [Asked(prompt="7: coal?", expected="black"), Asked(prompt="8: sky?")]
    result = found(knows_colours, shared_settings, prompts=prompts, rows=10)
    group = group_of(result, "prompts")
    assert [(each.prompt, each.expected) for each in group.answers] == [("7: coal?", "black"), ("8: sky?", None)]
    assert group.answers[1].scores == {} and group.answers[0].scores["exact_match"] in (0, 1)
    assert measured(result, "perplexity", "prompts").verdict is Verdict.CANNOT_TELL
    said = result.documented()
    assert said["test_responses"] == [
        {"instruction": "7: coal?", "generated_response": group.answers[0].model, "expected_response": "black"},
        {"instruction": "8: sky?", "generated_response": group.answers[1].model},
    ]
    assert {"perplexity", "total_parameters", "trainable_parameters", "model_size_mb"} < set(said)


def test_models_that_read_rows_differently_are_compared_by_the_character(
    evaluates_here: Here, knows_colours: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    other = make_tiny_model(tmp_path / "other", vocabulary=260)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["bl"] = 259
    tokenizer["model"]["merges"] = [["b", "l"]]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    result = found(knows_colours, shared_settings, baseline=str(other))
    assert group_of(result).per == "character"
    assert result.verdict is Verdict.BETTER
    assert "token_accuracy" not in [each.metric for each in group_of(result).measurements]
    assert any("different tokens" in note for note in result.notes)


def test_rows_that_may_have_been_trained_on_are_refused(
    evaluates_here: Here, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    data = written(tmp_path / "colours.jsonl", colours())
    run = begin(tiny_job(tiny_model, data, tmp_path / "lora", max_steps=1, evaluation=SPLIT), settings)
    written(data, colours()[1:])
    with pytest.raises(Relayed, match="is not what it was") as refused:
        found(run, settings)
    assert refused.value.code == "nothing_to_evaluate" and "--data FILE" in refused.value.message
    data.unlink()
    with pytest.raises(Relayed, match="cannot be read"):
        found(run, settings)
    same = written(tmp_path / "same.jsonl", colours())
    without = tiny_job(
        tiny_model, same, tmp_path / "none", max_steps=1, evaluation=Evaluation(validation_split=0, test_prompts=0)
    )
    blind = begin(without, settings)
    with pytest.raises(Relayed, match="held no rows out"):
        found(blind, settings)
    with pytest.raises(Relayed, match="all 160 rows are ones that it was trained on"):
        found(blind, settings, data=[DatasetRef(uri=str(same))])


def test_rows_that_an_earlier_run_trained_on_are_left_out(
    evaluates_here: Here, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    data = written(tmp_path / "colours.jsonl", colours())
    first = tiny_job(
        tiny_model, data, tmp_path / "first", max_steps=1, evaluation=Evaluation(validation_split=0.5, test_prompts=0)
    )
    earlier = begin(first, settings)
    model = first.model.model_copy(update={"source": f"run:{earlier.id}"})
    output = first.output.model_copy(update={"dir": str(tmp_path / "later")})
    later = begin(first.model_copy(update={"model": model, "seed": 7, "output": output}), settings)
    assert later.header().continues == earlier.id
    result = found(later, settings, answered=200)
    group = group_of(result)
    assert group.trained_on > 20 and group.rows == 80 - group.trained_on
    from tunesmith.data.mixture import split

    seen = {colours()[place] for seed in (42, 7) for place in split(ROWS, 0.5, seed)[0]}
    assert not {(each.prompt, each.expected) for each in group.answers} & seen


def test_a_loss_that_is_no_number_is_said_so(
    evaluates_here: Here, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    data = [DatasetRef(uri=str(written(tmp_path / "colours.jsonl", colours())))]
    with pytest.raises(Relayed, match="not a number"):
        found(broken, settings, data=data, metrics=["perplexity"])
    with pytest.raises(Relayed, match="gave no numbers"):
        found(broken, settings, data=data)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_checkpoint_is_measured_in_place_of_the_result(
    method: str, evaluates_here: Here, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    data = written(tmp_path / "colours.jsonl", colours())
    run = begin(
        tiny_job(tiny_model, data, tmp_path / "out", method=method, max_steps=30, evaluate_every=5, evaluation=SPLIT),
        settings,
    )
    early, late = (each for each in (listed(run)[0], listed(run)[-1]))
    assert early.step < late.step
    first, last = (found(each.path, settings, metrics=["perplexity", "rouge1"], seed=3) for each in (early, late))
    assert measured(first, "perplexity").model > measured(last, "perplexity").model
    assert first.baseline == "base"
    assert measured(first, "perplexity").baseline == pytest.approx(measured(last, "perplexity").baseline)


@pytest.mark.parametrize(("architecture", "dora"), [("llama", True), ("gpt2", False), ("gemma2", False)])
def test_what_cannot_share_a_batch_or_join_rows_is_measured_all_the_same(
    architecture: str, dora: bool, evaluates_here: Here, settings: Settings, tmp_path: Path
) -> None:
    model = make_tiny_model(tmp_path / "model", architecture=architecture)
    data = written(tmp_path / "colours.jsonl", colours())
    adapter = AdapterRecipe(rank=4, dora=dora)
    job = tiny_job(model, data, tmp_path / "out", max_steps=30, evaluation=SPLIT, adapter=adapter)
    run = begin(job, settings)
    result = found(run, settings)
    assert result.verdict is Verdict.BETTER
    told = [event.body for event in read(run.events)[0] if isinstance(event.body, Finished)]
    assert measured(result, "perplexity").model == pytest.approx(
        math.exp(told[0].summary["best_validation_loss"]), rel=1e-3
    )
    assert len(group_of(result).answers) == 2


def test_an_evaluation_that_is_cancelled_ends_without_a_result(
    evaluates_here: Here, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    data = [DatasetRef(uri=str(written(tmp_path / "colours.jsonl", colours())))]
    request = evaluate_run(EvaluateSpec(model=str(tiny_model), data=data), settings)
    run = RunFolder.create(settings.home, kind="evaluate", name="tiny", request=request.model_dump(mode="json"))
    ask(run, Request.CANCEL)
    evaluates_here.launch(run, env={})
    assert status(run).state is RunState.CANCELLED
    assert not any(run.artifacts_dir.iterdir())
