"""What the plan of a job made of the fields that a way in left open."""

from __future__ import annotations

from tunesmith.service.jobs.queue import Job


def told(job: Job) -> list[str]:
    """Say what was chosen for each field for which the way in has a default, and why; needs the job with its plan."""
    if job.plan is None:
        return []
    return [
        f"{decision.field} is {_shown(decision.value)}: {decision.reason}."
        for decision in job.plan.decisions
        if decision.field in job.spec.suggested
    ]


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
