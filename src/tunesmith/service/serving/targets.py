"""What a request means by a model's name, within what its sender may see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.spec.errors import NotFound

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service


@dataclass(frozen=True)
class Target:
    """Something that answers: a base model, alone or with an adapter."""

    name: str
    """What answers call it."""
    org: str | None
    """The organisation that it belongs to; None: everybody's."""
    base: Path
    adapter: Path | None = None
    """Folder of an adapter on the base."""
    checkpoint: Path | None = None
    """Folder of a checkpoint of the run that was trained on the base, instead of an adapter."""
    model: str | None = None
    """Its id in the registry; None for one that no job made."""


def find_target(service: Service, by: Principal, name: str, *, org: str | None = None) -> Target:
    """Return what a name means: a pulled model, what a job made, or one of its checkpoints; nothing is downloaded.

    ``name`` is a pulled name, an alias or a hub id that is on this machine, ``ft:...``, ``ft:...:ckpt-step-N``,
    ``ORG/NAME[@VERSION]``, an id of the registry, or the id of a job in any form; for the operator also a folder.

    Raises:
        NotFound: nothing that they may see is called that.
        ModelNotReady: the job that makes it is not over, or has failed.
        Forbidden: ``org`` is not theirs.
    """
    raise NotFound("model", name)
