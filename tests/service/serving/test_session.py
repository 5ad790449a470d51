"""A model that answers from a process of its own, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tunesmith.runs.folder import run_folders
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.service.serving.session import OwnSession
from tunesmith.service.serving.targets import Target
from tunesmith.settings import Settings
from tunesmith.spec.errors import ModelGone, Relayed

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(settings: Settings, tiny_model: Path) -> Iterator[OwnSession]:
    with OwnSession(settings, Target("tiny", None, tiny_model)) as session:
        yield session


def test_answers_and_counts(served: OwnSession) -> None:
    reply = served.chat(HELLO, max_tokens=12)
    text = "".join(reply)
    assert reply.text == text
    assert reply.finish_reason == "length"
    assert reply.usage["completion_tokens"] == 12


def test_the_same_question_gets_the_same_answer(served: OwnSession) -> None:
    drawn = {"max_tokens": 20, "temperature": 2.0, "seed": 5}
    assert "".join(served.chat(HELLO, **drawn)) == "".join(served.chat(HELLO, **drawn))


def test_an_answer_may_be_left_early(served: OwnSession) -> None:
    reply = served.chat(HELLO, max_tokens=300, temperature=2.0, seed=1)
    list(islice(reply, 2))
    reply.close()
    assert "".join(served.chat(HELLO, max_tokens=5, temperature=2.0, seed=1))


def test_a_value_that_is_refused_is_one_sentence(served: OwnSession) -> None:
    with pytest.raises(Relayed, match="temperature") as raised:
        list(served.chat(HELLO, temperature=-1))
    assert raised.value.exit_code == 2


def test_a_prompt_that_is_too_long_is_one_sentence(served: OwnSession) -> None:
    with pytest.raises(Relayed, match="the model sees 512"):
        list(served.chat([{"role": "user", "content": "x" * 600}]))


def test_a_fault_of_the_worker_keeps_its_sentence_and_code(
    settings: Settings, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "broken", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(Relayed, match=r"tokenizer\.json") as raised:
        OwnSession(settings, Target("broken", None, tmp_path / "broken")).__enter__()
    assert (raised.value.code, raised.value.exit_code) == ("not_a_language_model", 78)


def test_the_end_of_the_block_ends_the_process_and_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with OwnSession(settings, Target("tiny", None, tiny_model)):
        [run] = run_folders(settings.runs_dir)
        handle = handle_of(run)
    assert handle is not None and not is_alive(handle.worker)
    assert run_folders(settings.runs_dir) == []


def test_a_model_that_dies_in_the_middle_is_one_sentence_and_comes_back(tiny_model: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with OwnSession(settings, Target("tiny", None, tiny_model)) as session:
        for seed in range(10):  # A tiny model may have said all before the kill comes.
            reply = session.chat(HELLO, max_tokens=400, temperature=2.0, seed=seed)
            next(reply)
            handles = filter(None, map(handle_of, run_folders(settings.runs_dir)))
            [pid] = [handle.worker.pid for handle in handles if is_alive(handle.worker)]
            os.kill(pid, signal.SIGKILL)
            try:
                list(reply)
            except ModelGone:
                break
            comes_back(session)
        else:
            pytest.fail("nobody was told that the model died")
        comes_back(session)


def comes_back(session: OwnSession) -> None:
    """Ask until there is an answer: who asks while the process ends may be told of it too."""
    for _ in range(3):
        with contextlib.suppress(ModelGone):
            assert list(session.chat(HELLO, max_tokens=1))
            return
        time.sleep(0.2)
    pytest.fail("the model did not come back")
