"""`/v1/fine_tuning/jobs` by the official client, unchanged: what it may ask, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from in_thread import served
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store.events import NewEvent

HYPERPARAMETERS = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}


@pytest.fixture
def url(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with served(service) as address:
        yield address


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def file(client: OpenAI, chat_file: Path) -> str:
    return client.files.create(file=chat_file, purpose="fine-tune").id


def move(service: Service, id: str, state: RunState, **values: Any) -> None:
    """Bring a job into a state as the supervisor would."""
    with service.database.write() as connection:
        assert stored_jobs.move(connection, queue.get(service, id, OPERATOR).id, state, **values)


def test_a_job_is_created_with_what_was_asked(client: OpenAI, service: Service, tiny_model: Path, file: str):
    method = {"type": "supervised", "supervised": {"hyperparameters": HYPERPARAMETERS}}
    job = client.fine_tuning.jobs.create(
        model=str(tiny_model), training_file=file, validation_file=file, suffix="faq", seed=7, method=method,
        metadata={"team": "support"},
    )  # fmt: skip
    assert job.id.startswith("ftjob-") and job.object == "fine_tuning.job" and job.status == "queued"
    assert (job.model, job.training_file, job.validation_file, job.seed) == (str(tiny_model), file, file, 7)
    assert job.metadata == {"team": "support"} and job.organization_id == "default" and job.fine_tuned_model is None
    assert job.method is not None and job.method.type == "supervised" and job.result_files == []
    assert job.hyperparameters.to_dict() == {**HYPERPARAMETERS, "beta": None}
    spec = queue.get(service, job.id, OPERATOR).spec
    assert (spec.recipe.epochs, spec.recipe.batch.size, spec.recipe.learning_rate_multiplier) == (2, 4, 0.5)
    assert [dataset.validation for dataset in spec.datasets] == [False, True]
    assert client.fine_tuning.jobs.retrieve(job.id) == job


def test_what_is_auto_stays_open_until_the_plan(client: OpenAI, service: Service, tiny_model: Path, file: str):
    numbers: Any = dict.fromkeys(HYPERPARAMETERS, "auto")
    job = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file, hyperparameters=numbers)
    assert job.hyperparameters.n_epochs == "auto" and job.hyperparameters.batch_size == "auto"
    assert queue.get(service, job.id, OPERATOR).spec.recipe.model_fields_set == set()


@pytest.mark.parametrize(
    ("method", "task", "options"),
    [
        (None, "chat", {}),
        ({"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3}}}, "dpo", {"dpo_beta": 0.3}),
        ({"type": "classification", "classification": {"hyperparameters": {"n_epochs": 1}}}, "classification", {}),
        ({"type": "pretraining"}, "pretraining", {}),
        (
            {
                "type": "image_classification",
                "image_classification": {"hyperparameters": {"n_epochs": 2, "image_size": 64, "flip": False}},
            },
            "image-classification",
            {"image_size": 64, "flip": False},
        ),
        ({"type": "object_detection"}, "object-detection", {}),
        (
            {"type": "speech_recognition", "speech_recognition": {"hyperparameters": {"language": "de"}}},
            "speech-recognition",
            {"language": "de"},
        ),
        ({"type": "audio_classification"}, "audio-classification", {}),
        ({"type": "image_text_contrastive"}, "image-text-contrastive", {}),
        ({"type": "image_text_to_text"}, "image-text-to-text", {}),
        ({"type": "text_to_image"}, "text-to-image", {}),
    ],
)
def test_a_method_is_a_task(
    client: OpenAI, service: Service, tiny_model: Path, file: str, method: Any, task: str, options: dict[str, Any]
):
    given = {"method": method} if method else {}
    job = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file, **given)
    spec = queue.get(service, job.id, OPERATOR).spec
    assert (spec.task, spec.options) == (task, options)
    assert job.method is not None and job.method.type == (method["type"] if method else "supervised")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "../nothing"},
        {"model": "ft:tiny:default::000000000000"},
        {"training_file": "file-nothing"},
        {"training_file": "../../etc/passwd"},
        {"training_file": 7},
        {"suffix": "../x"},
        {"suffix": "x" * 65},
        {"seed": -1},
        {"metadata": {str(n): "x" for n in range(17)}},
        {"metadata": {"k" * 65: "x"}},
        {"metadata": {"k": "x" * 513}},
        {"method": {"type": "reinforcement"}},
        {"method": {"type": "supervised", "dpo": {}}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "many"}}}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"rank": 8}}}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"image_size": 64}}}},
        {"method": {"type": "image_classification", "image_classification": {"hyperparameters": {"image_size": 1}}}},
        {"hyperparameters": {"image_size": 64}, "method": {"type": "image_classification"}},
        {"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]},
        {"unknown": 1},
        {"hyperparameters": {"n_epochs": 1},
         "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}},
    ],
)  # fmt: skip
def test_a_wrong_job_is_refused_in_openais_shape(
    client: OpenAI, url: str, tiny_model: Path, file: str, change: dict[str, Any]
):
    body = {"model": str(tiny_model), "training_file": file, **change}
    answer = httpx.post(f"{url}/v1/fine_tuning/jobs", json=body)
    assert answer.status_code in (400, 404, 422), answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"][-1] in ".?"
    assert error["type"] == "invalid_request_error"
    assert list(client.fine_tuning.jobs.list()) == []


def test_a_file_for_something_else_is_not_trained_on(client: OpenAI, tiny_model: Path):
    other = client.files.create(file=("a.txt", b"text"), purpose="user_data")
    with pytest.raises(openai.UnprocessableEntityError, match="purpose"):
        client.fine_tuning.jobs.create(model=str(tiny_model), training_file=other.id)


def test_a_file_that_a_job_will_read_is_not_deleted(client: OpenAI, tiny_model: Path, file: str):
    job = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file)
    with pytest.raises(openai.ConflictError, match="job"):
        client.files.delete(file)
    client.fine_tuning.jobs.cancel(job.id)
    assert client.files.delete(file).deleted


def test_jobs_are_listed_in_pages_and_by_metadata(client: OpenAI, tiny_model: Path, file: str):
    made = [
        client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file, metadata={"n": str(n % 2)}).id
        for n in range(3)
    ]
    page = client.fine_tuning.jobs.list(limit=2)
    assert [job.id for job in page.data] == made[:0:-1] and page.has_more
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == made[::-1]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"n": "0"})] == [made[2], made[0]]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"m": "0"})] == []
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.list(after="ftjob-000000000000")


def test_a_queued_job_is_paused_resumed_and_cancelled(client: OpenAI, tiny_model: Path, file: str):
    id = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file).id
    jobs = client.fine_tuning.jobs
    assert [jobs.pause(id).status, jobs.resume(id).status, jobs.cancel(id).status] == ["paused", "queued", "cancelled"]
    for again in (jobs.pause, jobs.resume, jobs.cancel):
        with pytest.raises(openai.ConflictError, match="cancelled"):
            again(id)
    assert jobs.retrieve(id).finished_at is not None


def test_the_words_for_where_a_job_stands(client: OpenAI, service: Service, tiny_model: Path, file: str):
    id = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file).id
    seen = [client.fine_tuning.jobs.retrieve(id).status]
    move(service, id, RunState.PREPARING)
    seen.append(client.fine_tuning.jobs.retrieve(id).status)
    move(service, id, RunState.RUNNING, progress={"step": 5, "total_steps": 10, "seconds": 50.0})
    running = client.fine_tuning.jobs.retrieve(id)
    assert running.estimated_finish is not None and running.estimated_finish > running.created_at + 40
    error = {"code": "no_usable_row", "message": "chat.jsonl: no row can be used.", "exit_code": 65}
    move(service, id, RunState.FAILED, error=error, ended_at=1.0)
    failed = client.fine_tuning.jobs.retrieve(id)
    assert [*seen, running.status, failed.status] == ["queued", "validating_files", "running", "failed"]
    assert failed.error is not None and failed.error.param == "training_file"
    assert failed.error.message == error["message"] and failed.finished_at == 1


@pytest.mark.parametrize(("counts", "told"), [("token", 77), ("picture", None)])
def test_only_texts_have_trained_tokens(
    client: OpenAI, service: Service, tiny_model: Path, file: str, counts: str, told: int | None
):
    id = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file).id
    progress = {"trained_tokens": 77, "counts": counts}
    move(service, id, RunState.PREPARING)
    move(service, id, RunState.RUNNING, progress=progress)
    assert client.fine_tuning.jobs.retrieve(id).trained_tokens is None
    move(service, id, RunState.SUCCEEDED, ended_at=1.0)
    assert client.fine_tuning.jobs.retrieve(id).trained_tokens == told


def test_events_are_listed_from_the_newest_down(client: OpenAI, service: Service, tiny_model: Path, file: str):
    id = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file).id
    job = queue.get(service, id, OPERATOR)
    step = {"step": 1, "epoch": 0.1, "loss": 2.5, "learning_rate": 1e-3, "tokens_per_second": 10.0}
    said = [("warning", {"message": "Little data."}), ("step", step), ("failed", {"message": "It broke."})]
    with service.database.write() as connection:
        service.database.order_events(connection)
        stored_events.add(connection, [NewEvent(job.org, job.id, 5.0, kind, body) for kind, body in said])
    events = list(client.fine_tuning.jobs.list_events(id, limit=2))
    assert [event.level for event in events] == ["error", "info", "warn", "info"]
    assert [event.type for event in events] == ["message", "metrics", "message", "message"]
    assert events[1].data == {"step": 1, "train_loss": 2.5, "learning_rate": 1e-3, "epoch": 0.1}
    assert "Little data." in events[2].message and events[0].object == "fine_tuning.job.event"
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.list_events(id, after="ftevent-x")


def test_a_stream_of_events_ends_with_the_job(client: OpenAI, url: str, tiny_model: Path, file: str):
    id = client.fine_tuning.jobs.create(model=str(tiny_model), training_file=file).id
    client.fine_tuning.jobs.cancel(id)
    text = httpx.get(f"{url}/v1/fine_tuning/jobs/{id}/events?stream=true", timeout=20).text
    assert text.count("event: fine_tuning.job.event") == 2 and "cancelled" in text


@pytest.mark.parametrize("id", ["ftjob-000000000000", "..%2f..%2fetc", "x"])
def test_an_unknown_job_is_not_found(client: OpenAI, id: str):
    jobs = client.fine_tuning.jobs
    for call in (jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events, jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError):
            call(id)
