"""Whatever is wrong with a call, each way in answers with one clear sentence, in its own shape, and makes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import bring
from tunesmith.api.app import create_app
from tunesmith.service import idempotency
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import idempotency as kept
from tunesmith.store import models as stored_models

TURNS: Final = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey!"}]
UP: Final = "../../etc/passwd"
ABSENT: Final = "models/that-is-not-there"
OFF: Final = object()
"""Stands for a field that is left out."""


@dataclass(frozen=True)
class Door:
    """A way in, and what is wrong to ask of it."""

    name: str
    start: str
    right: dict[str, Any]
    wrong: list[tuple[dict[str, Any], str]]
    """Changes of the right request, each with a word of the sentence that refuses it."""
    sentence: Callable[[Any], Any]
    id: str
    looks: list[str] = field(default_factory=list)
    """Calls that name a job by ``{id}``."""
    cancels: str | None = None

    def __str__(self) -> str:
        return self.name


DOORS: Final = [
    Door(
        "train", "POST /train",
        {"category": "LangText", "model_name": "models/tiny", "dataset_path": "rows.jsonl"},
        [
            ({"category": OFF}, "category"), ({"category": "Text"}, "category"),
            ({"category": ["LangText"]}, "category"),
            ({"dataset_path": OFF}, "dataset_path"),
            ({"dataset_path": "nothing.jsonl"}, "nothing.jsonl"), ({"dataset_path": UP + "/x"}, "passwd/x"),
            ({"model_name": ABSENT}, ABSENT), ({"model_name": UP}, UP), ({"output_dir": "rows.jsonl"}, "rows.jsonl"),
            ({"run_name": UP}, "run_name"), ({"epochs": 0}, "epochs"), ({"epochs": "three"}, "epochs"),
            ({"epochs": 10_001}, "epochs"), ({"batch_size": 0}, "batch_size"), ({"batch_size": 1.5}, "batch_size"),
            ({"batch_size": 4097}, "batch_size"), ({"learning_rate": 0.11}, "learning_rate"),
            ({"learning_rate": "fast"}, "learning_rate"), ({"gpu": 3}, "gpu"),
        ],
        lambda body: body["detail"], "job_id", ["GET /jobs/{id}", "GET /jobs?before={id}"],
    ),
    Door(
        "llm-finetuning", "POST /api/llm-finetuning/lora/start",
        {"base_model": "models/tiny", "dataset_path": "rows.jsonl"},
        [
            ({"base_model": OFF}, "base_model"), ({"base_model": 7}, "base_model"), ({"base_model": ABSENT}, ABSENT),
            ({"base_model": UP}, UP), ({"dataset_path": OFF}, "dataset_path"),
            ({"dataset_path": UP + "/x"}, "passwd/x"),
            ({"dataset_path": "file:file-0"}, "file-0"), ({"dataset_path": "file-0"}, "file-0"),
            ({"output_dir": "rows.jsonl"}, "rows.jsonl"), ({"output_dir": ""}, "output_dir"),
            ({"lora_r": 0}, "lora_r"), ({"lora_r": 257}, "lora_r"), ({"lora_alpha": 513}, "lora_alpha"),
            ({"lora_dropout": 0.6}, "lora_dropout"), ({"target_modules": []}, "target_modules"),
            ({"target_modules": [3]}, "target_modules"), ({"epochs": 101}, "epochs"),
            ({"batch_size": 65}, "batch_size"),
            ({"learning_rate": 0.02}, "learning_rate"), ({"learning_rate": 1e-8}, "learning_rate"),
            ({"max_length": 8}, "max_length"), ({"gradient_accumulation_steps": 65}, "gradient_accumulation_steps"),
            ({"use_4bit": "perhaps"}, "use_4bit"), ({"use_4bit": True, "use_8bit": True}, "use_8bit"),
            ({"bnb_4bit_compute_dtype": "int8"}, "bnb_4bit_compute_dtype"),
            ({"bnb_4bit_quant_type": "nf5"}, "bnb_4bit_quant_type"), ({"use_nested_quant": 2}, "use_nested_quant"),
        ],
        lambda body: body["message"], "task_id",
        [
            "GET /api/llm-finetuning/status/{id}", "POST /api/llm-finetuning/stop/{id}",
            "POST /api/llm-finetuning/merge/{id}", "GET /api/llm-finetuning/export/{id}",
            "GET /api/llm-finetuning/tasks?before={id}", "GET /api/training/status/{id}",
            "POST /api/training/stop/{id}", "GET /api/training/download/{id}", "GET /api/training/checkpoints/{id}",
            "GET /api/system/tasks/{id}", "DELETE /api/system/tasks/{id}", "DELETE /api/training/datasets/{id}",
        ],
        "POST /api/llm-finetuning/stop/{id}",
    ),
    Door(
        "organisations", "POST /api/v1/training/start",
        {"base_model": "models/tiny", "conversations": [{"messages": TURNS}]},
        [
            ({"conversations": OFF}, "conversations"), ({"conversations": []}, "conversations"),
            ({"conversations": [{}]}, "messages"), ({"conversations": [{"messages": [{"content": "Hi"}]}]}, "role"),
            ({"conversations": [{"messages": TURNS[:1]}]}, "answer"), ({"base_model": ABSENT}, ABSENT),
            ({"base_model": UP}, UP), ({"org_id": UP}, "org_id"), ({"org_id": 5}, "org_id"),
            ({"validation_split": 1}, "validation_split"), ({"validation_split": 0.5}, "validation"),
            ({"num_epochs": 0}, "num_epochs"), ({"num_epochs": "three"}, "num_epochs"),
        ],
        lambda body: body["detail"], "training_id",
        ["GET /api/v1/training/status/{id}", "DELETE /api/v1/training/jobs/{id}",
         "GET /api/v1/training/jobs/default?before={id}", "POST /api/v1/models/load?model_id={id}"],
        "DELETE /api/v1/training/jobs/{id}",
    ),
    Door(
        "openai", "POST /v1/fine_tuning/jobs",
        {"model": "models/tiny", "training_file": "{file}"},
        [
            ({"model": OFF}, "model"), ({"model": 4}, "model"), ({"model": ABSENT}, ABSENT), ({"model": UP}, UP),
            ({"model": "ft:tiny:default::000000000000"}, "000000000000"), ({"training_file": OFF}, "training_file"),
            ({"training_file": "file-0"}, "file-0"), ({"training_file": UP}, UP),
            ({"validation_file": "file-0"}, "file-0"),
            ({"suffix": "../up"}, "suffix"), ({"seed": -1}, "seed"), ({"hyperparameters": {"n_epochs": 0}}, "n_epochs"),
            ({"hyperparameters": {"batch_size": "big"}}, "batch_size"), ({"method": {"type": "vision"}}, "vision"),
            ({"metadata": {"k": 3}}, "metadata"), ({"integrations": [{"type": "wandb"}]}, "integrations"),
        ],
        lambda body: body["error"]["message"], "id",
        [f"{method} /v1/fine_tuning/jobs/{{id}}{path}" for method, path in (
            ("GET", ""), ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/events"),
            ("GET", "/checkpoints"))] + ["GET /v1/files/{id}", "DELETE /v1/files/{id}", "GET /v1/models/{id}",
                                         "DELETE /v1/models/{id}", "GET /v1/fine_tuning/jobs?after={id}"],
        "POST /v1/fine_tuning/jobs/{id}/cancel",
    ),
]  # fmt: skip
IDS: Final = ("000000000000", "job-000000000000", "..%2f..%2fetc%2fpasswd", "no such thing", "x" * 120)
each_door = pytest.mark.parametrize("door", DOORS, ids=str)


class Caller:
    """Somebody who calls, and does not put up with an answer that is no clear sentence."""

    def __init__(self, http: TestClient, file: str) -> None:
        self.http, self.file = http, file

    def send(self, call: str, body: dict[str, Any] | None = None, key: str | None = None, **headers: str) -> Any:
        method, path = call.split(" ", 1)
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        return self.http.request(method, path, json=body, headers=headers)

    def right(self, door: Door, **changes: Any) -> dict[str, Any]:
        body = door.right | changes
        return {name: self.file if value == "{file}" else value for name, value in body.items() if value is not OFF}

    def start(self, door: Door) -> str:
        answer = self.send(door.start, self.right(door))
        assert answer.status_code < 300, answer.text
        return str(answer.json()[door.id])


def sentence(door: Door, answer: Any, *statuses: int) -> str:
    """Return the sentence of a refusal, which is one line that ends as a sentence does."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    said = door.sentence(answer.json())
    assert isinstance(said, str) and said[-1] in ".?!" and "\n" not in said and "Traceback" not in said, said
    return said


