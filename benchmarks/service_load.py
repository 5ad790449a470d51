"""How quickly the service answers under a full queue, and what a job costs beyond its own training.

    .venv/bin/python benchmarks/service_load.py [--jobs 10000] [--clients 100] [--database-url URL] [--model FOLDER]

Starts `tunesmith serve` in an empty home, and prints one line of JSON for each figure, milliseconds where nothing else
is said: posting and listing over HTTP with all jobs queued, claiming (the transaction of the supervisor, on the same
database), the time from a post to the first step of a real tiny training less what its worker took by itself, and how
many events listening clients missed. Ends with exit status 1 if a figure is above what we require of ourselves.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LIMITS = {"post": 50.0, "list": 100.0, "claim": 20.0, "overhead": 500.0, "missed": 0}
"""95th percentiles in milliseconds, and events."""


def main() -> int:
    """Measure and compare; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data, model = _chat(root / "chat.jsonl"), options.model or _tiny(root / "models" / "tiny")
        body = {"spec": {"model": {"source": str(model)}, "datasets": [{"uri": str(data)}]}}
        found = dict(_queue(root / "queue", options, body))
        found |= dict(_running(root / "running", options, body))
    failed = [name for name, limit in LIMITS.items() if found[name] > limit]
    print(json.dumps({"failed": failed}))
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--posts-at-once", type=int, default=2)
    parser.add_argument("--database-url", help="PostgreSQL instead of SQLite; the database must be empty")
    parser.add_argument("--model", type=Path)
    return parser.parse_args()


