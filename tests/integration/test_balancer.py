"""A GPU server and a CPU server on one home behind nginx, with the configuration that users get."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet import free_port, until
from hub_cache import fill
from require import need
from scripts.documented_calls import LANGTEXT, write_data
from served import Served, served

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/tunesmith.conf"
MODEL = "microsoft/DialoGPT-medium"
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tunesmith.conf;
}}
"""


def nginx() -> str | None:
    """Return the program; Debian keeps it off the PATH of users."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def balancer(folder: Path, *servers: Served) -> Iterator[str]:
    """Run nginx in front of servers; give its address."""
    program = nginx()
    need(program is not None, "nginx is not installed")
    assert program is not None
    folder.mkdir()
    folder.chmod(0o755)
    port, text = free_port(), CONFIGURATION.read_text(encoding="utf-8")
    for printed, ours in (
        ("127.0.0.1:8000", servers[0].url.removeprefix("http://")),
        ("127.0.0.1:8001", servers[1].url.removeprefix("http://")),
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
    ):
        assert text.count(printed) == 1
        text = text.replace(printed, ours)
    (folder / "tunesmith.conf").write_text(text)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(main)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: process.poll() is None and _answers(url), "nginx answers")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    return False


@pytest.fixture
def behind_nginx(home: Path, tmp_path: Path) -> Iterator[tuple[str, Served, Served]]:
    folder = tmp_path / "work"
    folder.mkdir()
    write_data(folder)
    variables = {"HF_HOME": str(fill(tmp_path / "hub", {MODEL: "gpt2"})), "TUNESMITH_RATE_LIMIT": "0"}
    with (
        served(home, "--device", "gpu", folder=folder, **variables) as gpu,
        served(home, "--device", "cpu", folder=folder, **variables) as cpu,
        balancer(tmp_path / "nginx", gpu, cpu) as url,
    ):
        yield url, gpu, cpu


def _train(url: str, name: str, *, gpu: bool) -> str:
    body = {
        "category": "LangText", "model_name": MODEL, "dataset_path": LANGTEXT, "output_dir": f"saved_models/{name}",
        "gpu": gpu, "epochs": 1, "batch_size": 8, "learning_rate": 0.00002, "run_name": name,
    }  # fmt: skip
    answer = httpx.post(f"{url}/train", json=body, timeout=30)
    assert answer.status_code < 300, answer.text
    id: str = answer.json()["job_id"]
    return id


def _over(url: str, id: str) -> dict[str, Any] | None:
    job: dict[str, Any] = httpx.get(f"{url}/jobs/{id}", timeout=30).json()
    return job if job["status"] in ("completed", "failed") else None


@pytest.mark.slow
def test_each_server_claims_its_kind_and_every_one_knows_all(
    home: Path, behind_nginx: tuple[str, Served, Served]
) -> None:
    url, gpu, cpu = behind_nginx
    wanted = {
        _train(door, f"{lane}-{number}", gpu=lane == "gpu"): lane
        for number, door in enumerate((url, gpu.url, cpu.url))
        for lane in ("gpu", "cpu")
    }
    for door in (url, gpu.url, cpu.url):
        assert wanted.keys() <= {job["job_id"] for job in httpx.get(f"{door}/jobs", timeout=30).json()}
    for id in wanted:
        job = until(lambda id=id: _over(url, id), f"{id} is over", 300)
        assert job["status"] == "completed", job
    # Who launched a run stands in its folder: the server is the parent of the worker's own parent.
    assert _servers_of(home, url, wanted) == {"gpu": {gpu.process.pid}, "cpu": {cpu.process.pid}}


def _servers_of(home: Path, url: str, wanted: dict[str, str]) -> dict[str, set[int]]:
    from tunesmith.runs.folder import RunFolder

    found: dict[str, set[int]] = {"gpu": set(), "cpu": set()}
    for id, lane in wanted.items():
        run = httpx.get(f"{url}/api/jobs/{id}", timeout=30).json()["run"]
        found[lane].add(RunFolder(home / "runs" / run).header().creator.pid)
    return found


def test_events_pass_as_they_come(behind_nginx: tuple[str, Served, Served]) -> None:
    url, _, _ = behind_nginx
    with httpx.stream("GET", f"{url}/api/events", timeout=60) as stream:
        # The stream is open before the job is there: what comes now was held back by nobody.
        id = _train(url, "streamed", gpu=False)
        seen = next(line for line in stream.iter_lines() if id in line)
    assert seen.startswith("data:")
    assert _over(url, id) is None
