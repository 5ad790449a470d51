from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.runs import publish
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.models import catalogue, registry
from tunesmith.spec.errors import Conflict, Forbidden, NotFound
from tunesmith.spec.events import Finished, Prepared, Tested
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored
from tunesmith.store import runs as stored_runs

pytestmark = pytest.mark.usefixtures("two_organisations")

ACME = Principal(org="acme", role=Role.MEMBER)
OTHER = Principal(org="other", role=Role.MEMBER)
SPEC = JobSpec(name="faq", model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri="somebody/rows")])


def finished(service: Service, output: Path, *, model: str = "tiny") -> tuple[queue.Job, RunFolder]:
    """A job whose run has trained and published, as its folder tells it."""
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), ACME)
    plan = sample_plan(output)
    recipe = plan.spec.recipe.model_copy(update={"method": "lora"})
    ref = ModelRef.model_validate({"source": model, "continue": "weights" if model.startswith("run:") else None})
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe, "model": ref})})
    run = RunFolder.create(service.settings.home, kind="train", name="faq", plan=plan, output=output)
    (run.artifacts_dir / "adapter_model.safetensors").write_bytes(b"weights")
    (run.artifacts_dir / "logs").symlink_to(run.logs_dir)
    log = EventWriter(run.events)
    log.append(Prepared(rows=40, faults=0, ledger={}, cached=False, fingerprint="f" * 64))
    log.append(Tested(rows=4, loss=1.5))
    publish.publish(run.artifacts_dir, output, run)
    log.append(Finished(summary={"steps": 3, "train_loss": 2.0, "run": run.id}, artifacts="artifacts"))
    log.close()
    return job, run


def added(service: Service, job: queue.Job, run: RunFolder) -> registry.Model:
    new = registry.gather(job, run)
    with service.database.write() as connection:
        return registry.add(connection, new, service.database.now(connection))


@pytest.fixture
def output(service: Service) -> Path:
    return organisation_folder(service.settings, "acme") / "saved_models" / "faq"


def test_a_model_knows_what_it_was_made_of(service: Service, output: Path) -> None:
    job, run = finished(service, output)
    model = added(service, job, run)
    assert (model.org, model.name, model.kind, model.path) == ("acme", "faq", "adapter", str(output))
    assert (model.job, model.run, model.base, model.base_fingerprint) == (job.id, run.id, "tiny", "0" * 64)
    assert model.data["fingerprint"] == "f" * 64 and model.data["sets"][0]["uri"] == "chat.jsonl"
    assert model.metrics == {"steps": 3, "train_loss": 2.0, "test_loss": 1.5, "test_metrics": {}}
    assert model.recipe["recipe"]["method"] == "lora" and model.versions["tunesmith"]
    assert model.bytes == len(b"weights") and model.parent is None
    with service.database.read() as connection:
        assert stored.get(connection, model.id) == model


def test_a_run_is_registered_once(service: Service, output: Path) -> None:
    job, run = finished(service, output)
    assert added(service, job, run) == added(service, job, run)
    assert len(catalogue.list_models(service, ACME)) == 1


def test_a_later_result_takes_the_folder_and_not_the_model(service: Service, output: Path) -> None:
    first_job, first_run = finished(service, output)
    first = added(service, first_job, first_run)
    second_job, second_run = finished(service, output, model=f"run:{first_run.id}")
    second = added(service, second_job, second_run)
    assert (second.name, second.path, second.parent) == ("faq-2", str(output), first.id)
    found = catalogue.get_model(service, ACME, first.id)
    assert found.model.path == str(first_run.artifacts_dir) and found.children == [second]
    assert [model.id for model in catalogue.get_model(service, ACME, "faq-2").ancestors] == [first.id]


def test_a_result_that_was_published_over_is_found_in_its_run(service: Service, output: Path) -> None:
    job, run = finished(service, output)
    finished(service, output)
    assert registry.gather(job, run).path == str(run.artifacts_dir)


def test_nobody_else_sees_a_model(service: Service, output: Path) -> None:
    model = added(service, *finished(service, output))
    assert catalogue.list_models(service, OTHER) == []
    for ask in (catalogue.get_model, catalogue.delete_model):
        with pytest.raises(NotFound):
            ask(service, OTHER, model.id)
    with pytest.raises(Forbidden):
        catalogue.delete_model(service, Principal(org="acme", role=Role.VIEWER), model.id)
    assert catalogue.get_model(service, OPERATOR, model.id).model == model


def test_deleting_removes_what_the_run_made_and_nothing_else(service: Service, output: Path) -> None:
    job, run = finished(service, output)
    model = added(service, job, run)
    queue.cancel(service, job.id, ACME)
    (output / "notes.txt").write_text("mine")
    catalogue.delete_model(service, ACME, model.id)
    assert [path.name for path in output.iterdir()] == ["notes.txt"]
    assert not run.artifacts_dir.exists() and run.exists()
    assert catalogue.list_models(service, ACME) == []


def test_a_result_outside_of_the_organisation_stays_where_it_is(service: Service, tmp_path: Path) -> None:
    job, run = finished(service, tmp_path / "elsewhere")
    queue.cancel(service, job.id, ACME)
    catalogue.delete_model(service, ACME, added(service, job, run).id)
    assert (tmp_path / "elsewhere" / "adapter_model.safetensors").exists()


def test_a_model_that_a_job_continues_stays(service: Service, output: Path) -> None:
    job, run = finished(service, output)
    model = added(service, job, run)
    queue.cancel(service, job.id, ACME)
    with service.database.write() as connection:
        now = service.database.now(connection)
        stored_runs.add(connection, _row(run, job, now))
    user = queue.submit(
        service,
        queue.Submission(spec=SPEC.model_copy(update={"model": ModelRef(source=f"model:{model.id}")}), door="api"),
        ACME,
    )
    assert user.spec.model.source == f"run:{run.id}"
    with pytest.raises(Conflict, match=user.id):
        catalogue.delete_model(service, ACME, model.id)
    queue.cancel(service, user.id, ACME)
    catalogue.delete_model(service, ACME, model.id)


def _row(run: RunFolder, job: queue.Job, now: float) -> stored_runs.StoredRun:
    return stored_runs.StoredRun(
        id=run.id, job=job.id, org=job.org, kind="train", attempt=1, machine="here", device="cpu", slots=1,
        state=RunState.SUCCEEDED, reason=None, handle=None, exit=0, step=3, event_offset=0, event_seq=0,
        created_at=now, launched_at=now, heartbeat_at=now, ended_at=now, peak_memory=None,
    )  # fmt: skip


def test_pulled_models_are_the_operators(service: Service, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, service.settings.models_dir / "tiny")
    (service.settings.models_dir / "half").mkdir()
    assert [model.name for model in catalogue.pulled_models(service, OPERATOR)] == ["tiny"]
    assert catalogue.pulled_models(service, ACME) == []
