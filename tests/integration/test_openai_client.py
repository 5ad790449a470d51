"""Real trainings through the doors for clients: OpenAI's, unchanged, and an organisation's conversations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import NotFoundError, OpenAI

from fleet import until
from served import Served, served


@pytest.fixture
def server(home: Path, tmp_path: Path, tiny_model: Path, database_url: str) -> Iterator[Served]:
    (home / "models").mkdir()
    (home / "models" / "tiny").symlink_to(tiny_model)
    with served(home, "--device", "cpu", "--database-url", database_url, folder=tmp_path) as running:
        yield running


def reach(client: OpenAI, id: str, *statuses: str) -> Any:
    """Wait until a job says one of these words."""
    words = (*statuses, "failed")
    job = until(
        lambda: (now := client.fine_tuning.jobs.retrieve(id)).status in words and now, f"one of {statuses}", 120
    )
    assert job.status in statuses, job
    return job


@pytest.mark.parametrize("database_url", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"], indirect=True)
def test_the_official_client_tunes_a_model_from_upload_to_deletion(server: Served, chat_file: Path):
    client = OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    file = client.files.create(file=chat_file, purpose="fine-tune")
    numbers: Any = {"n_epochs": 30, "batch_size": "auto", "learning_rate_multiplier": "auto"}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    jobs = client.fine_tuning.jobs
    id = jobs.create(model="tiny", training_file=file.id, suffix="faq", method=method).id

    until(lambda: any(event.type == "metrics" for event in jobs.list_events(id, limit=5).data), "numbers come", 120)
    jobs.pause(id)
    assert reach(client, id, "paused").fine_tuned_model is None
    assert jobs.checkpoints.list(id).data, "a paused job has saved its state"
    jobs.resume(id)
    done = reach(client, id, "succeeded")

    assert done.fine_tuned_model == f"ft:tiny:default:faq:{id.removeprefix('ftjob-')}"
    assert done.trained_tokens and done.finished_at >= done.created_at and done.error is None
    assert done.hyperparameters.n_epochs == 30 and done.hyperparameters.batch_size > 0
    assert done.hyperparameters.learning_rate_multiplier == 1
    checkpoint = jobs.checkpoints.list(id).data[0]
    assert checkpoint.fine_tuned_model_checkpoint == f"{done.fine_tuned_model}:ckpt-step-{checkpoint.step_number}"
    assert checkpoint.metrics.full_valid_loss is not None
    table = client.files.content(done.result_files[0]).text.splitlines()
    assert table[0].startswith("step,") and len(table) > 2

    assert done.fine_tuned_model in [model.id for model in client.models.list()]
    again = jobs.create(model=done.fine_tuned_model, training_file=file.id, hyperparameters={"n_epochs": 1})
    assert reach(client, again.id, "succeeded").fine_tuned_model.startswith("ft:tiny:default::")
    assert client.models.delete(done.fine_tuned_model).deleted
    with pytest.raises(NotFoundError):
        client.models.retrieve(done.fine_tuned_model)


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_conversations_become_a_model_of_the_organisation(server: Served, tmp_path: Path):
    turns = [("What is {0} plus {0}?", "It is {1}."), ("And {0} times two?", "That is {1}, too.")]
    conversations = [
        {
            "messages": [
                {"role": role, "content": text.format(n, 2 * n)}
                for pair in turns
                for role, text in zip(("user", "assistant"), pair, strict=True)
            ]
        }
        for n in range(30)
    ]
    base = f"{server.url}/api/v1"
    body = {"org_id": "org_123", "base_model": "tiny", "conversations": conversations, "num_epochs": 1}
    id = httpx.post(f"{base}/training/start", json=body).json()["training_id"]

    def over() -> Any:
        now = httpx.get(f"{base}/training/status/{id}").json()
        return now["status"] in ("completed", "failed") and now

    done = until(over, "the training is over", 120)
    assert done["status"] == "completed", done
    assert done["metadata"]["perplexity"] == pytest.approx(math.exp(done["metadata"]["validation_loss"]))
    result = tmp_path / "models" / "finetuned" / "org_123" / id
    assert (result / "adapter_model.safetensors").is_file()
    assert [*result.rglob("events.out.tfevents.*"), *(result / "logs" / "training").glob("events.out.tfevents.*")]
    told = json.loads((result / "training_metadata.json").read_text())
    assert (told["org_id"], told["training_id"], told["base_model"]) == ("org_123", id, "tiny")
    assert told["num_train_samples"] + told["num_eval_samples"] == 30 and told["train_runtime"] > 0
    assert told["lora_config"] == {"r": 16, "alpha": 32, "dropout": 0.05, "target_modules": ["q_proj", "v_proj"]}
    models = httpx.get(f"{base}/models/org_123/list").json()
    assert [model["model_id"] for model in models["models"]] == [id]


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_the_documented_conversation_trains(server: Served):
    messages = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey! How are you?"}]
    body = {"org_id": "org_123", "base_model": "tiny", "conversations": [{"messages": messages, "platform": "discord"}]}
    base = f"{server.url}/api/v1/training"
    id = httpx.post(f"{base}/start", json=body).json()["training_id"]
    wanted = ("completed", "failed")
    done = until(
        lambda: (now := httpx.get(f"{base}/status/{id}").json())["status"] in wanted and now,
        "the training is over",
        120,
    )
    assert done["status"] == "completed", done
    assert "validation_loss" not in done["metadata"]
