"""What a job and its runs said, one line each, for ways in that show a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tunesmith.api.words import stamp
from tunesmith.service.jobs.queue import StoredEvent
from tunesmith.spec.events import pace

Body = Mapping[str, Any]


def log_line(event: StoredEvent) -> str:
    """Render an event with its time; a kind that has no words of its own shows its fields."""
    return f"{stamp(event.time)} {sentence(event)}"


def sentence(event: StoredEvent) -> str:
    """Render what an event says."""
    return _WORDS.get(event.kind, _fields)(event.body)


def _fields(body: Body) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items() if value not in (None, "", {}, []))


def _number(value: float | None, digits: int = 4) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _job(body: Body) -> str:
    because = f": {body['reason']}" if body.get("reason") else ""
    asked = f", {body['request']} requested" if body.get("request") else ""
    return f"The job is {body.get('state')}{asked}{because}."


def _phase(body: Body) -> str:
    share = f" ({body['done']:.0%})" if body.get("done") is not None else ""
    return f"{body['name']}{share}"


def _evaluated(body: Body) -> str:
    perplexity = f", perplexity {body['perplexity']:.1f}" if body.get("perplexity") else ""
    losses = f"validation loss {_number(body['validation_loss'])}, best {_number(body['best_validation_loss'])}"
    return f"Evaluation {body['number']} at step {body['step']}: {losses}{perplexity}."


def _pace(body: Body) -> str:
    """Say how fast a step went, in what its task counts."""
    speed = {name: body.get(name, 0.0) for name in ("tokens_per_second", "rows_per_second")}
    return pace(body.get("counts", "token"), **speed)


_WORDS: Final[dict[str, Callable[[Body], str]]] = {
    "job": _job,
    "phase": _phase,
    "prepared": lambda body: f"The data is ready: {body['rows']} rows, {body['faults']} of them cannot be used.",
    "started": lambda body: (
        f"Training begins: {body['rows']} rows, {body['validation_rows']} for validation, "
        f"{body['trainable_parameters']:,} of {body['parameters']:,} weights trained."
    ),
    "step": lambda body: (
        f"Step {body['step']}: loss {_number(body['loss'])}, learning rate {body['learning_rate']:.3g}, {_pace(body)}."
    ),
    "evaluated": _evaluated,
    "tested": lambda body: f"Test on {body['rows']} held-out rows: loss {_number(body['loss'])}.",
    "checkpoint_saved": lambda body: f"Checkpoint {body['name']} is saved ({body['reason']}).",
    "picture": lambda body: f"Picture of {body['prompt']!r} at step {body['step']}: {body['file']}",
    "sample": lambda body: f"Sample: {body['prompt']!r} was answered {body['before']!r}, now {body['after']!r}.",
    "decision": lambda body: f"Decided: {body['field']} is {body['value']}, {body['reason']}.",
    "warning": lambda body: f"Warning: {body['message']}",
    "acknowledged": lambda body: f"The run has seen the request to {body['request']}.",
    "progress": lambda body: str(body["message"]),
    "ended": lambda body: f"The run ended at step {body['step']} on request ({body['request']}).",
    "failed": lambda body: f"The run failed: {body['message']}",
    "finished": lambda body: (
        f"Training is done: {body['summary'].get('stopped_because') or 'the last step is reached'}."
    ),
}
"""Words for each kind of event, from its fields."""
