"""What can be trained: one folder per modality, all of the same files.

May import training, data, runs, settings and spec. ``base.py``, the packages' ``__init__``, ``options.py``,
``families.py``, ``chat_template.py`` and ``encode.py`` are light (no torch); builder, metrics and predictor are heavy.
A model family is one row in ``<modality>/families.py``; another modality is a folder and its name below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunesmith.modalities import audio, diffusion, multimodal, text, vision
from tunesmith.modalities.base import Modality, Task

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan

MODALITIES: Final[dict[str, Modality]] = {
    modality.name: modality
    for modality in (text.MODALITY, vision.MODALITY, audio.MODALITY, multimodal.MODALITY, diffusion.MODALITY)
}


def task_named(name: str | None) -> Task | None:
    """Return the task of a plan, by its name."""
    tasks = (task for modality in MODALITIES.values() for task in modality.tasks)
    return next((task for task in tasks if task.name == name), None)


def task_of(name: str | None) -> Task:
    """Return the task of a plan that was made; what says of no task, such as an adapter from elsewhere, writes text."""
    return task_named(name) or text.MODALITY.tasks[0]


def counted(plan: Plan) -> str:
    """Return what speed is told in: text in tokens, pictures and sounds by the piece unless their loss is of tokens."""
    return task_of(plan.spec.task).counts if plan.model.modality != text.MODALITY.name else "token"


def measured_in(plan: Plan) -> str:
    """Return what the length of a row is told in: tokens, frames of a recording, or patches of a picture."""
    return {"token": "token", "sound": "frame"}.get(counted(plan), "patch")
