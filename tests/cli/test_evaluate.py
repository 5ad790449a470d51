"""``tunesmith evaluate``: what it refuses in one sentence, and how a result is shown; what it measures is in
tests/integration/test_evaluation.py."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from cli.conftest import Call
from tunesmith.cli.evaluation_table import show
from tunesmith.spec.evaluation import Answered, EvaluationResult, Group, Measurement, ModelSize, Verdict


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "MODEL"),
        (["nothing"], 78, "nothing"),
        (["TINY"], 2, "no training of"),
        (["TINY", "--data", "missing.jsonl"], 65, "missing.jsonl"),
        (["TINY", "--format", "chat"], 2, "--data"),
        (["TINY", "--prompt", "a", "--prompt", "b", "--expected", "c"], 2, "as many --expected"),
        (["TINY", "--prompts", "prompts.jsonl"], 65, "prompts.jsonl:2"),
        (["TINY", "--prompt", "a", "--metric", "beauty"], 2, "beauty"),
        (["TINY", "--prompt", "a", "--confidence", "1"], 2, "confidence"),
        (["TINY", "--prompt", "a", "--device", "abacus"], 2, "abacus"),
        (["TINY", "--prompt", "a", "--baseline", "nobody"], 78, "nobody"),
        (["TINY", "--prompt", "a", "--baseline", "base"], 2, "tuned from is not there"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], status: int, words: str, tunesmith: Call, home: Path, tiny_model: Path
) -> None:
    Path("prompts.jsonl").write_text('{"prompt": "Hi"}\n{"question": "Hi"}\n')
    said = tunesmith("--offline", "evaluate", *(str(tiny_model) if each == "TINY" else each for each in arguments))
    assert said.status == status, said.err
    assert words in said.err
    assert "Traceback" not in said.err
    assert not list((home / "runs").glob("*")) or "missing.jsonl" in arguments


def result() -> EvaluationResult:
    measured = Measurement(
        metric="perplexity", model=8.25, baseline=20.5, higher_is_better=False, difference=-12.25,
        low=-14.0, high=-10.5, verdict=Verdict.BETTER,
    )  # fmt: skip
    answers = [
        Answered(prompt=f"Question {place}", expected="Yes.", model="Yes.", baseline="No\x1b[31m.")
        for place in range(5)
    ]
    rows = Group(
        name="rows", source="validation rows of run r", rows=5, found=9, answered=5, measurements=[measured],
        answers=answers,
    )  # fmt: skip
    return EvaluationResult(
        model="faq", baseline="base", task="chat", verdict=Verdict.BETTER, verdict_by="perplexity",
        why="faq is better than base on 5 rows.", groups=[rows], notes=["Mind this."],
        size=ModelSize(total_parameters=1000, trainable_parameters=10, model_size_mb=2.0),
        confidence=0.95, bootstrap=1000, seed=42, precision="bf16", seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [20, 21, 80])
def test_figures_of_many_classes_stand_in_the_file_alone(classes: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["accuracy", *(f"{what} of c{place:02}" for place in range(classes) for what in ("rows", "f1"))]
    measured = [Measurement(metric=name, model=1.0, higher_is_better=True) for name in names]
    group = result().groups[0].model_copy(update={"measurements": measured, "answers": []})
    with click.Context(click.Command("evaluate")):
        show(result().model_copy(update={"groups": [group]}))
    shown = capsys.readouterr().out
    assert "accuracy" in shown
    assert shown.count("f1 of ") == (classes if classes <= 20 else 0)
    assert (f"evaluation.json has {2 * classes} further figures, of each class." in shown) == (classes > 20)


def test_both_models_stand_side_by_side_with_interval_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(click.Command("evaluate")):
        show(result())
    shown = capsys.readouterr().out
    assert "5 of 9 validation rows of run r" in shown
    [row] = [line for line in shown.splitlines() if line.startswith("perplexity")]
    assert row.split() == ["perplexity", "8.250", "20.500", "-12.250", "[-14.000,", "-10.500]", "better"]
    assert "Verdict (by perplexity): better" in shown and "Note: Mind this." in shown
    assert "Question 2" in shown and "Question 3" not in shown
    assert "\x1b[31m." not in shown and r"\x1b" in shown


def test_prompts_are_answered_by_a_model_of_its_own(tunesmith: Call, home: Path, tiny_model: Path) -> None:
    """One whole evaluation in its own process, without any run to know of it."""
    said = tunesmith(
        "evaluate", str(tiny_model), "--prompt", "Hi", "--expected", "Ho", "--max-tokens", "3", "--device", "cpu",
        "--precision", "fp32", "--json",
    )  # fmt: skip
    assert said.status == 0, said.err
    told = EvaluationResult.model_validate(json.loads(said.out))
    assert [group.name for group in told.groups] == ["prompts"]
    [run] = (home / "runs").glob("*evaluate*")
    assert EvaluationResult.model_validate_json((run / "artifacts" / "evaluation.json").read_text()) == told
