"""Every way in does the same: submit, follow, pause, cancel, fail, finish, not found, other organisation."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import until
from scripted_worker import WORKER
from tunesmith.api.app import create_app
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.service.system.subtasks import Subtasks
from tunesmith.spec.ids import job_id_of

Submit = Callable[["Client", Path, Path, Path], str]
MESSAGES = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey! How are you?"}]


@dataclass
class Client:
    """Somebody who calls the service over HTTP."""

    http: TestClient
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, *, expect: int | None = None, **rest: Any) -> Any:
        answer = self.http.request(method, path, headers=self.headers, **rest)
        assert expect is None or answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        assert expect is not None or answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()


@dataclass(frozen=True)
class Door:
    """A way in, as its clients use it."""

    name: str
    submit: Submit
    status_path: str
    words: dict[str, str]
    """What it calls our states."""
    sentence: Callable[[Any], Any]
    """Where an error's sentence stands in its answers."""
    cancel: tuple[str, str] | None = None
    """Method and path; None: it has no such call, and ours is used."""
    listing: str = ""
    listed: Callable[[Any], list[str]] = lambda answer: []
    whole: float | None = None
    """What a finished job's progress is; None where the way in tells none."""
    id: str = "id"


def _ours(client: Client, model: Path, data: Path, out: Path) -> str:
    spec = {"model": {"source": str(model)}, "datasets": [{"uri": str(data)}], "output": {"dir": str(out)}}
    recipe = {"max_steps": 3}
    return str(client.send("POST", "/api/jobs", json={"spec": {**spec, "recipe": recipe}})["id"])


def _train(client: Client, model: Path, data: Path, out: Path) -> str:
    body = {"category": "LangText", "model_name": str(model), "dataset_path": str(data), "output_dir": str(out)}
    return str(client.send("POST", "/train", json={**body, "gpu": False, "epochs": 1})["job_id"])


def _lora(client: Client, model: Path, data: Path, out: Path) -> str:
    body = {"base_model": str(model), "dataset_path": str(data), "output_dir": str(out), "epochs": 1}
    return str(client.send("POST", "/api/llm-finetuning/lora/start", json=body)["task_id"])


def _organisation(client: Client, model: Path, data: Path, out: Path) -> str:
    body = {"org_id": "acme", "base_model": str(model), "conversations": [{"messages": MESSAGES}], "num_epochs": 1}
    return str(client.send("POST", "/api/v1/training/start", json=body)["training_id"])


def _openai(client: Client, model: Path, data: Path, out: Path) -> str:
    files = {"file": (data.name, data.read_bytes())}
    file = client.send("POST", "/v1/files", files=files, data={"purpose": "fine-tune"})["id"]
    body = {"model": str(model), "training_file": file}
    return str(client.send("POST", "/v1/fine_tuning/jobs", json=body)["id"])


WORDS = {name: name for name in ("queued", "running", "paused", "succeeded", "failed", "cancelled")}
DOORS = [
    Door(
        "ours", _ours, "/api/jobs/{id}", WORDS, lambda body: body["error"]["message"],
        cancel=("POST", "/api/jobs/{id}/cancel"), listing="/api/jobs",
        listed=lambda body: [row["id"] for row in body["jobs"]],
    ),
    Door(
        "train", _train, "/jobs/{id}",
        {**WORDS, "queued": "pending", "paused": "pending", "succeeded": "completed", "cancelled": "failed"},
        lambda body: body["detail"], listing="/jobs",
        listed=lambda body: [row["job_id"] for row in (body if isinstance(body, list) else body["jobs"])],
        whole=100, id="job_id",
    ),
    Door(
        "llm-finetuning", _lora, "/api/llm-finetuning/status/{id}",
        {**WORDS, "queued": "pending", "paused": "pending", "succeeded": "completed"},
        lambda body: body["message"], cancel=("POST", "/api/llm-finetuning/stop/{id}"),
        listing="/api/llm-finetuning/tasks",
        listed=lambda body: [row["task_id"] for row in (body if isinstance(body, list) else body["tasks"])],
        whole=100, id="task_id",
    ),
    Door(
        "organisations", _organisation, "/api/v1/training/status/{id}",
        {**WORDS, "paused": "queued", "succeeded": "completed"},
        lambda body: body["detail"], cancel=("DELETE", "/api/v1/training/jobs/{id}"),
        listing="/api/v1/training/jobs/acme", listed=lambda body: [row["training_id"] for row in body["jobs"]],
        whole=1.0, id="training_id",
    ),
    Door(
        "openai", _openai, "/v1/fine_tuning/jobs/{id}", WORDS, lambda body: body["error"]["message"],
        cancel=("POST", "/v1/fine_tuning/jobs/{id}/cancel"), listing="/v1/fine_tuning/jobs",
        listed=lambda body: [row["id"] for row in body["data"]],
    ),
]  # fmt: skip


@pytest.fixture(params=DOORS, ids=lambda door: door.name)
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.param
    return found


@pytest.fixture(scope="module")
def children() -> Iterator[Subtasks]:
    """The child processes that plan; a start costs each of them more than all plans of these tests."""
    subtasks = Subtasks(size=2)
    yield subtasks
    subtasks.close()


