"""From a claimed job to a run that lives: fetch, plan in a child process, make the folder, start the worker."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.service.jobs.planned import VISIBLE
from tunesmith.spec.errors import NoSuchDevice, OtherKindOfData
from tunesmith.spec.job import Device, JobSpec
from tunesmith.spec.plan import Plan

if TYPE_CHECKING:
    from tunesmith.executors.base import Executor
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.context import Service
    from tunesmith.store.jobs import Job

log = logging.getLogger(__name__)

PLAN_SECONDS: Final = 300.0
"""Longest time that a plan may take: it reads a sample of each data set, and large files are counted by their size."""


def plan(
    service: Service, job: Job, *, parent: RunFolder | None = None, devices: Sequence[int] | None = None,
    device_kind: str = "cpu",
) -> Plan:  # fmt: skip
    """Return the plan of a job: the stored one of the run that is gone on with, else one made by a child process.

    ``devices`` are the numbers of the GPUs that the job has; without any it computes on the CPU. ``device_kind`` is the
    lane of the slots, cpu or gpu. Models and data of the hub are fetched first, here, as that may take hours.

    Raises:
        TunesmithError: there is no plan, in the words in which the command line would say so.
    """
    if parent is not None:
        return parent.plan()
    spec, warnings = _on(job.spec, devices, device_kind)
    _fetch(spec, service, Path(job.folder))
    found = service.subtasks.call(
        "plan",
        timeout=PLAN_SECONDS,
        spec=spec.model_dump(mode="json", exclude_unset=True),
        home=str(service.settings.home),
        folder=job.folder,
        offline=True,
        gpus=_numbers(devices),
    )
    made = Plan.model_validate(found)
    wanted = job.extra.get("modality")
    if wanted is not None and wanted != made.model.modality:
        raise OtherKindOfData(spec.model.source, made.model.modality, wanted)
    return made.model_copy(update={"warnings": [*warnings, *made.warnings]})


def launch(
    service: Service, job: Job, plan: Plan, *, run_id: str, parent: RunFolder | None = None,
    checkpoint: Path | None = None, devices: Sequence[int] | None = None, device_kind: str = "cpu", token: int,
    executor: Executor | None = None, lease_until: float | None = None,
) -> RunFolder:  # fmt: skip
    """Make the folder of a run and start its worker.

    ``parent`` is the run that this one goes on with, from ``checkpoint`` or else from its newest that verifies; one
    that died before it had any is begun again. ``plan`` is the parent's then. ``token`` is the lease's.
    ``lease_until`` is when the run stops by itself unless ``runs.lease.grant`` renews it; give it where another machine
    could take the job over, and nowhere else.

    Raises:
        OutputBusy: a run that lives writes into the same output, or holds its lock.
        OutputUnusable, DiskFull: the output cannot be written.
        NoSuchDevice: the plan is for a GPU, and the job has none.
        RunAbandoned: another supervisor has given this run up, so it must not start.
    """
    from tunesmith.service.jobs.resume import has_start
    from tunesmith.service.jobs.submit import Attempt, start

    if parent is not None and checkpoint is None and not has_start(parent):
        parent = None
    if plan.execution.device == Device.CUDA and not devices:
        raise NoSuchDevice("the job was planned for a GPU, and the devices that it has are none")
    attempt = Attempt(run_id, job.id, token, Path(job.folder), environment(devices), lease_until)
    run = start(plan, service.settings, parent=parent, checkpoint=checkpoint, executor=executor, attempt=attempt)
    if place := job.extra.get("checkpoints_at"):
        _link(Path(job.folder) / place, run.checkpoints_dir)
    return run


def environment(devices: Sequence[int] | None) -> Mapping[str, str]:
    """Return what shows the worker its own GPUs alone, numbered as the driver's library numbers them."""
    return {VISIBLE: _numbers(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _link(place: Path, checkpoints: Path) -> None:
    """Have a place lead to the checkpoints of a run that lives; what lies there and is no link stays."""
    draft = place.with_name(f".{place.name}.{checkpoints.parent.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink() or not place.exists():
            draft.symlink_to(checkpoints)
            os.replace(draft, place)
    except OSError as error:
        log.warning("%s cannot lead to the checkpoints of a run: %s", place, error)


def _on(spec: JobSpec, devices: Sequence[int] | None, lane: str) -> tuple[JobSpec, list[str]]:
    """Return the job on the devices that it has, and what to say of it where it asked for others."""
    if devices or spec.resources.device is not Device.CUDA:
        return spec, []  # A plan takes what it is shown: without devices that is the CPU.
    # One process for each GPU was asked for, not for the CPU.
    resources = spec.resources.model_copy(update={"device": Device.CPU, "processes": 1})
    why = "The server for GPUs has none" if lane == "gpu" else "No GPU is registered"
    return spec.model_copy(update={"resources": resources}), [f"{why}, so this job computes on the CPU."]


def _fetch(spec: JobSpec, service: Service, start: Path) -> None:
    """Have the model and the data on this machine; a name is none of this server's folders, whatever lies there."""
    from tunesmith.service.jobs.continuation import take_over
    from tunesmith.service.models.resolve import resolve_datasets, resolve_model

    continued = take_over(spec, service.settings)
    resolve_model((continued.job if continued else spec).model, service.settings, start)
    resolve_datasets(spec.datasets, service.settings, start)


def _numbers(devices: Sequence[int] | None) -> str:
    return ",".join(str(number) for number in devices or ())
