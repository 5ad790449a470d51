"""A model that answers from a process of its own, for as long as a block lasts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.service.serving.session import ServeSession
from tunesmith.settings import Settings
from tunesmith.spec.errors import BadValue, ModelGone, ModelNotFound, Relayed

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(settings: Settings, tiny_model: Path) -> Iterator[ServeSession]:
    with ServeSession(settings, str(tiny_model)) as session:
        yield session


def runs(settings: Settings) -> list[Path]:
    return [path for path in settings.runs_dir.iterdir() if not path.name.startswith(".")]


def test_answers_and_counts(served: ServeSession) -> None:
    reply = served.chat(HELLO, max_tokens=12)
    text = "".join(reply)
    assert reply.text == text
    assert reply.finish_reason == "length"
    assert reply.usage["completion_tokens"] == 12


def test_the_same_question_gets_the_same_answer(served: ServeSession) -> None:
    drawn = {"max_tokens": 20, "temperature": 2.0, "seed": 5}
    assert "".join(served.chat(HELLO, **drawn)) == "".join(served.chat(HELLO, **drawn))


def test_an_answer_may_be_left_early(served: ServeSession) -> None:
    reply = served.chat(HELLO, max_tokens=300, temperature=2.0, seed=1)
    list(islice(reply, 2))
    reply.close()
    assert "".join(served.chat(HELLO, max_tokens=5, temperature=2.0, seed=1))


def test_a_value_that_is_refused_is_one_sentence(served: ServeSession) -> None:
    with pytest.raises(Relayed, match="temperature") as raised:
        list(served.chat(HELLO, temperature=-1))
    assert raised.value.exit_code == 2


def test_a_prompt_that_is_too_long_is_one_sentence(served: ServeSession) -> None:
    with pytest.raises(Relayed, match="the model sees 512"):
        list(served.chat([{"role": "user", "content": "x" * 600}]))


def test_a_fault_of_the_worker_keeps_its_sentence_and_code(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(Relayed, match=r"no tokenizer\.json") as raised, ServeSession(settings, str(tmp_path)):
        pass
    assert (raised.value.code, raised.value.exit_code) == ("not_a_language_model", 78)


def test_the_end_of_the_block_ends_the_process_and_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with ServeSession(settings, str(tiny_model)) as session:
        [run] = runs(settings)
        handle = handle_of(session._run)
        socket = session._socket
        assert socket.parent.stat().st_mode & 0o077 == 0
    assert handle is not None and not is_alive(handle.worker)
    assert not run.exists()
    assert not socket.parent.exists()


def test_a_model_that_dies_in_the_middle_is_one_sentence(tiny_model: Path, tmp_path: Path) -> None:
    with ServeSession(Settings(home=tmp_path), str(tiny_model)) as session:
        reply = session.chat(HELLO, max_tokens=400, temperature=2.0, seed=1)
        next(reply)
        handle = handle_of(session._run)
        assert handle is not None
        os.kill(handle.worker.pid, signal.SIGKILL)
        with pytest.raises(ModelGone):
            list(reply)


def test_needs_a_model_or_an_adapter_that_names_one(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="adapter that names its base"):
        ServeSession(settings, None)
    with pytest.raises(ModelNotFound, match="names its base"):
        ServeSession(settings, None, tmp_path)


def test_an_adapter_alone_finds_its_base(settings: Settings, tiny_model: Path, tmp_path: Path) -> None:
    info = {"base_model": "a name of then", "base_model_path": str(tiny_model)}
    (tmp_path / "adapter_info.json").write_text(json.dumps(info))
    assert ServeSession(settings, None, tmp_path).model == tiny_model.name
    (tmp_path / "adapter_info.json").write_text(json.dumps({"base_model": "smollm2-135m-instruct"}))
    assert ServeSession(settings, None, tmp_path).model == "smollm2-135m-instruct"