@pytest.fixture
def client(service: Service, children: Subtasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.chdir(tmp_path)
    # A test asks more often than a client should.
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    own, service.subtasks = service.subtasks, children
    with TestClient(create_app(service), base_url="http://localhost:8000") as http:
        yield Client(http)
    service.subtasks = own


@pytest.fixture
def supervised(service: Service, client: Client) -> Iterator[None]:
    """A supervisor beside the service, whose jobs are done by the scripted worker."""
    stop = threading.Event()
    thread = threading.Thread(target=Supervisor(service, LocalExecutor(worker=WORKER)).run, args=(stop,))
    thread.start()
    yield
    stop.set()
    thread.join(timeout=20)


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a model whose name says what the scripted worker does with it."""
    return lambda does: Path(shutil.copytree(tiny_model, tmp_path / "models" / does))


def status(client: Client, door: Door, id: str) -> Any:
    return client.send("GET", door.status_path.format(id=id))


def reach(client: Client, door: Door, id: str, state: str) -> Any:
    """Follow a job until the way in calls it as it calls this state."""
    word = door.words[state]
    return until(
        lambda: (now := status(client, door, id))["status" if "status" in now else "state"] == word and now,
        f"{door.name} says {word}",
    )


def test_a_job_is_submitted_listed_followed_and_finished(
    door: Door, client: Client, supervised: None, model: Callable[[str], Path], chat_file: Path, tmp_path: Path
) -> None:
    id = door.submit(client, model("train"), chat_file, tmp_path / "out")
    assert id in door.listed(client.send("GET", door.listing))
    done = reach(client, door, id, "succeeded")
    assert done[door.id] == id
    assert door.whole is None or done["progress"] == door.whole
    assert job_id_of(id) == job_id_of(client.send("GET", f"/api/jobs/{id}")["id"])


def test_a_failure_is_told_in_one_sentence(
    door: Door, client: Client, supervised: None, model: Callable[[str], Path], chat_file: Path, tmp_path: Path
) -> None:
    id = door.submit(client, model("crash"), chat_file, tmp_path / "out")
    said = str(reach(client, door, id, "failed"))
    assert "the shapes do not agree" in said and "Traceback" not in said


def test_a_paused_job_goes_on_and_finishes(
    door: Door, client: Client, supervised: None, model: Callable[[str], Path], chat_file: Path, tmp_path: Path
) -> None:
    id = door.submit(client, model("train and wait"), chat_file, tmp_path / "out")
    reach(client, door, id, "running")
    until(lambda: client.send("GET", f"/api/jobs/{id}")["progress"].get("step") == 2, "it waits at its second step")
    client.send("POST", f"/api/jobs/{id}/pause")
    reach(client, door, id, "paused")
    client.send("POST", f"/api/jobs/{id}/resume")
    reach(client, door, id, "succeeded")


def test_a_running_job_is_cancelled_and_not_twice(
    door: Door, client: Client, supervised: None, model: Callable[[str], Path], chat_file: Path, tmp_path: Path
) -> None:
    id = door.submit(client, model("wait"), chat_file, tmp_path / "out")
    reach(client, door, id, "running")
    method, path = door.cancel or ("POST", "/api/jobs/{id}/cancel")
    client.send(method, path.format(id=id))
    assert "cancelled" in str(reach(client, door, id, "cancelled")).lower()
    again = client.http.request(method, path.format(id=id))
    assert again.status_code in (400, 409)
    if door.cancel:
        assert "cancelled" in door.sentence(again.json())


def test_an_unknown_id_is_not_found_in_the_doors_own_shape(door: Door, client: Client) -> None:
    for id in ("000000000000", "nothing", "..%2f..%2fetc", "ftjob-zz"):
        body = client.send("GET", door.status_path.format(id=id), expect=404)
        assert isinstance(door.sentence(body), str)


def test_a_job_of_another_organisation_does_not_exist(
    door: Door, client: Client, service: Service, model: Callable[[str], Path], chat_file: Path, tmp_path: Path
) -> None:
    id = door.submit(client, model("train"), chat_file, tmp_path / "out")
    organisations.create(service, OPERATOR, "strangers")
    _, secret = keys.create(service, OPERATOR, org="strangers", role=Role.ADMIN, label="theirs")
    stranger = Client(client.http, {"Authorization": f"Bearer {secret}"})
    stranger.send("GET", door.status_path.format(id=id), expect=404)
    if door.cancel:
        stranger.send(door.cancel[0], door.cancel[1].format(id=id), expect=404)
    if door.name != "organisations":
        assert id not in door.listed(stranger.send("GET", door.listing))
    else:
        stranger.send("GET", door.listing, expect=403)


def test_an_unknown_field_is_refused(door: Door, client: Client) -> None:
    paths = {
        "ours": "/api/jobs",
        "train": "/train",
        "llm-finetuning": "/api/llm-finetuning/lora/start",
        "organisations": "/api/v1/training/start",
        "openai": "/v1/fine_tuning/jobs",
    }
    answer = client.http.post(paths[door.name], json={"no_such_field": 1})
    assert answer.status_code in (400, 422) and isinstance(door.sentence(answer.json()), str)
