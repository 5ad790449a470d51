from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import job_of
from tunesmith.service.context import Service
from tunesmith.spec.job import JobSpec

ROWS = (json.dumps({"instruction": "Translate to French: Hello", "response": "Bonjour"}) + "\n") * 3
PRINTED_4BIT = {
    "use_4bit": True,
    "bnb_4bit_compute_dtype": "float16",
    "bnb_4bit_quant_type": "nf4",
    "use_nested_quant": False,
}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text(ROWS)
    return tmp_path


def start(client: TestClient, path: str, expect: int = 200, **fields: Any) -> Any:
    body = {"base_model": "llama-2-7b", "dataset_path": "train.jsonl", **fields}
    answer = client.post(f"/api/llm-finetuning/{path}/start", json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


def spec_of(client: TestClient, service: Service, path: str, **fields: Any) -> JobSpec:
    return job_of(service, start(client, path, **fields)["task_id"]).spec


def test_the_settings_of_a_7b_model_are_suggested(client: TestClient, service: Service) -> None:
    spec = spec_of(client, service, "lora")
    assert spec.recipe.method == "lora"
    assert spec.suggested == {
        "recipe.adapter.rank": 8,
        "recipe.adapter.alpha": 16,
        "recipe.adapter.dropout": 0.05,
        "recipe.adapter.targets": ["q_proj", "v_proj"],
        "recipe.length": 512,
        "recipe.learning_rate": 2e-4,
        "recipe.epochs": 3,
        "recipe.batch.size": 4,
        "recipe.batch.accumulation": 4,
    }


@pytest.mark.parametrize("model", ["llama-2-13b", "owner/Other-70B-chat"])
def test_from_13b_on_others_are(client: TestClient, service: Service, model: str) -> None:
    found = spec_of(client, service, "lora", base_model=model).suggested
    rank, alpha = found["recipe.adapter.rank"], found["recipe.adapter.alpha"]
    batch, rate = (found["recipe.batch.size"], found["recipe.batch.accumulation"]), found["recipe.learning_rate"]
    assert (rank, alpha, batch, rate) == (16, 32, (2, 8), 1e-4)


def test_what_is_typed_is_no_suggestion(client: TestClient, service: Service) -> None:
    typed = {"lora_r": 4, "lora_alpha": 9, "lora_dropout": 0.2, "target_modules": "k_proj, o_proj", "max_length": 64}
    spec = spec_of(client, service, "lora", **typed)
    adapter = spec.recipe.adapter
    assert (adapter.rank, adapter.alpha, adapter.dropout) == (4, 9, 0.2)
    assert adapter.targets == ["k_proj", "o_proj"] and spec.recipe.length == 64
    assert not {"recipe.adapter.rank", "recipe.adapter.targets", "recipe.length"} & set(spec.suggested)


def test_the_printed_4_bit_settings_are_in_force(client: TestClient, service: Service) -> None:
    spec = spec_of(client, service, "qlora", **PRINTED_4BIT)
    assert spec.recipe.method == "qlora"
    assert (spec.recipe.quantization.kind, spec.recipe.quantization.double) == ("nf4", False)
    assert spec.suggested["recipe.quantization.compute"] == "fp16"
    other = spec_of(client, service, "qlora", bnb_4bit_compute_dtype="bfloat16", bnb_4bit_quant_type="fp4")
    assert (other.recipe.quantization.compute, other.recipe.quantization.kind) == ("bf16", "fp4")


@pytest.mark.parametrize(
    ("path", "bits", "method"),
    [("lora", {"use_4bit": True}, "qlora"), ("lora", {"use_8bit": True}, "lora-8bit"), ("qlora", {}, "qlora")],
)
def test_the_bits_decide_the_method(
    client: TestClient, service: Service, path: str, bits: dict[str, bool], method: str
) -> None:
    assert spec_of(client, service, path, **bits).recipe.method == method


@pytest.mark.parametrize(
    ("path", "bits"),
    [("lora", {"use_4bit": True, "use_8bit": True}), ("qlora", {"use_8bit": True}), ("qlora", {"use_4bit": False})],
)
def test_bits_that_contradict_each_other_are_refused(client: TestClient, path: str, bits: dict[str, bool]) -> None:
    assert "contradict" in start(client, path, 422, **bits)["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lora_r": 0}, "lora_r"),
        ({"lora_r": 257}, "lora_r"),
        ({"lora_dropout": 0.6}, "lora_dropout"),
        ({"epochs": 101}, "epochs"),
        ({"batch_size": 65}, "batch_size"),
        ({"learning_rate": 0.02}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"gradient_accumulation_steps": 65}, "gradient_accumulation_steps"),
        ({"target_modules": []}, "target_modules"),
        ({"bnb_4bit_quant_type": "int4"}, "bnb_4bit_quant_type"),
        ({"lora_rank": 8}, "lora_rank"),
        ({"base_model": None}, "base_model"),
        ({"dataset_path": "../../etc/nothing.jsonl"}, "nothing.jsonl"),
        ({"dataset_path": "file:file-000000000000000000000000"}, "file-0000"),
    ],
)
def test_a_wrong_value_is_named_in_the_envelope(client: TestClient, change: dict[str, Any], field: str) -> None:
    answer = start(client, "lora", 422, **change)
    assert answer["success"] is False and field in answer["message"] and answer["detail"] == answer["message"]


