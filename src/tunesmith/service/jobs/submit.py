"""From a job to its plan, and from a plan to a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tunesmith.executors.base import Executor
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs import publish
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.lease import grant
from tunesmith.service.jobs.continuation import continued_run, take_over
from tunesmith.service.models.directory import directory_of_output
from tunesmith.settings import Settings
from tunesmith.spec.errors import OutputUnusable
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def plan_job(spec: JobSpec, settings: Settings) -> Plan:
    """Fill in what a job leaves open, by its model (or the run that it continues), its data and the machine.

    Raises:
        ConfigError: the model is not there or of the wrong kind, or the job will not fit.
        DataError: the data is not there, or none of it can be used.
    """
    continued = take_over(spec, settings)
    return _planned(spec, settings) if continued is None else continued.settled(_planned(continued.job, settings))


def _planned(spec: JobSpec, settings: Settings) -> Plan:
    from tunesmith.planning.draft import draft
    from tunesmith.service.models.resolve import resolve_datasets, resolve_model

    data = resolve_datasets(spec.datasets, settings)
    spec = spec.model_copy(update={"datasets": data.datasets})
    plan = draft(spec, resolve_model(spec.model, settings), settings.home)
    return plan.model_copy(update={"warnings": [*data.notes, *plan.warnings]})


def with_data_found(spec: JobSpec, settings: Settings) -> JobSpec:
    """Return the job with the files of data sets in place of their names, and the splits that they bring."""
    from tunesmith.service.models.resolve import resolve_datasets

    return spec.model_copy(update={"datasets": resolve_datasets(spec.datasets, settings).datasets})


@dataclass(frozen=True)
class Attempt:
    """A run that a supervisor starts for a job of the service."""

    run: str
    """Id that the run gets: it is known before its folder is."""
    job: str
    token: int
    """Number of the lease under which it is started."""
    folder: Path
    """What the job's relative paths start from."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the worker is told beside the rest, such as which GPUs it has."""
    lease_until: float | None = None
    """When the run stops unless its lease is renewed; None where no other machine could take over."""


def start(
    plan: Plan,
    settings: Settings,
    *,
    parent: RunFolder | None = None,
    checkpoint: Path | None = None,
    executor: Executor | None = None,
    attempt: Attempt | None = None,
) -> RunFolder:
    """Start a run of a plan; it goes on when this process ends.

    ``parent`` is the run that this one resumes, from ``checkpoint`` or else from the newest that verifies. ``attempt``
    says for which job; without one the run belongs to whoever called, and to his working folder.

    Raises:
        OutputBusy: a run that lives writes into the same output.
        OutputUnusable, DiskFull: the output cannot be written.
        RunAbandoned: somebody has given the attempt up, so it must not start.
    """
    spec = plan.spec
    folder = Path(parent.header().folder) if parent else attempt.folder if attempt else Path.cwd()
    output = folder / expanded(spec.output.dir)
    _refuse_the_model_itself(output, plan)
    run = RunFolder.create(
        settings.home,
        kind=Kind.TRAIN,
        name=spec.name or "run",
        plan=plan,
        parent=parent,
        start=checkpoint,
        continues=None if parent else continued_run(spec.model),
        id=attempt.run if attempt else None,
        job=attempt.job if attempt else None,
        token=attempt.token if attempt else 0,
        folder=folder,
        output=output,
        model_directory=directory_of_output(output),
    )
    output = Path(run.header().output or output)
    executor = executor or LocalExecutor()
    try:
        publish.claim(output, run)
        if attempt is not None and attempt.lease_until is not None:
            grant(run, attempt.lease_until)
        env = {**_environment(plan, settings), **(attempt.environment if attempt else {})}
        executor.launch(run, env=env, processes=spec.resources.processes)
    except BaseException:
        # Ctrl-C may come when the worker lives already; nobody would know of it.
        if handle := handle_of(run):
            executor.stop(handle, force=True)
        publish.release(output, run)
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def _refuse_the_model_itself(output: Path, plan: Plan) -> None:
    if os.path.realpath(output) == os.path.realpath(plan.model.path):
        raise OutputUnusable(output, "it is the model that is to be trained")


def _environment(plan: Plan, settings: Settings) -> Mapping[str, str]:
    """Freeze the thread count, on which the last bits of the numbers depend."""
    threads = {name: str(plan.execution.threads) for name in THREAD_VARIABLES}
    return {**threads, "TUNESMITH_HOME": str(settings.home)}
