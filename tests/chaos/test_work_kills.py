"""The worker, its client and its server are killed while a model is exported: the export is there in the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet import LightServer, fleet, light_job, living_runs, post, until
from tunesmith.runs.publish import published_run

pytestmark = pytest.mark.chaos


def job_of(server: LightServer, id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/api/jobs/{id}", timeout=30).json()
    return found


def trained(server: LightServer, model: Path, data: Path, folder: Path) -> str:
    """Train a model whose exports wait for a file beside their output; return the id of the job."""
    body = light_job(model, data, folder / "lora", steps=2)
    body["spec"]["name"] = "write-and-wait"
    id = str(post([server], "/api/jobs", body)["id"])
    until(lambda: job_of(server, id)["state"] == "succeeded", "the training is done")
    return id


def running(server: LightServer, *, after: str | None = None) -> dict[str, Any]:
    """Wait until an export runs, by another run than the one before, and return it."""

    def found() -> dict[str, Any] | None:
        jobs = httpx.get(f"{server.url}/api/jobs", params={"kind": "export"}, timeout=30).json()["jobs"]
        return next((job for job in jobs if job["state"] == "running" and job["run"] != after), None)

    job: dict[str, Any] = until(found, "the export runs")
    return job


def test_an_export_outlives_its_client_its_worker_and_its_server(
    home: Path, database_url: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "merged"
    with fleet(home, database_url, 1) as (server,):
        task = trained(server, tiny_model, chat_file, tmp_path).removeprefix("job-")
        call = {"task_id": task, "output_path": str(output)}
        with pytest.raises(httpx.ReadTimeout):  # A client that does not wait.
            httpx.post(f"{server.url}/api/llm-finetuning/merge", json=call, timeout=3)
        first = running(server)

        (handle,) = living_runs(home)
        os.kill(handle.worker.pid, signal.SIGKILL)
        second = running(server, after=first["run"])
        assert second["id"] == first["id"]

        server.kill()
        assert len(living_runs(home)) == 1, "the worker lives on"
        output.with_suffix(".go").touch()
        until(lambda: not living_runs(home), "the worker ends without a server")
        server.restart()
        server.wait()
        until(lambda: job_of(server, first["id"])["state"] == "succeeded", "the server learns of it")
        assert published_run(output) == second["run"]
        assert len(job_of(server, first["id"])["runs"]) == 2

        again = httpx.post(f"{server.url}/api/llm-finetuning/merge", json=call, timeout=30).json()
        assert again["path"] == str(output) and f"job-{again['job_id']}" == first["id"], "what was written is found"


def test_a_worker_that_dies_while_there_is_no_server_is_replaced_when_there_is(
    home: Path, database_url: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "merged"
    with fleet(home, database_url, 1) as (server,):
        task = trained(server, tiny_model, chat_file, tmp_path)
        body = {"work": {"kind": "export", "source": task, "what": "merged", "output": str(output)}}
        id = post([server], "/api/jobs", body)["id"]
        first = running(server)
        (handle,) = living_runs(home)
        server.kill()
        os.kill(handle.worker.pid, signal.SIGKILL)
        until(lambda: not living_runs(home), "nothing runs")
        server.restart()
        server.wait()
        second = running(server, after=first["run"])
        output.with_suffix(".go").touch()
        until(lambda: job_of(server, id)["state"] == "succeeded", "the export is done")
        assert published_run(output) == second["run"]
