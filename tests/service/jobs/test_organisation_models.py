"""Which of its models answers for an organisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs_by_hand import bring
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.organisation_models import LATEST, answering_model, choose_model
from tunesmith.spec.errors import Forbidden, NotFound
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored_models

FACTS: dict[str, Any] = {
    "kind": "adapter", "base": "someone/some-model", "base_fingerprint": None, "parent": None, "recipe": {},
    "data": {}, "versions": {}, "metrics": {}, "bytes": 1, "run": None, "created_at": 1.0,
}  # fmt: skip


def trained(service: Service, folder: Path, org: str, number: int) -> str:
    """Have a training of an organisation succeed; return its id."""
    data = folder / "rows.jsonl"
    data.write_text('{"text": "Hello"}\n')
    spec = JobSpec(
        model=ModelRef(source="someone/some-model"),
        datasets=[DatasetRef(uri=str(data))],
        output=Output(dir=str(folder / f"out-{org}-{number}")),
    )
    id = queue.submit(service, queue.Submission(spec, door="organisation", org=org), OPERATOR).id
    bring(service, id, RunState.SUCCEEDED)
    model = stored_models.Model(
        id=f"model-{org}-{number}", org=org, name=f"m{number}", path=str(spec.output.dir), job=id, **FACTS
    )
    with service.database.write() as connection:
        stored_models.add(connection, model)
    return id


def member(service: Service, org: str, role: Role) -> Principal:
    key, _ = keys.create(service, OPERATOR, org=org, role=role)
    return Principal(org=org, role=role, key=key.id)


def test_the_newest_answers_until_another_is_chosen(service: Service, tmp_path: Path) -> None:
    first, second = (trained(service, tmp_path, "acme", number) for number in (1, 2))
    assert answering_model(service, OPERATOR, "acme").id == second
    assert choose_model(service, OPERATOR, "acme", f"train_{first}").id == first
    assert answering_model(service, OPERATOR, "acme").id == first
    third = trained(service, tmp_path, "acme", 3)
    assert answering_model(service, OPERATOR, "acme").id == first
    assert choose_model(service, OPERATOR, "acme", LATEST).id == third
    assert answering_model(service, OPERATOR, "acme").id == third


def test_a_chosen_model_that_is_deleted_makes_way_for_the_newest(service: Service, tmp_path: Path) -> None:
    first, second = (trained(service, tmp_path, "acme", number) for number in (1, 2))
    choose_model(service, OPERATOR, "acme", first)
    with service.database.write() as connection:
        stored_models.remove(connection, "model-acme-1")
    assert answering_model(service, OPERATOR, "acme").id == second


def test_an_organisation_chooses_among_its_own(service: Service, tmp_path: Path) -> None:
    organisations.create(service, OPERATOR, "other")
    ours = trained(service, tmp_path, "acme", 1)
    viewer, other = member(service, "acme", Role.VIEWER), member(service, "other", Role.ADMIN)
    with pytest.raises(Forbidden):
        choose_model(service, viewer, None, ours)
    with pytest.raises(NotFound):
        choose_model(service, other, None, ours)
    with pytest.raises(Forbidden):
        answering_model(service, other, "acme")
    with pytest.raises(NotFound, match="other"):
        answering_model(service, other, None)
    assert answering_model(service, viewer, None).id == ours
