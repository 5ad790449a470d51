"""The numbers that monitoring reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from bare_models import make_base
from scripted_server import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import Service
from tunesmith.service.serving.pool import ServingPool
from tunesmith.service.serving.targets import Target


def numbers(client: TestClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {sample.name: sample.value for family in families for sample in family.samples if "_serving_" in sample.name}


def test_loaded_models_are_counted_and_measured(
    client: TestClient, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(numbers(client).values()) == {0.0}
    pool = ServingPool(service.settings, device="cpu", precision="fp32", executor=LocalExecutor(WORKER))
    monkeypatch.setitem(vars(service), "serving", pool)
    pool.load(Target("one", None, make_base(tmp_path / "one")))
    found = numbers(client)
    assert (found["tunesmith_serving_processes"], found["tunesmith_serving_started_total"]) == (1, 1)
    assert found["tunesmith_serving_memory_bytes"] > 10_000_000
    pool.close()
