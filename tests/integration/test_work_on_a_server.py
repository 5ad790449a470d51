"""A model is trained, measured and exported by a server, with the real workers: what comes out is what was trained."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet import LightServer, fleet, light_job, post, until


def finished(server: LightServer, body: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and return it when it is over; it must succeed."""
    id = post([server], "/api/jobs", body)["id"]

    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = httpx.get(f"{server.url}/api/jobs/{id}", timeout=30).json()
        assert job["state"] not in ("failed", "cancelled"), job["error"]
        return job if job["state"] == "succeeded" else None

    found: dict[str, Any] = until(over, f"job {id} is done", patience=300)
    return found


def files_of(server: LightServer, job: dict[str, Any]) -> zipfile.ZipFile:
    answer = httpx.get(f"{server.url}/api/jobs/{job['id']}/result", timeout=60)
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_trained_model_is_measured_merged_and_packed(
    home: Path, database_url: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    with fleet(home, database_url, 1, kind="real") as (server,):
        trained = finished(server, light_job(tiny_model, chat_file, tmp_path / "lora", steps=3))

        work = {"kind": "evaluate", "model": trained["id"], "rows": 4, "answered": 2, "sampling": {"max_tokens": 4}}
        measured = finished(server, {"work": work | {"prompts": [{"prompt": "What is 1 plus 1?"}]}})
        found = measured["result"]["summary"]
        assert found["baseline"] == "base" and {group["name"] for group in found["groups"]} == {"rows", "prompts"}
        assert json.loads(files_of(server, measured).read("evaluation.json"))["verdict"] == found["verdict"]

        place = tmp_path / "merged"
        work = {"kind": "export", "source": trained["id"], "what": "merged", "output": str(place), "replay": 3}
        merged = finished(server, {"work": work})
        assert merged["device"] == "side" and (place / "model.safetensors").is_file()
        parity = json.loads((place / "parity.json").read_text())["token_ids"]
        assert (parity["identical"], parity["of"]) == (3, 3)

        task = trained["id"].removeprefix("job-")
        packed = httpx.get(f"{server.url}/api/llm-finetuning/export/{task}", timeout=300)
        assert "adapter_model.safetensors" in zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