def test_the_form_trains_on_the_file_that_it_brings(client: TestClient, service: Service) -> None:
    fields = {"base_model": "phi-2", "epochs": "2", "target_modules": "q_proj", "use_nested_quant": "true"}
    answer = client.post("/api/llm-finetuning/qlora", data=fields, files={"dataset": ("../rows.jsonl", ROWS)})
    assert answer.status_code == 200, answer.text
    spec = job_of(service, answer.json()["task_id"]).spec
    assert Path(spec.datasets[0].uri).read_text() == ROWS and Path(spec.datasets[0].uri).name == "rows.jsonl"
    assert spec.recipe.epochs == 2 and spec.recipe.quantization.double is True
    adapter = [spec.suggested[f"recipe.adapter.{name}"] for name in ("rank", "alpha", "dropout")]
    assert adapter == [64, 16, 0.1] and spec.recipe.adapter.targets == ["q_proj"]


def test_uploaded_rows_are_counted_and_named_in_a_job(client: TestClient, service: Service) -> None:
    files = {"file": ("rows.jsonl", ROWS)}
    uploaded = client.post("/api/llm-finetuning/data/upload", files=files).json()
    assert uploaded["samples"] == 3
    task = start(client, "lora", dataset_path=uploaded["path"])["task_id"]
    assert Path(job_of(service, task).spec.datasets[0].uri).read_text() == ROWS
    shown = client.get(f"/api/llm-finetuning/status/{task}").json()
    assert shown["dataset_path"] == uploaded["path"]


def test_an_upload_without_a_row_is_refused_and_not_kept(client: TestClient, home: Path) -> None:
    answer = client.post("/api/llm-finetuning/data/upload", files={"file": ("rows.jsonl", "nonsense")})
    assert answer.status_code == 422 and "rows.jsonl" in answer.json()["message"]
    assert str(home) not in answer.text
    assert not list(home.rglob("rows.jsonl"))


def test_a_task_is_stopped_once(client: TestClient) -> None:
    task = start(client, "lora")["task_id"]
    assert client.post(f"/api/llm-finetuning/stop/{task}").json()["status"] == "cancelled"
    again = client.post(f"/api/llm-finetuning/stop/{task}")
    assert again.status_code == 409 and "cancelled" in again.json()["message"]


def test_what_is_not_there_or_not_done_is_neither_asked_nor_merged_nor_exported(client: TestClient) -> None:
    task = start(client, "lora")["task_id"]
    for id, code in ((task, 409), ("000000000000", 404)):
        calls = [
            client.post("/api/llm-finetuning/merge", json={"task_id": id, "output_path": "/models/merged"}),
            client.post(f"/api/llm-finetuning/merge/{id}"),
            client.post("/api/llm-finetuning/test", json={"task_id": id, "prompt": "Hello", "max_tokens": 5}),
            client.get(f"/api/llm-finetuning/export/{id}"),
        ]
        assert [call.status_code for call in calls] == [code] * 4
        assert all(call.json()["success"] is False and call.json()["message"] for call in calls)


def test_base_models_are_listed_with_their_size(client: TestClient) -> None:
    found = {row["id"]: row for row in client.get("/api/llm-finetuning/models").json()}
    assert set(found["llama-2-13b"]) == {"id", "name", "parameters", "description"}
    assert found["llama-2-13b"]["parameters"] == "13B" and "resnet50" not in found
