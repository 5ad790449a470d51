from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from fleet import PATIENCE
from jobs_by_hand import STARTED, STEP, bring, say
from tunesmith.api.doors import connection
from tunesmith.api.routes import sockets
from tunesmith.service.context import Service
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import RunState

HERE = "ws://localhost:8000"
EVALUATED = {"number": 1, "step": 4, "epoch": 1.0, "seconds": 1.0, "train_loss": 1.0, "validation_loss": 0.5,
             "best_validation_loss": 0.5, "patience": 0, "perplexity": None, "metrics": {"accuracy": 0.75}}  # fmt: skip


@pytest.fixture(scope="module")
def patiently() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Waits for something that would wait for ever if it were broken."""
    pool = concurrent.futures.ThreadPoolExecutor()
    yield lambda wait: pool.submit(wait).result(PATIENCE)
    pool.shutdown(wait=False)


class Ear:
    """What a socket says."""

    def __init__(self, socket: WebSocketTestSession, patiently: Callable[[Callable[[], Any]], Any]) -> None:
        self.socket, self.patiently = socket, patiently

    def hear(self, type: str) -> dict[str, Any]:
        """Return the next message, which is of this type, without its copy of the fields."""
        message = self.patiently(self.socket.receive_json)
        assert message["type"] == type, message
        data = message.pop("data")
        assert message == {"type": type, **data}
        return dict(data)


@pytest.fixture
def listen(client: TestClient, patiently: Callable[[Callable[[], Any]], Any]) -> Callable[[WebSocketTestSession], Ear]:
    return lambda socket: Ear(socket, patiently)


def test_a_task_is_told_of_from_step_to_end(
    client: TestClient, service: Service, post_job: Callable[..., str], listen: Callable[..., Ear]
) -> None:
    id = job_id_of(post_job())
    with client.websocket_connect(f"{HERE}/ws/training/{id}") as socket:
        ear = listen(socket)
        assert ear.hear("connected") == {"task_id": id, "status": "pending"}
        assert ear.hear("progress")["progress"] == 0
        bring(service, str(id), RunState.RUNNING)
        say(service, str(id), "started", **STARTED)
        say(service, str(id), "step", **STEP)
        say(service, str(id), "evaluated", **EVALUATED)
        assert ear.hear("progress")["total_steps"] == 4
        told = ear.hear("progress")
        assert (told["task_id"], told["progress"], told["step"], told["epoch"], told["loss"]) == (id, 50, 2, 0.5, 1.25)
        assert ear.hear("progress")["metrics"] == {"validation_loss": 0.5, "accuracy": 0.75}


def test_the_end_is_told_with_the_result(
    client: TestClient, service: Service, post_job: Callable[..., str], listen: Callable[..., Ear]
) -> None:
    id = str(job_id_of(post_job()))
    with client.websocket_connect(f"{HERE}/ws/training/{id}") as socket:
        ear = listen(socket)
        ear.hear("connected")
        ear.hear("progress")
        result = {"model": "model-1", "output": "/somewhere", "summary": {"steps": 4, "output": "/somewhere"}}
        bring(service, id, RunState.SUCCEEDED, result=result)
        told = ear.hear("complete")
        assert told["task_id"] == id
        assert (told["result"]["model"], told["result"]["summary"]) == ("model-1", {"steps": 4})


def test_a_failure_is_told_with_its_sentence_also_to_who_comes_late(
    client: TestClient, service: Service, post_job: Callable[..., str], listen: Callable[..., Ear]
) -> None:
    id = str(job_id_of(post_job()))
    bring(service, id, RunState.FAILED, error={"code": "crash", "message": "It broke.", "todo": "Mend it."})
    with client.websocket_connect(f"{HERE}/ws/training/{id}") as socket:
        ear = listen(socket)
        assert ear.hear("connected")["status"] == "failed"
        ear.hear("progress")
        assert ear.hear("error")["error"] == "It broke. Mend it."


def test_all_tasks_are_told_of_until_one_is_subscribed_to(
    client: TestClient, service: Service, post_job: Callable[..., str], listen: Callable[..., Ear]
) -> None:
    first, second = (str(job_id_of(post_job())) for _ in range(2))
    with client.websocket_connect(f"{HERE}/ws/training") as socket:
        ear = listen(socket)
        ear.hear("connected")
        bring(service, first, RunState.PREPARING)
        assert ear.hear("status") == {"task_id": first, "status": "running", "reason": None}
        socket.send_json({"type": "subscribe", "task_id": f"ftjob-{second}"})
        assert ear.hear("subscribed") == {"task_id": second}
        assert ear.hear("progress")["task_id"] == second
        say(service, first, "step", **STEP)
        say(service, second, "step", **STEP)
        assert ear.hear("progress")["task_id"] == second
        bring(service, second, RunState.FAILED, reason="broken", error={"code": "crash", "message": "It broke."})
        assert ear.hear("status") == {"task_id": second, "status": "failed", "reason": "broken"}
        assert ear.hear("error")["error"] == "It broke."


def test_a_ping_is_answered_and_nonsense_too(client: TestClient, listen: Callable[..., Ear]) -> None:
    with client.websocket_connect(f"{HERE}/ws/training") as socket:
        ear = listen(socket)
        ear.hear("connected")
        for ping in ('{"type": "ping"}', "ping"):
            socket.send_text(ping)
            ear.hear("pong")
        for nonsense in ("{", "[]", '{"type": "subscribe"}', '{"type": 3}', "null"):
            socket.send_text(nonsense)
            assert "ping" in ear.hear("error")["error"]
        socket.send_json({"type": "subscribe", "task_id": "../../etc"})
        assert "../../etc" in ear.hear("error")["error"]


def test_bytes_are_heard_as_text_is(client: TestClient, listen: Callable[..., Ear]) -> None:
    with client.websocket_connect(f"{HERE}/ws/training") as socket:
        ear = listen(socket)
        ear.hear("connected")
        for ping in (b'{"type": "ping"}', b"ping"):
            socket.send_bytes(ping)
            ear.hear("pong")
        for nonsense in (b"", b"\xff\xfe\x00", b"[" * 100_000):
            socket.send_bytes(nonsense)
            assert "ping" in ear.hear("error")["error"]


def test_half_a_character_in_an_id_is_refused_in_words(client: TestClient, listen: Callable[..., Ear]) -> None:
    with client.websocket_connect(f"{HERE}/ws/training") as socket:
        ear = listen(socket)
        ear.hear("connected")
        socket.send_text('{"type": "subscribe", "task_id": "\\ud800"}')
        assert ear.hear("error")["task_id"] == "\ud800"


def test_silence_is_filled_with_heartbeats(
    client: TestClient, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT_SECONDS", 0.02)
    with client.websocket_connect(f"{HERE}/ws/training") as socket:
        ear = listen(socket)
        ear.hear("connected")
        for _ in range(3):
            ear.hear("heartbeat")


def test_a_socket_for_no_task_is_closed_with_a_sentence(
    client: TestClient, listen: Callable[..., Ear], patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    with client.websocket_connect(f"{HERE}/ws/training/000000000000") as socket:
        assert "000000000000" in listen(socket).hear("error")["error"]
        with pytest.raises(WebSocketDisconnect) as closed:
            patiently(socket.receive_json)
        assert closed.value.code == sockets.NO_SUCH_TASK


def test_a_page_of_another_origin_hears_nothing(client: TestClient) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"{HERE}/ws/training", headers=headers),
    ):
        pass
    assert refused.value.status_code == 403
