"""Evaluations and exports as jobs: they wait, run, fail, are tried again and cancelled as trainings are.

They take no place from a training: each server has some beside them (setting ``side_jobs``), and there they compute on
the CPU. An evaluation that asks for a GPU takes one as a training does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.publish import published_run
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs.queue import LANES, enqueue
from tunesmith.spec.errors import Conflict, Contradiction, NotFound, Relayed, RunError
from tunesmith.spec.job import Device
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.spec.work import EvaluateSpec, Export, ExportSpec
from tunesmith.store.claims import BESIDE
from tunesmith.store.jobs import Job, NewJob, exports_into

if TYPE_CHECKING:
    from tunesmith.service.context import Service

WORKS: Final = ("evaluate", "export")
"""The kinds of these jobs."""
FAILED: Final = "job_failed"
UNUSABLE: Final = 422
"""HTTP status of a job that failed for what it was asked, not for a fault on the way."""
_NAME_LENGTH: Final = 64


@dataclass(frozen=True)
class WorkSubmission:
    """What a way in asks for."""

    work: EvaluateSpec | ExportSpec
    door: str
    org: str | None = None
    """None: the principal's own, or the default one."""
    folder: Path | None = None
    """What relative paths start from. None: the server's working folder."""
    priority: int = 0
    name: str | None = None
    """Open: made from what is evaluated or exported."""
    place: str | None = None
    """Folder among the organisation's exports for one that names no other. Open: one that no other export has."""
    once: bool = False
    """Return the job that did, or does, the same export into the same folder, where there is one."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=job_id)


def submit_work(service: Service, wanted: WorkSubmission, by: Principal) -> Job:
    """Store an evaluation or an export for a supervisor to claim.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        QuotaExceeded: the organisation has as many queued jobs as it may have.
        PathNotAllowed: it names a path outside of what the organisation may use.
        ModelNotFound, NotFound, DataNotFound: what it names is not there.
        WrongJobState: the job that makes the model goes on.
        Contradiction: it asks for an archive of something that is no adapter.
    """
    from tunesmith.service.jobs.places import start_folder
    from tunesmith.service.jobs.work_places import Named

    by.needs(Role.MEMBER)
    org = by.acting_for(wanted.org)
    folder = start_folder(service, wanted.folder or Path.cwd(), org=org, by=by)
    named, name = Named(service, org=org, by=by, folder=wanted.folder or Path.cwd()), wanted.name or _name(wanted.work)
    if isinstance(wanted.work, ExportSpec):
        _refuse_contradictions(wanted.work)
        work: EvaluateSpec | ExportSpec = named.export(wanted.work, wanted.place or f"{name}-{wanted.id}")
        device = BESIDE
        if wanted.once and (there := _same_export(service, org, work)) is not None:
            return there
    else:
        work = named.evaluation(wanted.work)
        device = LANES[Device.CUDA] if work.device is Device.CUDA else BESIDE
    job = NewJob(
        id=wanted.id,
        org=org,
        door=wanted.door,
        kind=work.kind,
        name=name,
        spec=None,
        work=work,
        folder=str(folder),
        device=device,
        priority=wanted.priority,
        created_by=by.key,
        extra=wanted.extra,
    )
    return enqueue(service, job, by)


def result_of(job: Job) -> dict[str, Any]:
    """Return what an evaluation or an export that is over came to.

    Raises:
        Relayed: it failed, in the words of its run.
        Conflict: it was cancelled, or goes on.
    """
    if job.state is RunState.SUCCEEDED and job.result is not None:
        return job.result
    if job.state is RunState.FAILED:
        error = job.error or {}
        message = str(error.get("message") or f"Job {job.id} failed.")
        exit_code = int(error.get("exit_code") or RunError.exit_code)
        status = RunError.status if exit_code == RunError.exit_code else UNUSABLE
        raise Relayed(message, str(error.get("code") or FAILED), exit_code, status)
    todo = "Ask again." if job.state in JOB_OVER else "Wait for it."
    raise Conflict(f"Job {job.id} is {job.state} and has no result.", todo)


def exported_folder(job: Job) -> Path:
    """Return the folder that an export was written into.

    Raises:
        Relayed, Conflict: it has not succeeded.
        NotFound: its files are not there any more, or lie on another machine.
    """
    output = Path(str(result_of(job)["output"]))
    if published_run(output) != job.run:
        raise NotFound("files of export", job.id)
    return output


def _same_export(service: Service, org: str, work: EvaluateSpec | ExportSpec) -> Job | None:
    """Return a job that goes on with the same export, or whose files are still there."""
    assert isinstance(work, ExportSpec) and work.output is not None
    with service.database.read() as connection:
        found = exports_into(connection, org, work.output)
    for job in found:
        is_there = job.state is not RunState.SUCCEEDED or published_run(Path(work.output)) == job.run
        if job.work == work and is_there:
            return job
    return None


def _refuse_contradictions(work: ExportSpec) -> None:
    if work.zip and work.what is not Export.ADAPTER:
        raise Contradiction("zip", f"what: {work.what}")
    if work.dtype is not None and work.what is not Export.MERGED:
        raise Contradiction("dtype", f"what: {work.what}")
    if "quantization" in work.model_fields_set and work.what is not Export.GGUF:
        raise Contradiction("quantization", f"what: {work.what}")


def _name(work: EvaluateSpec | ExportSpec) -> str:
    source = work.source if isinstance(work, ExportSpec) else work.model
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source.rpartition(":")[2]).name).strip("-.") or "model"
    end = str(work.what) if isinstance(work, ExportSpec) else "evaluation"
    return f"{plain[: _NAME_LENGTH - len(end) - 1]}-{end}"
