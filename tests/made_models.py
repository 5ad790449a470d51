"""Models that jobs of two organisations made, as rows and files, without any training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bare_models import make_adapter, make_base
from sample_plan import MODEL, sample_plan
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.ids import new_id
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.recipe import Method
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import models as stored
from tunesmith.store import runs as stored_runs
from tunesmith.store.models import Model
from tunesmith.store.runs import StoredRun

Files = Callable[[Path], object]
MEMBERS = {org: Principal(org=org, role=Role.MEMBER) for org in ("acme", "other")}
SPEC = JobSpec(name="faq", model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri="somebody/rows")])


class Made:
    """A job and its run, as the supervisor leaves them."""

    def __init__(self, service: Service, org: str, base: Path, *, method: Method = Method.LORA, name: str = ""):
        self.service, self.org = service, org
        submission = queue.Submission(spec=SPEC, door="api", extra={"model_name": name} if name else {})
        self.job = queue.submit(service, submission, MEMBERS[org])
        plan = sample_plan(service.settings.home / "out", model=MODEL.model_copy(update={"path": str(base)}))
        recipe = plan.spec.recipe.model_copy(update={"method": method})
        plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe})})
        self.run = RunFolder.create(service.settings.home, kind="train", name="faq", plan=plan, job=self.job.id)
        known: dict[str, Any] = dict.fromkeys(StoredRun.__dataclass_fields__)
        known |= {"id": self.run.id, "job": self.job.id, "org": org, "kind": "train", "machine": "m", "device": "cpu"}
        known |= {"attempt": 1, "slots": 1, "state": RunState.RUNNING, "event_offset": 0, "event_seq": 0}
        with service.database.write() as connection:
            stored_runs.add(connection, StoredRun(**known | {"created_at": 0.0}))

    @property
    def tuned(self) -> str:
        return f"ft:tiny:{self.org}::{self.job.id}"

    def saves(self, step: int) -> Path:
        with checkpoints.stage(self.run, step) as staging:
            (staging.path / "weights.safetensors").write_bytes(b"weights")
            return staging.commit().path

    def is_now(self, state: RunState) -> None:
        with self.service.database.write() as connection:
            stored_jobs.change(connection, self.job.id, state=state)

    def makes(self, name: str, *, kind: str = "adapter", at: float = 0.0, files: Files | None = None) -> Model:
        """Succeed with a model; ``files`` makes the folder of its result."""
        self.is_now(RunState.SUCCEEDED)
        folder = self.run.artifacts_dir
        folder.rmdir()
        (files or (make_base if kind == "full" else partial(make_adapter, base=Path("tiny"))))(folder)
        model = Model(
            id=new_id("model-"), org=self.org, name=name, kind=kind, path=str(folder), job=self.job.id, run=self.run.id,
            base="tiny", base_fingerprint=None, parent=None, recipe={}, data={}, versions={}, metrics={}, bytes=1,
            created_at=at,
        )  # fmt: skip
        with self.service.database.write() as connection:
            stored.add(connection, model)
        return model
