"""Evaluations and exports over HTTP, done by the scripted worker while the server runs."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from fleet import processes_of, until
from scripted_worker import WORKER
from tunesmith.api.app import create_app
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.publish import published_run
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.spec.states import RunState
from tunesmith.store.jobs import Job, Wanted


class Desk:
    """A server that works, and somebody who calls it."""

    def __init__(self, service: Service, http: TestClient, model: Path, data: Path, folder: Path) -> None:
        self.service, self.http, self.model, self.data, self.folder = service, http, model, data, folder

    def trained(self, name: str, org: str = "default") -> str:
        """Train a model, whose name says what the runs do that are made of it; return the id of the task."""
        spec = {
            "name": name,
            "model": {"source": str(self.model)},
            "datasets": [{"uri": str(self.data)}],
            "recipe": {"max_steps": 2},
            "output": {"dir": str(self.folder / f"{name}-{org}")},
            "labels": {"does": "train"},
        }
        answer = self.http.post("/api/jobs", json={"spec": spec, "org": org})
        assert answer.status_code == 201, answer.text
        id = str(answer.json()["id"]).removeprefix("job-")
        self.until_over(id)
        return id

    def until_over(self, id: str) -> Job:
        def over() -> Job | None:
            job = queue.get(self.service, id, OPERATOR, kinds=queue.ALL_KINDS)
            return job if job.state.is_over else None

        found: Job = until(over, f"job {id} is over")
        return found

    def works(self, kind: str = "export") -> list[Job]:
        return queue.listed(self.service, Wanted(kinds=(kind,)), OPERATOR)

    def later(self, call: Callable[[], Response]) -> tuple[threading.Thread, list[Response]]:
        """Call in a thread."""
        answers: list[Response] = []
        thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
        thread.start()
        return thread, answers


@pytest.fixture
def desk(service: Service, tiny_model: Path, chat_file: Path, tmp_path: Path) -> Iterator[Desk]:
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    stop, supervisor = threading.Event(), Supervisor(service, LocalExecutor(worker=WORKER))
    working = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    working.start()
    with TestClient(create_app(service), base_url="http://localhost:8000", raise_server_exceptions=False) as http:
        yield Desk(service, http, tiny_model, chat_file, tmp_path)
    stop.set()
    service.wake.set()
    working.join(30)
    for process in processes_of(service.settings.home):
        process.kill()


def test_a_merge_answers_when_its_job_is_done_and_is_not_done_twice(desk: Desk) -> None:
    body = {"task_id": desk.trained("write"), "output_path": str(desk.folder / "merged")}
    first = desk.http.post("/api/llm-finetuning/merge", json=body)
    again = desk.http.post("/api/llm-finetuning/merge", json=body)

    assert first.status_code == 200, first.text
    assert first.json()["success"] and first.json()["path"] == str(desk.folder / "merged")
    assert again.json() == first.json() and len(desk.works()) == 1
    job = desk.works()[0]
    assert job.door == "llm" and published_run(desk.folder / "merged") == job.run


def test_a_merge_into_a_place_of_the_servers_choice(desk: Desk) -> None:
    task = desk.trained("write")
    answer = desk.http.post(f"/api/llm-finetuning/merge/{task}").json()
    own = desk.service.settings.home / "orgs" / "default" / "exports" / f"{task}-merged"
    assert (answer["path"], answer["merged_model_path"]) == (str(own), str(own)) and (own / "written.txt").is_file()


def test_a_merge_that_fails_says_why(desk: Desk) -> None:
    task, place = desk.trained("lack-data"), desk.folder / "merged"
    answer = desk.http.post("/api/llm-finetuning/merge", json={"task_id": task, "output_path": str(place)})
    assert answer.status_code == 422, answer.text
    assert answer.json()["success"] is False and "nothing.jsonl" in answer.json()["message"]


def test_what_is_running_is_not_merged(desk: Desk) -> None:
    spec = {
        "name": "busy", "model": {"source": str(desk.model)}, "datasets": [{"uri": str(desk.data)}],
        "output": {"dir": str(desk.folder / "busy")}, "labels": {"does": "wait"},
    }  # fmt: skip
    task = desk.http.post("/api/jobs", json={"spec": spec}).json()["id"].removeprefix("job-")
    answer = desk.http.post(f"/api/llm-finetuning/merge/{task}")
    assert answer.status_code == 409 and "Wait until it has succeeded." in answer.json()["message"]
    desk.http.post(f"/api/jobs/{task}/cancel")
    desk.until_over(task)


def test_an_adapter_is_fetched_as_a_zip_file(desk: Desk) -> None:
    task = desk.trained("write")
    for _ in range(2):
        answer = desk.http.get(f"/api/llm-finetuning/export/{task}")
        assert answer.headers["content-type"] == "application/zip"
        assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == ["adapter_config.json"]
    assert len(desk.works()) == 1, "it is made once"


def test_an_organisations_model_is_measured_and_answers_the_prompts(desk: Desk) -> None:
    desk.trained("write", org="org_123")
    prompts = [{"instruction": "Hello!", "expected_response": "Hi!"}, "And you?"]
    body = {"org_id": "org_123", "model_id": "latest", "test_prompts": prompts}
    answer = desk.http.post("/api/v1/training/evaluate", json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["model_path"] == str(desk.folder / "write-org_123")
    assert answer.json()["metrics"] == {
        "test_responses": [
            {"instruction": "Hello!", "generated_response": "Hello!", "expected_response": "Hi!"},
            {"instruction": "And you?", "generated_response": "And you?"},
        ],
        "total_parameters": 10, "trainable_parameters": 2, "model_size_mb": 0.5,
    }  # fmt: skip
    assert [job.org for job in desk.works("evaluate")] == ["org_123"]


def test_our_own_way_in_takes_work_lists_it_and_hands_its_files_out(desk: Desk) -> None:
    task = desk.trained("write")
    posted = desk.http.post("/api/jobs", json={"work": {"kind": "export", "source": f"job-{task}", "what": "gguf"}})
    assert posted.status_code == 201, posted.text
    id = posted.json()["id"]
    desk.until_over(id)

    shown = desk.http.get(f"/api/jobs/{id}").json()
    assert (shown["kind"], shown["state"], shown["spec"], shown["done"]) == ("export", "succeeded", None, 1.0)
    assert shown["work"]["quantization"] == "f16" and shown["device"] == "side"
    kinds = {kind: desk.http.get("/api/jobs", params={"kind": kind}).json()["jobs"] for kind in ("train", "export")}
    assert [job["id"] for job in kinds["export"]] == [id] and [job["id"] for job in kinds["train"]] == [f"job-{task}"]
    files = zipfile.ZipFile(io.BytesIO(desk.http.get(f"/api/jobs/{id}/result").content)).namelist()
    assert {"written.txt", "written.zip"} <= set(files)


def test_ways_in_that_train_know_no_other_work(desk: Desk) -> None:
    task = desk.trained("write")
    id = desk.http.post("/api/jobs", json={"work": {"kind": "evaluate", "model": task}}).json()["id"]
    desk.until_over(id)
    bare = id.removeprefix("job-")
    for path in (f"/jobs/{bare}", f"/api/training/status/{bare}", f"/v1/fine_tuning/jobs/ftjob-{bare}"):
        assert desk.http.get(path).status_code == 404, path
    lists: list[Any] = [desk.http.get(path).json() for path in ("/jobs", "/api/system/tasks", "/v1/fine_tuning/jobs")]
    assert all(bare not in str(found) and task in str(found) for found in lists)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "one of the two: spec (a training)"),
        ({"work": {"kind": "export", "source": "job-000000000000"}}, "000000000000"),
        ({"work": {"kind": "export", "source": "nothing/here/at-all"}}, "nothing/here/at-all"),
        ({"work": {"kind": "export", "source": "x", "what": "merged", "zip": True}}, "zip"),
        ({"work": {"kind": "export", "source": "x", "quantization": "q8_0"}}, "quantization"),
        ({"work": {"kind": "export", "source": "x", "what": "tar"}}, "what"),
        ({"work": {"kind": "evaluate", "model": "x", "rows": 0}}, "rows"),
        ({"work": {"kind": "evaluate", "model": "x", "confidence": 1}}, "confidence"),
        ({"work": {"kind": "convert", "model": "x"}}, "kind"),
    ],
)
def test_wrong_work_is_refused_in_a_sentence(client: TestClient, body: dict[str, Any], said: str) -> None:
    answer = client.post("/api/jobs", json=body)
    assert 400 <= answer.status_code < 500 and said in answer.text, answer.text


def test_a_merge_is_waited_for_while_others_are_answered(desk: Desk) -> None:
    task, place = desk.trained("write-and-wait"), desk.folder / "merged"
    thread, answers = desk.later(
        lambda: desk.http.post("/api/llm-finetuning/merge", json={"task_id": task, "output_path": str(place)})
    )
    job = until(lambda: next((job for job in desk.works() if job.state is RunState.RUNNING), None), "the merge runs")
    assert desk.http.get(f"/api/jobs/{job.id}").json()["progress"] == {"phase": "writing", "done": 0.25}
    assert not answers
    place.with_suffix(".go").touch()
    thread.join(30)
    assert answers[0].json()["path"] == str(place) and desk.until_over(job.id).state is RunState.SUCCEEDED
