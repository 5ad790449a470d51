"""The hyperparameters of a fine-tuning job as `/v1` shows them: those in force, as soon as the job is planned."""

from __future__ import annotations

from typing import Final, Literal

from tunesmith.service.jobs.queue import Job
from tunesmith.spec.recipe import Part

AUTO: Final = "auto"


class Resolved(Part):
    """Hyperparameters as they are in force; auto until the job is planned."""

    n_epochs: int | float | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]
    beta: float | None = None


def resolved(job: Job) -> Resolved:
    """Return the numbers of a job, from its plan where it has one."""
    planned = job.plan is not None
    spec = job.plan.spec if job.plan is not None else job.spec
    recipe, typed = spec.recipe, job.spec.recipe.model_fields_set
    epochs, size = recipe.epochs, recipe.batch.size
    beta = spec.options.get("dpo_beta") if spec.task == "dpo" else None
    return Resolved(
        n_epochs=AUTO if epochs is None else int(epochs) if float(epochs).is_integer() else epochs,
        batch_size=AUTO if size is None else size * (recipe.batch.accumulation or 1),
        learning_rate_multiplier=(
            recipe.learning_rate_multiplier if planned or "learning_rate_multiplier" in typed else AUTO
        ),
        beta=beta,
    )
