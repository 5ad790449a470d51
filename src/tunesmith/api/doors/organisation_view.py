"""How `/api/v1` shows a training and the models that trainings made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tunesmith.api.doors.decisions import told
from tunesmith.api.doors.organisation_answers import TrainingStatus, TunedModel
from tunesmith.api.words import ORGANISATION, fault, reason, stamp
from tunesmith.service.jobs.queue import Job
from tunesmith.spec.states import Request

TOKEN: Final = "token"
"""What a training counts, but for those on pictures or recordings."""
NUMBERS: Final = ("step", "total_steps", "epoch", "epochs", "loss", "validation_loss", "learning_rate")
"""What of a job's progress ``metadata`` shows, beside the speed."""


def view(job: Job) -> TrainingStatus:
    """Render a training; one that came through another way in is shown in these words too."""
    return TrainingStatus(
        training_id=ORGANISATION.id(job),
        org_id=job.org,
        status=ORGANISATION.state(job),
        progress=ORGANISATION.progress(job),
        started_at=stamp(job.started_at),
        completed_at=stamp(job.ended_at),
        error=fault(job),
        metadata=_metadata(job),
    )


def tuned(job: Job) -> TunedModel:
    """Render the model that a succeeded training made."""
    return TunedModel(model_id=ORGANISATION.id(job), created_at=job.ended_at or job.created_at, metadata=about(job))


def about(job: Job) -> dict[str, Any]:
    """Say what is known of a training's result: what it was made of, and how good it is."""
    asked = job.extra.get("asked", {})
    summary = (job.result or {}).get("summary") or {}
    rows = {"base_model": asked.get("model", job.spec.model.source), "data": job.extra.get("data"), **_measured(job)}
    kept = ("train_loss", "steps", "epochs", "trained_tokens", "seconds", "stopped_because")
    rows |= {name: summary.get(name) for name in kept if name != "trained_tokens" or _counts(summary) == TOKEN}
    return {name: value for name, value in rows.items() if value is not None}


def path_of(job: Job) -> str:
    """Return where the result of a training is, as the way in documents it: from the server's or the own folder."""
    return str(job.extra.get("asked", {}).get("output", job.spec.output.dir))


def _metadata(job: Job) -> dict[str, Any]:
    numbers = {name: job.progress[name] for name in NUMBERS if job.progress.get(name) is not None}
    rows = {
        **numbers,
        **_speed(job),
        **about(job),
        "reason": reason(job),
        "request": str(job.request) if job.request is not Request.NONE else None,
        "decisions": told(job),
        "warnings": job.warnings,
        "model_path": path_of(job) if job.result else None,
    }
    return {name: value for name, value in rows.items() if value not in (None, [])}


def _counts(numbers: Mapping[str, Any]) -> str:
    """Return what a training counts."""
    return str(numbers.get("counts", TOKEN))


def _speed(job: Job) -> dict[str, float]:
    """Return how fast a training goes, in what it counts."""
    counts = _counts(job.progress)
    speed = job.progress.get("tokens_per_second" if counts == TOKEN else "rows_per_second")
    return {} if speed is None else {f"{counts}s_per_second": speed}


def _measured(job: Job) -> dict[str, float]:
    """Return the validation loss of a result, which has the best weights, and the perplexity that it means of texts."""
    summary = (job.result or {}).get("summary") or {}
    loss = summary.get("best_validation_loss")
    if loss is None:
        return {}
    tells = loss < 700 and _counts(summary) == TOKEN
    return {"validation_loss": loss, **({"perplexity": math.exp(loss)} if tells else {})}
