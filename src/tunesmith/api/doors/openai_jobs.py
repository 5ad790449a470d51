"""`POST /v1/fine_tuning/jobs`: a base model and an uploaded file in, a tuned model out."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from tunesmith.api.doors.fields import job_of
from tunesmith.api.doors.openai_method import SUPERVISED, Hyperparameters, Method
from tunesmith.api.words import OPENAI_PREFIX
from tunesmith.service.jobs.installed import need_options
from tunesmith.service.jobs.queue import Submission
from tunesmith.service.models.tuned import tuned_name
from tunesmith.spec.errors import Contradiction
from tunesmith.spec.recipe import Part

PATHS: Final = {
    "n_epochs": "recipe.epochs",
    "batch_size": "recipe.batch.size",
    "learning_rate_multiplier": "recipe.learning_rate_multiplier",
    "beta": "options.dpo_beta",
    "seed": "seed",
}
"""Where each hyperparameter stands in a job."""
EXAMPLE: Final[dict[str, Any]] = {
    "model": "smollm2-135m-instruct",
    "training_file": "file-abc123",
    "suffix": "support",
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto", "batch_size": 8}}},
    "metadata": {"team": "support"},
}
Key = Annotated[str, StringConstraints(max_length=64)]
Value = Annotated[str, StringConstraints(max_length=512)]


class CreateRequest(Part):
    """What to tune, and on what."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    model: str = Field(min_length=1, max_length=4096)
    """A name of /v1/models, a hub id or a folder."""
    training_file: str = Field(min_length=1, max_length=64)
    """Id of an uploaded file."""
    validation_file: str | None = Field(None, min_length=1, max_length=64)
    """Id of an uploaded file. Open: a share of the training rows is held out."""
    suffix: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Part of the tuned model's name."""
    seed: int | None = Field(None, ge=0, lt=2**32)
    metadata: Annotated[dict[Key, Value], Field(max_length=16)] | None = None
    method: Method | None = None
    """Open: supervised."""
    hyperparameters: Hyperparameters | None = None
    """The same as those of the method; deprecated."""
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None
    """None is there: numbers go to no other service. TensorBoard files lie in the result's folder."""

    @property
    def chosen(self) -> Method:
        """The method that is meant."""
        return self.method or Method(type=SUPERVISED)


def submission(request: CreateRequest, *, task: str, id: str, org: str, source: str, output: str) -> Submission:
    """Turn a request into a job; ``task`` and ``source`` are what a job calls the method and the model.

    Raises:
        Contradiction: hyperparameters stand in both places.
        UnknownKey, BadEntry: the method has no such hyperparameter, or not with that value.
    """
    method = request.chosen
    typed: dict[str, Any] = method.hyperparameters.typed()
    if request.hyperparameters is not None:
        if typed:
            raise Contradiction("hyperparameters", f"method.{method.type}.hyperparameters")
        typed = request.hyperparameters.typed()
    options = method.hyperparameters.options
    need_options(task, options, f"method.{method.type}.hyperparameters")
    if request.seed is not None:
        typed["seed"] = request.seed
    rows = [{"uri": f"file:{request.training_file}"}]
    if request.validation_file is not None:
        rows.append({"uri": f"file:{request.validation_file}", "validation": True})  # type: ignore[dict-item]
    spec = job_of(
        typed,
        PATHS,
        {},
        fixed={
            "name": f"{request.suffix or 'openai'}-{id}"[:64],
            "task": task,
            **{f"options.{name}": value for name, value in options.items()},
            "model.source": source,
            "datasets": rows,
            "recipe.batch.accumulation": 1 if "batch_size" in typed else None,
            "output.dir": output,
        },
    )
    extra = {
        "model_name": tuned_name(request.model, org, request.suffix, id),
        "training_file": request.training_file,
        "validation_file": request.validation_file,
        "metadata": request.metadata,
        "method": method.type,
        "asked": {"model": request.model, "dataset": request.training_file, "output": OPENAI_PREFIX + id},
    }
    return Submission(spec=spec, door="openai", org=org, id=id, extra=extra)
