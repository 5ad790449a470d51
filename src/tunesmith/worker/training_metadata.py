"""``training_metadata.json``: what an organisation's training was made of and how it went, beside its model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.durable import write_json
from tunesmith.runs.event_log import read
from tunesmith.spec.events import RunSummary, Started
from tunesmith.spec.plan import Plan, settled
from tunesmith.spec.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder

FILE: Final = "training_metadata.json"
LABELS: Final = ("org_id", "training_id")
"""Labels of a job for whose result the file is written."""


def write_training_metadata(run: RunFolder, plan: Plan, summary: RunSummary, folder: Path) -> None:
    """Write the file into a folder of results, for a job that says whose training it is."""
    labels = plan.spec.labels
    if any(name not in labels for name in LABELS):
        return
    started = _started(run)
    rows = started.rows if started is not None else None
    loss = summary.best_validation_loss
    write_json(
        folder / FILE,
        {
            "base_model": plan.model.source,
            "org_id": labels["org_id"],
            "training_id": labels["training_id"],
            "num_train_samples": rows,
            "num_eval_samples": started.validation_rows if started is not None else None,
            "train_loss": summary.train_loss,
            "train_runtime": summary.seconds,
            "train_samples_per_second": _rate(rows, summary),
            "validation_loss": loss,
            "perplexity": math.exp(loss) if loss is not None and loss < 700 else None,
            "lora_config": _lora(plan.spec.recipe),
        },
    )


def _lora(recipe: Recipe) -> dict[str, Any] | None:
    """Return the adapter's settings; None where every weight was trained."""
    adapter = recipe.adapter
    if not settled(recipe.method, "recipe.method").adapts:
        return None
    values = {"r": adapter.rank, "alpha": adapter.alpha, "dropout": adapter.dropout}
    return {**values, "target_modules": adapter.targets}


def _started(run: RunFolder) -> Started | None:
    return next((event.body for event in read(run.events)[0] if isinstance(event.body, Started)), None)


def _rate(rows: int | None, summary: RunSummary) -> float | None:
    return rows * summary.epochs / summary.seconds if rows is not None and summary.seconds > 0 else None
