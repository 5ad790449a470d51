"""What a socket says of a task: flat fields for `/ws/training/{task_id}`, the same ones inside ``data`` for both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from tunesmith.api.words import TASKS, fault
from tunesmith.service.jobs.queue import Job, StoredEvent
from tunesmith.spec.states import JOB_OVER, RunState

Message = dict[str, Any]
STATE_CHANGE: Final = "job"
"""Kind of the events that say where a job stands."""


def said(type: str, **facts: Any) -> Message:
    """Make a message."""
    return {"type": type, **facts, "data": facts}


@dataclass
class Story:
    """The numbers of a task as its events tell them."""

    task_id: str
    step: int = 0
    total_steps: int | None = None
    epoch: float | None = None
    total_epochs: float | None = None
    loss: float | None = None
    learning_rate: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    progress: float = 0.0

    @classmethod
    def of(cls, job: Job) -> Story:
        """Begin with what is stored of a job."""
        numbers = job.progress
        return cls(
            task_id=TASKS.id(job),
            step=numbers.get("step") or 0,
            total_steps=numbers.get("total_steps"),
            epoch=numbers.get("epoch"),
            total_epochs=numbers.get("epochs"),
            loss=numbers.get("loss"),
            learning_rate=numbers.get("learning_rate"),
            metrics=dict(numbers.get("metrics") or {}),
            progress=TASKS.progress(job),
        )

    def heard(self, event: StoredEvent) -> bool:
        """Take in an event of the run; return whether it changed a number."""
        body = event.body
        if event.kind == "started":
            self.step, self.total_steps, self.total_epochs = body["step"], body["total_steps"], body["epochs"]
        elif event.kind == "step":
            self.step, self.epoch, self.loss = body["step"], body["epoch"], body["loss"]
            self.learning_rate = body["learning_rate"]
        elif event.kind == "evaluated":
            self.step, self.epoch = body["step"], body["epoch"]
            self.metrics |= {"validation_loss": body["validation_loss"], **body["metrics"]}
        else:
            return False
        if self.total_steps:
            self.progress = round(min(1.0, self.step / self.total_steps) * TASKS.whole, 2)
        return True

    def told(self) -> Message:
        """Make the message that tells all of it."""
        return said("progress", **vars(self))


def status(task_id: str, state: str, because: str | None) -> Message:
    """Say where a task stands."""
    return said("status", task_id=task_id, status=TASKS.states[RunState(state)], reason=because)


def ending(job: Job) -> Message | None:
    """Say how a task ended; None while it goes on."""
    if job.state not in JOB_OVER:
        return None
    task_id = TASKS.id(job)
    if job.state is RunState.SUCCEEDED:
        made = job.result or {}
        result = {
            "model": made.get("model"),
            "output_dir": job.extra.get("asked", {}).get("output", made.get("output")),
            "summary": {name: value for name, value in (made.get("summary") or {}).items() if name != "output"},
        }
        return said("complete", task_id=task_id, result=result)
    if job.state is RunState.CANCELLED:
        return said("error", task_id=task_id, error="The task was cancelled.", status=TASKS.state(job))
    error = fault(job) or "The task failed."
    return said("error", task_id=task_id, error=error, status=TASKS.state(job))


def heard(text: str | bytes) -> dict[str, Any]:
    """Return a message of the client; the bare word is as good as its JSON, and bytes are as good as text."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        words = text.strip()
    return words if isinstance(words, dict) else {"type": words}


def written(message: Message) -> str:
    """Return a message as it is sent, in ASCII: what it repeats of the client's may hold half a character."""
    return json.dumps(message)
