"""What this installation can train, by the registry of modalities: another one is there as soon as it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tunesmith.modalities import MODALITIES
from tunesmith.spec.errors import BadEntry, NotInstalled, UnknownKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunesmith.modalities.base import Modality, Task


def need_modality(name: str, asked: str) -> None:
    """Refuse a kind of data that no modality stands for.

    Raises:
        NotInstalled: there is none; the message calls it what was asked for.
    """
    if name not in MODALITIES:
        raise NotInstalled(asked, _tasks())


def need_task(name: str, asked: str) -> str:
    """Return the name of the task that is meant by one of its names.

    Raises:
        NotInstalled: there is none; the message calls it what was asked for.
    """
    tasks = (task for modality in MODALITIES.values() for task in modality.tasks)
    found = next((task.name for task in tasks if name in _names(task)), None)
    if found is None:
        raise NotInstalled(asked, _tasks())
    return found


def need_options(task: str, options: Mapping[str, Any], where: str) -> None:
    """Refuse settings that the modality of a task does not have; ``where`` is what the request calls their place.

    Raises:
        UnknownKey: there is no such setting.
        BadEntry: it cannot have that value.
    """
    known = MODALITIES[modality_of(task)].options
    try:
        known.model_validate(options)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise UnknownKey(key, where, known.model_fields) from None
        raise BadEntry(key, where, fault["input"], fault["msg"].removeprefix("Input should be ")) from None


def modality_of(task: str | None) -> str:
    """Return the name of the modality that a task belongs to; what says of no task is text."""
    return next((name for name, each in MODALITIES.items() if _has(each, task)), "text")


def _has(modality: Modality, task: str | None) -> bool:
    return any(task in _names(each) for each in modality.tasks)


def _names(task: Task) -> tuple[str, ...]:
    """Return what a task is called; where names have no hyphens, it is spelled with underscores."""
    return task.name, task.name.replace("-", "_"), *task.aliases


def _tasks() -> list[str]:
    return [task.name for modality in MODALITIES.values() for task in modality.tasks]