def _queue(home: Path, options: argparse.Namespace, body: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Fill the queue while nobody claims; then list, then claim."""
    with _server(home, "api", options.database_url) as url:
        local = threading.local()

        def send(number: int) -> float:
            client = getattr(local, "client", None)
            if client is None:  # Making one takes longer than a request.
                client = local.client = httpx.Client(timeout=60)
            begin = time.perf_counter()
            answer = client.post(f"{url}/api/jobs", json=body)
            assert answer.status_code == 201, answer.text
            return 1000 * (time.perf_counter() - begin)

        with ThreadPoolExecutor(options.posts_at_once) as pool:
            begin = time.perf_counter()
            posts = list(pool.map(send, range(options.jobs)))
            rate = options.jobs / (time.perf_counter() - begin)
        yield "post", _told("post", posts, per_second=round(rate), last_thousand=_p95(posts[-1000:]))
        with httpx.Client(timeout=60) as client:
            for path in ("/jobs", "/v1/fine_tuning/jobs", "/api/jobs"):
                lists = [_timed(client, url + path) for _ in range(100)]
                result = _told("list", lists, path=path)
    yield "list", result
    yield "claim", _told("claim", list(_claims(home, options.database_url)))


def _claims(home: Path, database_url: str | None) -> Iterator[float]:
    """Claim and give back, again and again, as a supervisor does."""
    from tunesmith.executors.local import LocalExecutor
    from tunesmith.service.context import open_service
    from tunesmith.service.supervisor.supervisor import Supervisor
    from tunesmith.settings import Settings

    service = open_service(Settings(home=home, database_url=database_url, cpu_slots=200))
    supervisor = Supervisor(service, LocalExecutor())
    supervisor.register()
    for _ in range(200):
        begin = time.perf_counter()
        claimed = supervisor.claim_one()
        yield 1000 * (time.perf_counter() - begin)
        assert claimed is not None
    service.database.close()


def _running(home: Path, options: argparse.Namespace, body: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Run jobs one after another under listening clients."""
    url_of_events: dict[str, Any] = {}
    with _server(home, "all", None) as url:
        heard: list[set[int]] = [set() for _ in range(options.clients)]
        over = threading.Event()
        listeners = [threading.Thread(target=_listen, args=(url, ids, over), daemon=True) for ids in heard]
        for listener in listeners:
            listener.start()
        overheads = []
        for number in range(30):
            body["spec"]["output"] = {"dir": str(home / f"out-{number}")}
            overheads.append(_overhead(url, home, body))
        stored = {event["id"] for event in _stored(url)}
        deadline = time.monotonic() + 20
        while any(stored - ids for ids in heard) and time.monotonic() < deadline:
            time.sleep(0.1)
        over.set()
        missed = sum(len(stored - ids) for ids in heard)
    url_of_events["stored"] = len(stored)
    yield "overhead", _told("overhead", overheads)
    print(json.dumps({"figure": "missed", "events": len(stored), "clients": options.clients, "missed": missed}))
    yield "missed", missed


def _overhead(url: str, home: Path, body: dict[str, Any]) -> float:
    """Return the milliseconds from a post to the first step, less the worker's own from its start to that step."""
    from tunesmith.runs.event_log import read

    posted = time.time()
    job = httpx.post(f"{url}/api/jobs", json=body, timeout=60).json()
    run: Any = None
    while True:
        now = httpx.get(f"{url}/api/jobs/{job['id']}", timeout=60).json()
        run = run or now.get("run")
        if now["state"] in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(0.05)
    assert now["state"] == "succeeded", now
    folder = home / "runs" / now["run"]
    events = read(folder / "events.jsonl")[0]
    step = next(event.time for event in events if event.body.kind == "step")
    started = (folder / "handle.json").stat().st_mtime
    return 1000 * ((step - posted) - (step - started))


def _listen(url: str, ids: set[int], over: threading.Event) -> None:
    """Read every event, from the first, and come back where the line breaks."""
    last = 0
    while not over.is_set():
        with suppress(httpx.HTTPError):
            headers = {"Last-Event-ID": str(last)}
            with httpx.stream("GET", f"{url}/api/events", headers=headers, timeout=30) as answer:
                for line in answer.iter_lines():
                    if line.startswith("id:"):
                        last = int(line[3:])
                        ids.add(last)
                    if over.is_set():
                        return


def _stored(url: str) -> Iterator[dict[str, Any]]:
    """Yield every event of every job, as the pages of the jobs have them."""
    for job in httpx.get(f"{url}/api/jobs", timeout=60).json()["jobs"]:
        after, asked = 0, f"{url}/api/jobs/{job['id']}/events"
        while page := httpx.get(asked, params={"after": after}, timeout=60).json()["events"]:
            yield from page
            after = page[-1]["id"]


@contextmanager
def _server(home: Path, role: str, database_url: str | None) -> Iterator[str]:
    home.mkdir(parents=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [str(Path(sys.executable).with_name("tunesmith")), "--home", str(home), "serve"]
    flags = ["--port", str(port), "--role", role, *(["--database-url", database_url] if database_url else [])]
    env = {**os.environ, "TUNESMITH_RATE_LIMIT": "0"}
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env=env, cwd=home)
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None, (home / "server.log").read_text()
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/healthz")
                break
            time.sleep(0.02)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _timed(client: httpx.Client, url: str) -> float:
    begin = time.perf_counter()
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return 1000 * (time.perf_counter() - begin)


def _told(figure: str, values: Sequence[float], **more: Any) -> float:
    """Print a figure and return its 95th percentile."""
    line = {
        "figure": figure,
        "count": len(values),
        "median_ms": round(statistics.median(values), 2),
        "p95_ms": _p95(values),
    }
    print(json.dumps({**line, "max_ms": round(max(values), 2), **more}), flush=True)
    return _p95(values)


def _p95(values: Sequence[float]) -> float:
    return round(sorted(values)[min(len(values) - 1, int(0.95 * len(values)))], 2)


def _chat(path: Path) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"What is {i}?"}, {"role": "assistant", "content": f"It is {i}."}]}
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _tiny(folder: Path) -> Path:
    from tiny import make_tiny_model

    return make_tiny_model(folder)


if __name__ == "__main__":
    sys.exit(main())
