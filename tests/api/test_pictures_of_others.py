"""Rows that name pictures: whatever an organisation writes into them, it reads only what came with its own data."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from data.drawn import as_bytes, draw_into, drawn
from tunesmith.api.app import create_app
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.job import DatasetRef

HERE = "http://localhost:8000"
MODEL = "someone/some-model"
JSON = {"Content-Type": "application/json"}


class Acme:
    """An organisation that calls with its key, and whatever it could try to read that is not its own."""

    def __init__(self, http: TestClient, service: Service, secret: str, outside: Path) -> None:
        self.http, self.service, self.headers = http, service, {"X-API-Key": secret}
        self.own, self.theirs = (organisation_folder(service.settings, org) for org in ("acme", "other"))
        draw_into(self.theirs / "data" / "datasets" / "dataset-x", ["1.png"])
        draw_into(outside, ["1.png"])
        self.aims = [
            "/etc/passwd",
            str(self.theirs / "data/datasets/dataset-x/1.png"),
            "../../../../other/data/datasets/dataset-x/1.png",
            "../../../other/data/datasets/dataset-x/1.png",
            str(outside / "1.png"),
            "../secret.png",
            "~/1.png",
            "a\0b.png",
        ]

    def post(self, path: str, **rest: Any) -> Any:
        answer = self.http.post(path, headers=self.headers, **rest)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def rows(self) -> bytes:
        return b"".join(json.dumps({"image": aim, "label": "x"}).encode() + b"\n" for aim in self.aims)

    def limits(self, id: str) -> DatasetRef:
        """The data set of a job as it is stored."""
        job = queue.get(self.service, id, OPERATOR)
        assert job.spec is not None
        return job.spec.datasets[0]


@pytest.fixture
def acme(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    monkeypatch.chdir(tmp_path)
    for org in ("acme", "other"):
        organisations.create(service, OPERATOR, org)
    secret = keys.create(service, OPERATOR, org="acme", role=Role.ADMIN)[1]
    with TestClient(create_app(service), base_url=HERE) as http:
        yield Acme(http, service, secret, tmp_path / "outside")


def archive(rows: bytes) -> bytes:
    """A ZIP file with a picture and rows that name others."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("rows.jsonl", rows + json.dumps({"image": "own.png", "label": "x"}).encode() + b"\n")
        file.writestr("own.png", as_bytes(drawn()))
    return content.getvalue()


def test_rows_of_an_upload_name_only_what_came_with_them(acme: Acme) -> None:
    (acme.own / "data" / "datasets").mkdir(parents=True, exist_ok=True)
    (acme.own / "data" / "datasets" / "secret.png").write_bytes(as_bytes(drawn()))  # Own, but no part of the set.
    for files in ({"file": ("rows.jsonl", acme.rows())}, {"file": ("rows.zip", archive(acme.rows()))}):
        id = acme.post("/api/datasets/upload", files=files)["id"]
        whole = "zip" in files["file"][0]
        report = acme.post(f"/api/datasets/{id}/check", json={})
        assert (report["rows"], report["media"]) == ((1, {"pictures": 1}) if whole else (0, {}))
        assert set(report["faults"]["by_code"]) <= {"media_outside", "media_missing"}
        assert report["faults"]["by_code"]["media_outside"] >= 6 and report["faults"]["count"] == len(acme.aims)
        shown = acme.http.post(f"/api/datasets/{id}/preview", headers=acme.headers, json={"rows": 5})
        if whole:
            [row] = shown.json()["rows"]
            assert row["files"] == [{"name": "own.png", "kind": "picture", "width": 24, "height": 20}]
        else:
            assert shown.status_code == 422


