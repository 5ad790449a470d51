"""The state machine of a run, as data. A reason decides the state; what was asked for is a request, not a state."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True when no process works on the run any more."""
        return self in ENDED


class Request(StrEnum):
    """What somebody asked a run to do."""

    NONE = "none"
    CHECKPOINT = "checkpoint"
    PAUSE = "pause"
    CANCEL = "cancel"


class Reason(StrEnum):
    """Why a run moved to another state."""

    CREATED = "created"
    LAUNCHED = "launched"
    STARTED = "started"
    FINISHED = "finished"
    PAUSE_REQUESTED = "pause requested"
    CANCEL_REQUESTED = "cancel requested"
    FAULT = "fault"
    DIED = "died"


STATE_FOR: Final = {
    Reason.CREATED: RunState.QUEUED,
    Reason.LAUNCHED: RunState.PREPARING,
    Reason.STARTED: RunState.RUNNING,
    Reason.FINISHED: RunState.SUCCEEDED,
    Reason.PAUSE_REQUESTED: RunState.PAUSED,
    Reason.CANCEL_REQUESTED: RunState.CANCELLED,
    Reason.FAULT: RunState.FAILED,
    Reason.DIED: RunState.FAILED,
}
"""The state that each reason leads to."""

ENDED: Final = frozenset({RunState.PAUSED, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})

TRANSITIONS: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.QUEUED: frozenset({RunState.PREPARING, RunState.CANCELLED, RunState.FAILED}),
    RunState.PREPARING: ENDED | {RunState.RUNNING},
    RunState.RUNNING: ENDED,
    RunState.PAUSED: frozenset(),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
"""Which state may follow which. An ended run stays as it ended: resuming is another run."""


def move(state: RunState, reason: Reason) -> RunState:
    """Return the state that ``reason`` leads to from ``state``.

    Raises:
        ValueError: if the state machine has no such transition (a fault of the program, not of the user).
    """
    target = STATE_FOR[reason]
    if target not in TRANSITIONS[state]:
        raise ValueError(f"a run cannot go from {state} to {target} ({reason})")
    return target


JOB_TRANSITIONS: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.QUEUED: frozenset({RunState.PREPARING, RunState.PAUSED, RunState.CANCELLED, RunState.FAILED}),
    RunState.PREPARING: ENDED | {RunState.RUNNING, RunState.QUEUED},
    RunState.RUNNING: ENDED | {RunState.QUEUED},
    RunState.PAUSED: frozenset({RunState.QUEUED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset(),
}
"""Which state of a job may follow which. A job outlives its runs: resumed or tried again, it is queued once more."""

JOB_OVER: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
"""States in which a job wants nothing more by itself."""


def sources_of(target: RunState) -> frozenset[RunState]:
    """Return the states from which a job may go to ``target``: what a compare-and-swap asks for."""
    return frozenset(state for state, targets in JOB_TRANSITIONS.items() if target in targets)
