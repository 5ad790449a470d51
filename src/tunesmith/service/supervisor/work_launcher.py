"""From a claimed job that trains nothing to a run that lives: names become folders, then its worker is started."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs import publish
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.lease import grant
from tunesmith.service.jobs.continuation import PREFIX
from tunesmith.service.jobs.work_folders import BASE, NONE
from tunesmith.service.models.resolve import resolve_datasets, resolve_model
from tunesmith.spec.job import ModelRef
from tunesmith.spec.work import EvaluateRun, EvaluateSpec, ExportRun, ExportSpec

if TYPE_CHECKING:
    from tunesmith.executors.base import Executor
    from tunesmith.service.context import Service
    from tunesmith.store.jobs import Job

SECONDS: Final = 300.0
"""Longest time that finding and comparing the files of models may take."""
_REQUEST: Final[TypeAdapter[EvaluateRun | ExportRun]] = TypeAdapter(EvaluateRun | ExportRun)


@dataclass(frozen=True)
class Settled:
    """What a run is told that has no plan."""

    name: str
    request: EvaluateRun | ExportRun
    output: Path | None
    """Where an export goes."""


def settle_work(service: Service, job: Job, *, devices: Sequence[int] | None, earlier: Sequence[str]) -> Settled:
    """Find the folders of what a job names; what is on the hub is fetched first, here, as that may take hours.

    ``earlier`` are the runs of the job that were: what they published is replaced.

    Raises:
        TunesmithError: it cannot be done, in the words in which the command line would say so.
    """
    work = job.work
    assert work is not None
    _fetch(work, service, Path(job.folder))
    found = service.subtasks.call(
        "work",
        timeout=SECONDS,
        work=work.model_dump(mode="json"),
        home=str(service.settings.home),
        folder=job.folder,
        earlier=list(earlier),
        gpus=",".join(str(number) for number in devices or ()),
    )
    output = Path(work.output) if isinstance(work, ExportSpec) and work.output else None
    return Settled(job.name, _REQUEST.validate_python(found), output)


def launch_work(
    service: Service, job: Job, settled: Settled, *, run_id: str, token: int, environment: Mapping[str, str],
    executor: Executor | None = None, lease_until: float | None = None,
) -> RunFolder:  # fmt: skip
    """Make the folder of a run and start its worker; ``token`` and ``lease_until`` are those of the job's lease.

    Raises:
        OutputBusy: a run that lives writes into the same output.
        OutputUnusable, DiskFull: the output cannot be written.
        RunAbandoned: another supervisor has given this run up, so it must not start.
    """
    run = RunFolder.create(
        service.settings.home,
        kind=job.kind,
        name=settled.name,
        id=run_id,
        job=job.id,
        token=token,
        folder=Path(job.folder),
        output=settled.output,
        request=settled.request.model_dump(mode="json"),
    )
    executor = executor or LocalExecutor()
    try:
        if settled.output is not None:
            publish.claim(settled.output, run)
        if lease_until is not None:
            grant(run, lease_until)
        executor.launch(run, env={**environment, "TUNESMITH_HOME": str(service.settings.home)})
    except BaseException:
        if handle := handle_of(run):
            executor.stop(handle, force=True)
        if settled.output is not None:
            publish.release(settled.output, run)
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def _fetch(work: EvaluateSpec | ExportSpec, service: Service, start: Path) -> None:
    """Have the models and the data that are named on this machine."""
    models = (work.model, work.baseline) if isinstance(work, EvaluateSpec) else (work.source, work.base)
    for name in models:
        if name not in (None, BASE, NONE) and not name.startswith(PREFIX) and not (start / name).exists():
            resolve_model(ModelRef(source=name), service.settings, start)
    if isinstance(work, EvaluateSpec) and work.data is not None:
        resolve_datasets(work.data, service.settings, start)