def test_a_row_of_several_pictures_names_only_what_came_with_it(acme: Acme) -> None:
    answer = {"role": "assistant", "content": "The first."}
    rows: list[dict[str, Any]] = []
    for aim in (acme.aims[0], acme.aims[1], acme.aims[2], acme.aims[4]):
        rows.append({"images": ["own.png", aim], "messages": [{"role": "user", "content": "Which?"}, answer]})
        for part in ({"type": "image", "image": aim}, {"type": "image_url", "image_url": {"url": f"file://{aim}"}}):
            parts = [{"type": "image", "image": "own.png"}, part, {"type": "text", "text": "Which?"}]
            rows.append({"messages": [{"role": "user", "content": parts}, answer]})
    content = archive(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    id = acme.post("/api/datasets/upload", files={"file": ("rows.zip", content)})["id"]
    report = acme.post(f"/api/datasets/{id}/check", json={})
    assert (report["rows"], report["media"]) == (1, {"pictures": 1})
    assert report["faults"]["by_code"] == {"media_outside": len(rows)}


def test_a_file_to_train_on_says_at_once_that_nothing_of_it_can_be_read(acme: Acme) -> None:
    form = {"files": {"file": ("rows.jsonl", acme.rows())}, "data": {"purpose": "fine-tune"}}
    file = acme.post("/v1/files", **form)
    assert file["status"] == "error" and "lies outside of the data set's folder" in file["status_details"]
    assert str(acme.service.settings.home) not in file["status_details"].replace(str(acme.theirs), "")


def test_every_way_in_limits_a_job_to_its_own_pictures(acme: Acme) -> None:
    zipped = archive(b"")
    uploaded = acme.post("/api/training/datasets/upload", files={"file": ("set.zip", zipped)})
    assert uploaded["samples"] == 1
    file = acme.post("/v1/files", files={"file": ("set.zip", zipped)}, data={"purpose": "fine-tune"})
    assert file["status"] == "processed"
    dataset, tuning = uploaded["id"], file["id"]
    sets, files = acme.own / "data" / "datasets", acme.own / "data" / "files"
    spec = {"model": {"source": MODEL}, "datasets": [{"uri": f"dataset:{dataset}", "within": ["/"]}]}
    ids = {
        acme.post("/api/jobs", json={"spec": spec})["id"]: sets / dataset,
        acme.post("/train", json={"category": "Vision", "dataset_path": dataset})["job_id"]: sets / dataset,
        acme.post(
            "/api/training/start",
            json={"model_type": "image_classifier", "base_model": "resnet50", "dataset_path": dataset},
        )["task_id"]: sets / dataset,
        acme.post(
            "/v1/fine_tuning/jobs",
            json={"model": MODEL, "training_file": tuning, "method": {"type": "image_classification"}},
        )["id"]: files / tuning,
    }
    for id, folder in ids.items():
        assert acme.limits(id).within == (str(folder),), id
    form = acme.post("/api/training/image-classifier", files={"dataset": ("set.zip", zipped)}, data={"epochs": "1"})
    limits = acme.limits(form["task_id"])
    assert limits.within == (limits.uri,) and Path(limits.uri).parent == sets


def test_an_upload_piece_by_piece_is_limited_too(acme: Acme) -> None:
    zipped = archive(acme.rows())
    said = ",".join(
        f"{key} {base64.b64encode(value).decode()}"
        for key, value in (("filename", b"set.zip"), ("purpose", b"dataset"))
    )
    tus = {"Tus-Resumable": "1.0.0", **acme.headers}
    made = acme.http.post(
        "/api/uploads", headers={**tus, "Upload-Length": str(len(zipped)), "Upload-Metadata": said}
    )  # fmt: skip
    sent = {**tus, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert acme.http.patch(made.headers["location"], content=zipped, headers=sent).status_code == 204
    [dataset] = acme.http.get("/api/datasets", headers=acme.headers).json()["datasets"]
    report = acme.post(f"/api/datasets/{dataset['id']}/check", json={})
    assert (report["rows"], report["faults"]["count"]) == (1, len(acme.aims))


def test_rows_in_an_organisations_folder_name_what_lies_there_and_no_link_out(acme: Acme, tmp_path: Path) -> None:
    folder = draw_into(acme.own / "data" / "mine", ["a.png", "b.png"])
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps({"image": name, "label": name[0]}) + "\n" for name in ("a.png", "../mine/b.png", *acme.aims))
    )
    body = {"category": "Vision", "dataset_path": "data/mine/rows.jsonl"}
    limits = acme.limits(acme.post("/train", json=body)["job_id"])
    assert limits.within == (str(acme.own),)
    registered = acme.post("/api/datasets", json={"name": "mine", "uri": "data/mine/rows.jsonl"})["id"]
    assert acme.post(f"/api/datasets/{registered}/check", json={})["rows"] == 2
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to(tmp_path / "outside" / "1.png")
    report = acme.post(f"/api/datasets/{registered}/check", json={})
    assert report["rows"] == 1 and report["faults"]["first"][0]["code"] == "media_outside"
    refused = acme.http.post("/train", headers=acme.headers, json={**body, "dataset_path": "data/mine"})
    assert refused.status_code in (400, 403, 422) and "outside" in refused.text
