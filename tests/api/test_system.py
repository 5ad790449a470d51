from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

from jobs_by_hand import bring
from tunesmith.service.context import Service
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import RunState


def test_the_machine_is_shown(client: TestClient, service: Service, post_job: Callable[..., str]) -> None:
    bring(service, post_job(), RunState.RUNNING)
    shown = client.get("/api/system/status").json()
    assert shown["active_tasks"] == 1 and shown["loaded_models"] == []
    assert 0 < shown["memory_percent"] < 100 and 0 <= shown["cpu_percent"] <= 100
    assert shown["gpu_available"] is (shown["gpu_name"] is not None)


def test_the_server_says_that_it_answers(client: TestClient) -> None:
    assert client.get("/api/system/health").json() == {"status": "healthy"}
    assert client.post("/api/system/clear-models").json()["cleared"] == 0


def test_a_task_is_cancelled_first_and_then_removed(client: TestClient, post_job: Callable[..., str]) -> None:
    id = job_id_of(post_job())
    assert [task["task_id"] for task in client.get("/api/system/tasks").json()] == [id]
    assert "stopped" in client.delete(f"/api/system/tasks/{id}").json()["message"]
    assert client.get(f"/api/system/tasks/{id}").json()["status"] == "cancelled"
    assert "removed" in client.delete(f"/api/system/tasks/{id}").json()["message"]
    assert client.get("/api/system/tasks").json() == []
    gone = client.delete(f"/api/system/tasks/{id}")
    assert gone.status_code == 404 and gone.json()["success"] is False
