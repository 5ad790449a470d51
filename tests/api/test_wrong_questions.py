"""Whatever is wrong with a question to a model, each way in answers with one clear sentence, and loads nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import bring
from tunesmith.api.app import create_app
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored_models

OFF: Final = object()
"""Stands for a field that is left out."""
TURNS: Final = [{"role": "user", "content": "Hello"}]
UP: Final = "../../etc/passwd"


@dataclass(frozen=True)
class Question:
    """A way to ask, and what is wrong to ask."""

    path: str
    right: dict[str, Any]
    wrong: list[tuple[dict[str, Any], str]]
    """Changes of the right question, each with a word of the sentence that refuses it."""
    sentence: Callable[[Any], Any]
    names: str | None
    """The field that names the model; None: the organisation does."""

    def __str__(self) -> str:
        return self.path


DRAWN: Final[list[tuple[dict[str, Any], str]]] = [
    ({"model": OFF}, "model"), ({"model": ""}, "model"), ({"model": 7}, "model"), ({"model": "nothing"}, "nothing"),
    ({"model": UP}, UP), ({"model": "ft:tiny:default::000000000000"}, "000000000000"),
    ({"model": "job-000000000000"}, "000000000000"), ({"temperature": -0.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"), ({"top_p": 1.1}, "top_p"), ({"top_k": -1}, "top_k"),
    ({"max_tokens": -1}, "max_tokens"), ({"temprature": 1}, "temperature"),
    ({"adapter": "/tmp"}, "adapter"), ({"max_tokens": 1.5}, "max_tokens"), ({"n": 0}, "n:"), ({"seed": "x"}, "seed"),
    ({"stop": [""]}, "stop"), ({"stop": 3}, "stop"), ({"stream": "perhaps"}, "stream"),
    ({"stream_options": True}, "stream_options"),
]  # fmt: skip
QUESTIONS: Final = [
    Question(
        "/v1/chat/completions", {"model": "made", "messages": TURNS},
        [*DRAWN, ({"messages": OFF}, "messages"), ({"messages": []}, "messages"), ({"messages": "Hi"}, "messages"),
         ({"messages": [{"content": "Hi"}]}, "role"), ({"messages": [{"role": "user", "content": 5}]}, "content"),
         ({"top_logprobs": 21}, "top_logprobs"), ({"logprobs": "yes, please"}, "logprobs")],
        lambda body: body["error"]["message"], "model",
    ),
    Question(
        "/v1/completions", {"model": "made", "prompt": "Hello"},
        [*DRAWN, ({"prompt": OFF}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": {}}, "prompt"),
         ({"logprobs": 6}, "logprobs")],
        lambda body: body["error"]["message"], "model",
    ),
    Question(
        "/v1/embeddings", {"model": "made", "input": "Hello"},
        [({"model": OFF}, "model"), ({"model": "nothing"}, "nothing"), ({"input": OFF}, "input"),
         ({"input": []}, "input"), ({"encoding_format": "hex"}, "encoding_format"), ({"dimensions": 0}, "dimensions")],
        lambda body: body["error"]["message"], "model",
    ),
    Question(
        "/api/v1/generate", {"message": "Hello"},
        [({"message": OFF}, "message"), ({"message": ""}, "message"), ({"message": 5}, "message"),
         ({"history": [{"role": "tool", "content": "x"}]}, "role"), ({"history": [{"role": "user"}]}, "content"),
         ({"history": "Hi"}, "history"), ({"temperature": -1}, "temperature"), ({"temperature": 2.1}, "temperature"),
         ({"max_tokens": 0}, "max_tokens"), ({"tempreature": 1}, "temperature"),
         ({"system_prompt": "A", "history": [{"role": "system", "content": "B"}]}, "system_prompt"),
         ({}, "default")],
        lambda body: body["detail"], None,
    ),
    Question(
        "/api/llm-finetuning/test", {"task_id": "{made}", "prompt": "Hello"},
        [({"task_id": OFF}, "task_id"), ({"task_id": "000000000000"}, "000000000000"), ({"task_id": UP}, UP),
         ({"prompt": OFF}, "prompt"), ({"prompt": ""}, "prompt"), ({"max_tokens": 0}, "max_tokens"),
         ({"max_tokens": 4097}, "max_tokens"), ({"temperature": 1}, "temperature")],
        lambda body: body["message"], "task_id",
    ),
]  # fmt: skip
each = pytest.mark.parametrize("question", QUESTIONS, ids=str)


class Asker:
    """Somebody who asks, and does not put up with an answer that is no clear sentence."""

    def __init__(self, http: TestClient, service: Service) -> None:
        self.http, self.service = http, service

    def refused(self, question: Question, content: Any, *statuses: int, key: str | None = None) -> str:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        answer = self.http.post(question.path, content=raw, headers=headers)
        assert answer.status_code in statuses, (content, answer.status_code, answer.text)
        said = question.sentence(answer.json())
        assert isinstance(said, str) and said[-1] in ".?!" and "\n" not in said and "Traceback" not in said, said
        assert self.service.serving.loaded() == []
        return said


@pytest.fixture
def asker(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    monkeypatch.chdir(tmp_path)
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    with TestClient(create_app(service), base_url="http://localhost:8000", raise_server_exceptions=False) as http:
        yield Asker(http, service)


def queued(service: Service, folder: Path) -> str:
    """Queue a training and return its id."""
    data = folder / "rows.jsonl"
    data.write_text('{"text": "Hello"}\n')
    spec = JobSpec(
        model=ModelRef(source="someone/some-model"),
        datasets=[DatasetRef(uri=str(data))],
        output=Output(dir=str(folder / "out")),
    )
    return queue.submit(service, queue.Submission(spec, door="api"), OPERATOR).id


def made_by(service: Service, job: str, folder: Path) -> None:
    """Store what a job is said to have made."""
    model = stored_models.Model(
        id="model-1", org="default", name="made", kind="adapter", path=str(folder / "out"), job=job, run=None,
        base="someone/some-model", base_fingerprint=None, parent=None, recipe={}, data={}, versions={}, metrics={},
        bytes=1, created_at=1.0,
    )  # fmt: skip
    with service.database.write() as connection:
        stored_models.add(connection, model)


@each
def test_each_wrong_question_is_refused_by_name_and_loads_nothing(
    question: Question, asker: Asker, service: Service, tmp_path: Path
) -> None:
    id = queued(service, tmp_path)
    for changes, word in question.wrong:
        body = {name: value for name, value in (question.right | changes).items() if value is not OFF}
        body = {name: id if value == "{made}" else value for name, value in body.items()}
        assert word in asker.refused(question, body, 400, 404, 422), changes


@each
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"Hello"', b'{"model": "\xff\xfe"}', b'{"message": "\xc3"}', b"\x00", b"[" * 100_000]
)
def test_what_is_no_question_at_all_is_refused(question: Question, raw: bytes, asker: Asker) -> None:
    asker.refused(question, raw, 400, 422)


@each
@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.SUCCEEDED])
def test_a_model_that_is_not_ready_or_failed_is_never_asked(
    question: Question, state: RunState, asker: Asker, service: Service, tmp_path: Path
) -> None:
    id = queued(service, tmp_path)
    if state is not RunState.QUEUED:
        bring(service, id, state)
    named = {} if question.names is None else {question.names: id}
    said = asker.refused(question, question.right | named, 404, 409)
    assert str(state) in said or question.names is None


@each
def test_what_is_anothers_is_not_there(question: Question, asker: Asker, service: Service, tmp_path: Path) -> None:
    id = queued(service, tmp_path)
    made_by(service, id, tmp_path)
    bring(service, id, RunState.SUCCEEDED)
    organisations.create(service, OPERATOR, "strangers")
    _, key = keys.create(service, OPERATOR, org="strangers", role=Role.ADMIN, label="theirs")
    for name in (id, f"job-{id}", f"ftjob-{id}", "made", "default/made", "model-1", str(tmp_path / "out")):
        named = {} if question.names is None else {question.names: name}
        asker.refused(question, question.right | named, 404, key=key)
    if question.names is None:
        answer = asker.http.post(
            f"{question.path}?org_id=default", json=question.right, headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 403
