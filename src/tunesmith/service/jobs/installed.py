"""What this installation can train, by the registry of modalities: another one is there as soon as it is installed."""

from __future__ import annotations

from tunesmith.modalities import MODALITIES, task_named
from tunesmith.spec.errors import NotInstalled


def need_modality(name: str, asked: str) -> None:
    """Refuse a kind of data that no modality stands for.

    Raises:
        NotInstalled: there is none; the message calls it what was asked for.
    """
    if name not in MODALITIES:
        raise NotInstalled(asked, _tasks())


def need_task(name: str, asked: str) -> None:
    """Refuse a task that no modality has.

    Raises:
        NotInstalled: there is none; the message calls it what was asked for.
    """
    if task_named(name) is None:
        raise NotInstalled(asked, _tasks())


def modality_of(task: str | None) -> str:
    """Return the name of the modality that a task belongs to; what says of no task is text."""
    return next((name for name, each in MODALITIES.items() if task in [one.name for one in each.tasks]), "text")


def _tasks() -> list[str]:
    return [task.name for modality in MODALITIES.values() for task in modality.tasks]
