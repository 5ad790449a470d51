"""The plan of a job, or what its run is told, as a subtask makes it: what goes in and comes out is JSON."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.service.jobs.submit import plan_job
from tunesmith.service.jobs.work_folders import evaluate_run, export_run
from tunesmith.settings import Settings
from tunesmith.spec.job import Device, JobSpec
from tunesmith.spec.work import EvaluateSpec, ExportSpec

VISIBLE: str = "CUDA_VISIBLE_DEVICES"
"""Which GPUs a process may use; NVML numbers them as CUDA does where ``CUDA_DEVICE_ORDER`` says so."""


def get_ready() -> None:
    """Do nothing: by now this module is loaded, and what it needs."""


def planned(*, spec: dict[str, Any], home: str, folder: str, offline: bool, gpus: str | None) -> dict[str, Any]:
    """Plan a job whose relative paths start from ``folder``; ``gpus`` are those that it may use, None for all.

    Raises:
        ConfigError, DataError: as ``plan_job``.
    """
    settings = Settings(home=Path(home), offline=offline)
    with contextlib.chdir(folder), _visible(gpus):
        return plan_job(JobSpec.model_validate(spec), settings).model_dump(mode="json")


def settled_work(
    *, work: dict[str, Any], home: str, folder: str, earlier: list[str], gpus: str | None
) -> dict[str, Any]:
    """Return what the run of a job is told that trains nothing; ``earlier`` are the runs that it had before.

    Raises:
        TunesmithError: as ``export_run`` and ``evaluate_run``.
    """
    settings, start = Settings(home=Path(home), offline=True), Path(folder)
    with _visible(gpus):
        if work["kind"] == "export":
            wanted = ExportSpec.model_validate(work)
            assert wanted.output is not None
            made = export_run(wanted, settings, Path(wanted.output), start=start, mine=earlier)
            return made.model_dump(mode="json")
        measured = evaluate_run(
            EvaluateSpec.model_validate(work), settings, device=Device.CUDA if gpus else Device.CPU, start=start
        )
        return measured.model_dump(mode="json")


@contextlib.contextmanager
def _visible(gpus: str | None) -> Iterator[None]:
    before = os.environ.get(VISIBLE)
    if gpus is not None:
        os.environ[VISIBLE] = gpus
    try:
        yield
    finally:
        os.environ.pop(VISIBLE, None)
        if before is not None:
            os.environ[VISIBLE] = before
