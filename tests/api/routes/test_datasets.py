from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from starlette.testclient import TestClient

ROWS = "".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(20)).encode()


def uploaded(client: TestClient, content: bytes = ROWS, file: str = "rows.jsonl") -> dict[str, object]:
    answer = client.post("/api/datasets/upload", files={"file": (file, content)}, data={"name": "mine"})
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_form_becomes_a_data_set_that_is_checked_and_shown(client: TestClient) -> None:
    made = uploaded(client)
    assert (made["name"], made["type"], made["bytes"], made["rows"]) == ("mine", "file", len(ROWS), None)
    report = client.post(f"/api/datasets/{made['id']}/check", json={}).json()
    assert report["rows"] == 20 and report["clean"] is True and report["lengths"]["unit"] == "characters"
    shown = client.post(f"/api/datasets/{made['id']}/preview", json={"rows": 2}).json()
    assert [row["content"]["text"] for row in shown["rows"]] == ["row 0", "row 1"]
    assert client.get(f"/api/datasets/{made['id']}").json()["rows"] == 20
    assert client.delete(f"/api/datasets/{made['id']}").status_code == 200
    assert client.get(f"/api/datasets/{made['id']}").status_code == 404


def test_pages_follow_each_other(client: TestClient) -> None:
    made = [uploaded(client)["id"] for _ in range(3)]
    first = client.get("/api/datasets", params={"limit": 2}).json()
    second = client.get("/api/datasets", params={"limit": 2, "after": first["next"]}).json()
    ids = [each["id"] for each in (*first["datasets"], *second["datasets"])]
    assert sorted(ids) == sorted(made) and second["next"] is None


def test_a_job_names_a_data_set_by_its_id(client: TestClient, tmp_path: Path) -> None:
    made = uploaded(client)
    spec = {"model": {"source": "somebody/model"}, "datasets": [{"uri": made["uri"]}], "output": {"dir": str(tmp_path)}}
    assert client.post("/api/jobs", json={"spec": spec}).status_code == 201
    answer = client.delete(f"/api/datasets/{made['id']}")
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "conflict"


def test_what_does_harm_is_refused_with_a_sentence(client: TestClient) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../x.jsonl", ROWS)
    answer = client.post("/api/datasets/upload", files={"file": ("a.zip", stream.getvalue())})
    assert answer.status_code == 422 and "points out of the archive" in answer.json()["error"]["message"]
    assert client.get("/api/datasets").json()["datasets"] == []


def test_data_is_registered_where_it_lies(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ROWS)
    answer = client.post("/api/datasets", json={"name": "here", "uri": str(tmp_path / "a.jsonl")})
    assert answer.status_code == 201
    client.delete(f"/api/datasets/{answer.json()['id']}")
    assert (tmp_path / "a.jsonl").exists()
    for wrong in ({"uri": str(tmp_path / "b.jsonl")}, {"uri": "squad"}, {"uri": "x\0"}, {"uri": ""}, {"colour": "red"}):
        body = {"name": "x", "uri": str(tmp_path / "a.jsonl"), **wrong}
        assert client.post("/api/datasets", json=body).status_code == 422
