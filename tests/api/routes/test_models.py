from __future__ import annotations

import shutil
from pathlib import Path

from starlette.testclient import TestClient

from tunesmith.service.accounts import keys
from tunesmith.service.accounts.organisations import ensure
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.models import catalogue
from tunesmith.store import models as stored


def made(service: Service, id: str, parent: str | None = None, org: str = "default") -> stored.Model:
    with service.database.write() as connection:
        ensure(connection, org, service, OPERATOR)
        model = stored.Model(
            id=id, org=org, name=f"named {id}", kind="full", path="/nowhere/else", job="0123456789ab", run=None,
            base="tiny", base_fingerprint=None, parent=parent, recipe={"recipe": {}}, data={"sets": []},
            versions={"torch": "2"}, metrics={"train_loss": 1.0}, bytes=5, created_at=float(id[-1]),
        )  # fmt: skip
        stored.add(connection, model)
    return model


def test_models_have_a_list_and_a_lineage(client: TestClient, service: Service, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, service.settings.models_dir / "tiny")
    made(service, "model-1")
    made(service, "model-2", parent="model-1")
    made(service, "model-3", parent="model-2")
    found = client.get("/api/models").json()
    assert [model["id"] for model in found["models"]] == ["model-3", "model-2", "model-1"]
    assert [model["name"] for model in found["pulled"]] == ["tiny"]
    assert found["models"][0]["source"] == "model:model-3" and found["models"][0]["job"] == "job-0123456789ab"
    middle = client.get("/api/models/named model-2").json()
    assert [model["id"] for model in middle["ancestors"]] == ["model-1"]
    assert [model["id"] for model in middle["children"]] == ["model-3"]
    assert middle["versions"] == {"torch": "2"} and middle["metrics"] == {"train_loss": 1.0}
    assert client.get("/api/models", params={"job": "train_0123456789ab"}).json()["models"] == found["models"]
    assert client.get("/api/models", params={"job": "job-000000000000"}).json()["models"] == []


def test_a_lineage_ends_where_another_organisation_begins(client: TestClient, service: Service) -> None:
    for number, org in enumerate(("acme", "other", "acme"), start=1):
        made(service, f"model-{number}", f"model-{number - 1}" if number > 1 else None, org)
    _, secret = keys.create(service, OPERATOR, org="other", role=Role.ADMIN)
    found = client.get("/api/models/model-2", headers={"Authorization": f"Bearer {secret}"})
    assert found.status_code == 200 and found.json()["ancestors"] == [] and found.json()["children"] == []
    whole = catalogue.get_model(service, OPERATOR, "model-2")
    assert len(whole.ancestors) == len(whole.children) == 1


def test_a_model_is_deleted_once(client: TestClient, service: Service) -> None:
    made(service, "model-1")
    assert client.delete("/api/models/model-1").json()["id"] == "model-1"
    assert client.delete("/api/models/model-1").status_code == 404
    assert client.get("/api/models").json()["models"] == []
