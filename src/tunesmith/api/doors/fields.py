"""From the fields of a way in to a job: what is typed stands in the specification, what it assumes in ``suggested``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tunesmith.spec.errors import BadValue
from tunesmith.spec.job import JobSpec

Paths = Mapping[str, str]
"""From a field of the way in to its dotted path in a job, such as ``recipe.batch.size``."""


def typed_values(request: BaseModel) -> dict[str, Any]:
    """Return the fields that a request gives a value; null is as good as left out."""
    return request.model_dump(exclude_unset=True, exclude_none=True)


def model_label(source: str) -> str:
    """Return the last part of a model's name, to call a result after."""
    return source.rstrip("/").rpartition("/")[2] or "model"


def job_of(typed: Mapping[str, Any], paths: Paths, defaults: Mapping[str, Any], *, fixed: Mapping[str, Any]) -> JobSpec:
    """Make the job.

    Args:
        typed: what the request says, by field.
        paths: where each field stands in a job; what has none is the caller's business.
        defaults: what the way in takes for fields that are left open, by dotted path.
        fixed: the rest of the job, by dotted path.

    Raises:
        BadValue: a value that no job can have.
    """
    given = {path: typed[field] for field, path in paths.items() if field in typed}
    suggested = {path: value for path, value in defaults.items() if path not in given}
    content: dict[str, Any] = {"suggested": suggested}
    for path, value in {**fixed, **given}.items():
        if value is not None:
            _put(content, path, value)
    try:
        return JobSpec.model_validate(content)
    except ValidationError as error:
        raise _refused(error, paths) from error


def _put(content: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
    content[last] = value


def _refused(error: ValidationError, paths: Paths) -> BadValue:
    """Name the field as the way in calls it."""
    fault = error.errors()[0]
    path = ".".join(str(part) for part in fault["loc"])
    name = next((field for field, its in paths.items() if path == its or path.startswith(its + ".")), path)
    return BadValue(name, fault["input"], fault["msg"].removeprefix("Input should be ").removeprefix("Value error, "))
