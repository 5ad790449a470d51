"""What each way in calls our states and ids: the one table, which every renderer reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tunesmith.service.jobs.queue import Job
from tunesmith.spec.ids import FORMS
from tunesmith.spec.states import RunState


@dataclass(frozen=True)
class Words:
    """The words of one way in."""

    id_form: str
    """What it puts before the canonical id of a job."""
    states: dict[RunState, str]
    whole: float
    """What its progress is when all is done."""

    def id(self, job: Job) -> str:
        """Return the id of a job as this way in prints it."""
        return self.id_form + job.id

    def state(self, job: Job) -> str:
        """Return the word for the state of a job."""
        return self.states[job.state]

    def progress(self, job: Job) -> float:
        """Return how much of a job is done, on this way's scale."""
        return round(job.share_done * self.whole, 4 if self.whole == 1 else 2)

    def meant(self, word: str) -> list[RunState]:
        """Return the states that a word of this way in stands for."""
        return [state for state, name in self.states.items() if name == word]

    @property
    def known(self) -> list[str]:
        """Every word for a state, once."""
        return list(dict.fromkeys(self.states.values()))


_S = RunState
_OURS: Final = {state: str(state) for state in RunState}
_RUNNING: Final = {_S.PREPARING: "running", _S.RUNNING: "running"}
_COMPLETED: Final = {_S.SUCCEEDED: "completed", _S.FAILED: "failed", _S.CANCELLED: "cancelled"}
_PENDING: Final = {_S.QUEUED: "pending", **_RUNNING, _S.PAUSED: "pending", **_COMPLETED}
JOB_PREFIX, ORGANISATION_PREFIX, OPENAI_PREFIX = FORMS

OURS: Final = Words(JOB_PREFIX, _OURS, 1)
TRAIN: Final = Words("", {**_PENDING, _S.CANCELLED: "failed"}, 100)
"""`POST /train`: it has no word for cancelled; the reason says it."""
TASKS: Final = Words("", _PENDING, 100)
"""`/api/training`, `/api/llm-finetuning`, `/api/system` and the sockets."""
ORGANISATION: Final = Words(
    ORGANISATION_PREFIX, {_S.QUEUED: "queued", **_RUNNING, _S.PAUSED: "queued", **_COMPLETED}, 1
)
"""`/api/v1`."""
OPENAI: Final = Words(OPENAI_PREFIX, {**_OURS, _S.PREPARING: "running"}, 1)
"""`/v1`; a queued job whose data is being checked is validating_files there, which its renderer decides."""


def stamp(seconds: float | None) -> str | None:
    """Render a time of ours, in seconds since the epoch, as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def reason(job: Job) -> str | None:
    """Say in words why a job stands where it stands, where there is something to say."""
    if job.state is RunState.QUEUED:
        return job.waiting or job.reason
    return job.reason


def fault(job: Job) -> str | None:
    """Say what went wrong with a failed job, and what to do."""
    if job.error is None:
        return None
    return " ".join(part for part in (job.error["message"], job.error.get("todo")) if part)
