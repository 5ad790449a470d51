"""`/api/system`: how the machine is, and every task on it."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import APIRouter

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.tasks import Before, Limit, row, view
from tunesmith.api.doors.tasks_answers import Envelope, TaskRow, TaskView
from tunesmith.api.words import TASKS
from tunesmith.service.accounts.principal import Role
from tunesmith.service.jobs import deletion, queue
from tunesmith.service.serving import loaded
from tunesmith.service.system.load import load_of
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import JOB_OVER

router = APIRouter(prefix="/api/system", tags=["system"])

GB: Final = 2**30


class SystemStatus(Part):
    """The machine that answers, now."""

    status: Literal["running"] = "running"
    gpu_available: bool
    gpu_name: str | None
    gpu_memory_total_gb: float | None
    gpu_memory_used_gb: float | None
    gpu_memory_free_gb: float | None
    cpu_percent: float
    memory_percent: float
    active_tasks: int
    """Tasks that are worked on now."""
    loaded_models: list[str]
    """Models in memory that answer at once."""


class Health(Part):
    """Whether the server answers."""

    status: Literal["healthy"] = "healthy"


class Cleared(Envelope):
    """What was let go of."""

    cleared: int


@router.get("/status")
def status(service: Serving, by: Asker) -> SystemStatus:
    """Show GPU, CPU, memory and how much is going on."""
    load = load_of(service, by)
    gpu = load.gpu
    return SystemStatus(
        gpu_available=gpu is not None,
        gpu_name=gpu.name if gpu else None,
        gpu_memory_total_gb=round(gpu.total / GB, 2) if gpu else None,
        gpu_memory_used_gb=round((gpu.total - gpu.free) / GB, 2) if gpu else None,
        gpu_memory_free_gb=round(gpu.free / GB, 2) if gpu else None,
        cpu_percent=load.cpu_percent,
        memory_percent=load.memory_percent,
        active_tasks=load.active_tasks,
        loaded_models=loaded.loaded_names(service, by),
    )


@router.get("/health")
def health() -> Health:
    """Say that the server answers."""
    return Health()


@router.get("/tasks")
def tasks(service: Serving, by: Asker, limit: Limit = 100, before: Before = None) -> list[TaskRow]:
    """List tasks of every kind, the newest first."""
    number = queue.get(service, before, by).number if before else None
    return [row(job) for job in queue.listed(service, queue.Wanted(before=number, limit=limit), by)]


@router.get("/tasks/{task_id}")
def task(task_id: str, service: Serving, by: Asker) -> TaskView:
    """Show a task."""
    return view(queue.get(service, task_id, by, with_plan=True))


@router.delete("/tasks/{task_id}")
def remove(task_id: str, service: Serving, by: Asker) -> Envelope:
    """Cancel a task that goes on; remove one that is over from the lists. What it published stays."""
    job = queue.get(service, task_id, by)
    if job.state in JOB_OVER:
        deletion.delete(service, job.id, by)
        return Envelope(message=f"Task {TASKS.id(job)} is removed.")
    queue.cancel(service, job.id, by)
    return Envelope(message=f"Task {TASKS.id(job)} is being stopped.")


@router.post("/clear-models")
def clear_models(service: Serving, by: Asker) -> Cleared:
    """Unload the models that nobody is asking now; the next question loads its model again."""
    by.needs(Role.MEMBER)
    cleared = loaded.clear(service, by)
    return Cleared(cleared=cleared, message=f"{cleared} model{'' if cleared == 1 else 's'} left memory.")
