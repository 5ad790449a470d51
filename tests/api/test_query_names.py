"""A slip in the name of a query's parameter is told, and does not list everything."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from tunesmith.api.query_names import OPEN
from tunesmith.api.routes import routers


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/jobs?stat=running", "state"), ("/jobs?limits=3", "limit"), ("/v1/files?purposes=x", "purpose"),
        ("/api/v1/training/jobs/default?limt=1", "limit"), ("/api/training/tasks?befor=x", "before"),
    ],
)  # fmt: skip
def test_a_slip_is_refused_with_the_name_that_was_meant(client: TestClient, path: str, meant: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    slip = path.rpartition("&")[2].rpartition("?")[2].partition("=")[0]
    assert f"{slip}: there is no such parameter. Did you mean '{meant}'?" in answer.text


def test_filters_take_a_key_in_brackets_and_nothing_else_does(client: TestClient) -> None:
    assert client.get("/v1/fine_tuning/jobs?metadata[run]=a&limit=2").status_code == 200
    refused = client.get("/v1/fine_tuning/jobs?metadat[run]=a")
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "metadat[run]")
    assert client.get("/v1/files?metadata[run]=a").status_code == 422
    for slip in ("metadata[]=a", "metadata[run=a", "metadata[run]x=a", "metadata=a"):
        assert client.get(f"/v1/fine_tuning/jobs?{slip}").status_code == 422, slip


@pytest.mark.parametrize("path", ["/healthz?verbose", "/readyz?probe=1", "/metrics?name[]=up", "/docs?theme=dark"])
def test_what_probes_and_people_open_takes_what_proxies_add(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_form_and_a_change_are_refused_too(client: TestClient) -> None:
    for answer in (
        client.post("/api/predict?modle=x", files={"file": b"x"}, data={"model": "x"}),
        client.post("/train?dry=1", json={}),
        client.delete("/v1/files/file-x?force=1"),
    ):
        assert (answer.status_code, "there is no such parameter" in answer.text) == (422, True), answer.text


def test_no_route_takes_a_name_that_it_does_not_have(client: TestClient) -> None:
    routes = [route for router in routers() for route in router.routes if isinstance(route, APIRoute)]
    read = (route for route in routes if route.methods == {"GET"} and route.path not in OPEN)
    plain = [route for route in read if "{" not in route.path and route.include_in_schema]
    assert len(plain) > 20
    for route in plain:
        answer = client.get(route.path, params={"nobody_reads_this": "1"})
        assert answer.status_code == 422, route.path
        assert "nobody_reads_this: there is no such parameter." in answer.text