@pytest.fixture
def caller(service: Service, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny").symlink_to(tiny_model)
    rows = (json.dumps({"messages": TURNS}) + "\n").encode() * 3
    (tmp_path / "rows.jsonl").write_bytes(rows)
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    with TestClient(create_app(service), base_url="http://localhost:8000", raise_server_exceptions=False) as http:
        sent = http.post("/v1/files", files={"file": ("rows.jsonl", rows)}, data={"purpose": "fine-tune"})
        yield Caller(http, sent.json()["id"])


@each_door
def test_each_wrong_request_is_refused_by_name_and_makes_nothing(door: Door, caller: Caller, service: Service) -> None:
    for changes, word in door.wrong:
        said = sentence(door, caller.send(door.start, caller.right(door, **changes)), 400, 404, 422)
        assert word in said, (changes, said)
    assert queue.listed(service, queue.Wanted(), OPERATOR) == []


@each_door
def test_each_call_for_what_is_not_there_says_so(door: Door, caller: Caller) -> None:
    for call in door.looks:
        for id in IDS:
            sentence(door, caller.send(call.replace("{id}", id)), 400, 404)


@each_door
def test_what_is_anothers_is_not_there(door: Door, caller: Caller, service: Service) -> None:
    id = caller.start(door)
    organisations.create(service, OPERATOR, "strangers")
    _, key = keys.create(service, OPERATOR, org="strangers", role=Role.ADMIN, label="theirs")
    for call in door.looks:
        sentence(door, caller.send(call.replace("{id}", id), key=key), 403 if "/jobs/default" in call else 404, 404)
    assert queue.get(service, id, OPERATOR).state is RunState.QUEUED


@each_door
def test_what_has_ended_is_not_cancelled(door: Door, caller: Caller, service: Service) -> None:
    for state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED):
        id = caller.start(door)
        bring(service, id, state)
        if door.cancels is not None:
            assert str(state) in sentence(door, caller.send(door.cancels.replace("{id}", id)), 409)
            assert queue.get(service, id, OPERATOR).state is state


