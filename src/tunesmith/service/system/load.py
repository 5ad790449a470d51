"""What this machine has and how busy it is, as far as the web is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tunesmith.planning.gpus import Gpu, gpus
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service


@dataclass(frozen=True)
class Load:
    """The machine that answers, now."""

    gpu: Gpu | None
    """The first one that jobs may use."""
    cpu_percent: float
    """Since it was last asked."""
    memory_percent: float
    active_tasks: int
    """Jobs that are worked on, of those that the principal may see."""


def load_of(service: Service, by: Principal) -> Load:
    """Look at the machine and at the queue."""
    with service.database.read() as connection:
        counts = stored_jobs.counts(connection)
    working = (RunState.PREPARING, RunState.RUNNING)
    active = sum(count for (org, state), count in counts.items() if state in working and by.sees(org))
    return Load(next(iter(gpus()), None), psutil.cpu_percent(), psutil.virtual_memory().percent, active)


psutil.cpu_percent()  # What is asked later counts from here.
