"""Beside the output in a model directory stand links to what people look for there: checkpoints, logs, the chart."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Final

LINKS: Final = ("checkpoints", "logs/training", "training_history.png")
"""Names in the model directory; each leads to the same name inside the output that was published last."""


def link_beside(output: Path) -> list[str]:
    """Point the names beside an output at what lies in it; return those that something else has.

    What is there and is no such link stays. A link is replaced in one step.
    """
    directory, taken = output.parent, []
    for name in LINKS:
        place = directory / name
        if (os.path.lexists(place) and not is_ours(directory, name)) or not _can_hold(place.parent):
            taken.append(name)
        elif (output / name).exists():
            _point(place, output / name)
        else:
            place.unlink(missing_ok=True)
    return taken


def is_ours(directory: Path, name: str) -> bool:
    """Whether a name in a model directory is a link into one of its outputs."""
    place = directory / name
    if not place.is_symlink():
        return False
    aim = os.path.relpath(os.path.join(place.parent, os.readlink(place)), directory)
    output, _, inside = aim.partition(os.sep)
    return output != os.pardir and inside == name


def _can_hold(folder: Path) -> bool:
    return not folder.is_symlink() and (folder.is_dir() or not folder.exists())


def _point(place: Path, aim: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    draft = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    draft.symlink_to(os.path.relpath(aim, place.parent))
    try:
        os.replace(draft, place)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
