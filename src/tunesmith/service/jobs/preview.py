"""The plan of a job that nobody has submitted yet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs.places import placed, start_folder
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan

SECONDS: Final = 120.0
"""Longest time that a plan may take: it reads a sample of each data set."""


def plan(service: Service, spec: JobSpec, by: Principal, *, org: str | None, folder: Path | None) -> Plan:
    """Return what a job would do, and why; nothing is fetched and nothing is stored.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        PathNotAllowed: the job names a path outside of what the organisation may use.
        Relayed: there is no plan, in the words in which the command line would say so.
    """
    by.needs(Role.MEMBER)
    org = by.acting_for(org)
    start = start_folder(service, folder or Path.cwd(), org=org, by=by)
    found = service.subtasks.call(
        "plan",
        timeout=SECONDS,
        spec=placed(service, spec, folder=start, org=org, by=by).model_dump(mode="json", exclude_unset=True),
        home=str(service.settings.home),
        folder=str(start),
        offline=True,
        gpus=None,
    )
    return Plan.model_validate(found)