@each_door
def test_one_key_makes_one_job_also_where_the_server_died_before_it_answered(
    door: Door, caller: Caller, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = caller.send(door.start, caller.right(door), **{"Idempotency-Key": "once"})
    with service.database.write() as connection:
        kept.finish(connection, "", "once", None, None)
    monkeypatch.setattr(idempotency, "PATIENCE", -1.0)
    again = caller.send(door.start, caller.right(door), **{"Idempotency-Key": "once"})
    assert first.json()[door.id] == again.json()[door.id]
    assert len(queue.listed(service, queue.Wanted(), OPERATOR)) == 1
    another = caller.send(door.start, {**caller.right(door), "no_such": 1}, **{"Idempotency-Key": "once"})
    assert "once" in sentence(door, another, 422)


def test_a_model_that_a_job_starts_from_is_not_deleted(caller: Caller, service: Service, tiny_model: Path) -> None:
    name, openai = "ft:tiny:default::abcdefabcdef", DOORS[3]
    with service.database.write() as connection:
        stored_models.add(connection, stored_models.Model(
            id="model-1", org="default", name=name, kind="full", path=str(tiny_model), job=None, run=None, base="tiny",
            base_fingerprint=None, parent=None, recipe={}, data={}, versions={}, metrics={}, bytes=1, created_at=1.0,
        ))  # fmt: skip
    id = caller.send(openai.start, caller.right(openai, model=name)).json()["id"]
    said = sentence(openai, caller.send(f"DELETE /v1/models/{name}"), 409)
    assert id.removeprefix("ftjob-") in said and (tiny_model / "config.json").is_file()


@pytest.mark.parametrize("form", ["lora", "qlora"])
def test_a_form_that_is_refused_leaves_no_file(caller: Caller, service: Service, form: str) -> None:
    before = {path for path in service.settings.home.rglob("*") if path.is_file() and path.suffix == ".jsonl"}
    answer = caller.http.post(
        f"/api/llm-finetuning/{form}", data={"base_model": ABSENT}, files={"dataset": ("rows.jsonl", b"{}\n")}
    )
    assert ABSENT in sentence(DOORS[1], answer, 422)
    assert {path for path in service.settings.home.rglob("*.jsonl") if path.is_file()} == before
