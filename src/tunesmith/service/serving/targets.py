"""What a request means by a model's name, within what its sender may see."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, base_names
from tunesmith.modalities.folders import is_adapter, is_model
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.paths import reach_of
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.checkpoints import is_whole
from tunesmith.service.models import hub
from tunesmith.service.models.aliases import ALIASES, HubRepository
from tunesmith.service.models.directory import ModelDirectory, is_model_directory
from tunesmith.service.models.pickled import readable
from tunesmith.service.models.resolve import not_a_model
from tunesmith.service.models.tuned import STEP, TUNED
from tunesmith.spec.errors import Conflict, ModelNotFound, ModelNotReady, NotFound, RunNotFound, UnreadableFile
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.plan import settled
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service
    from tunesmith.store.models import Model

LONGEST: Final = 1024
"""Characters of a name."""
FILE_NAME: Final = 200
"""Bytes of the name of a pulled model; file systems take 255."""
LATEST: Final = "latest"
NOBODYS: Final = ""
"""Stands for the organisation of what only the operator may name: the name of a folder is nobody else's business."""
_REGISTERED: Final = re.compile(r"(?:model:)?(model-[0-9a-f]{24})")
_CHECKPOINT: Final = re.compile(rf"(?P<model>.+):{STEP}(?P<step>\d{{1,12}})")
_VERSIONED: Final = re.compile(r"(?P<name>.+?)(?:@(?P<version>latest|[1-9]\d{0,5}))?")
"""A name, and which of those that were trained under it; the first if nothing is said."""


@dataclass(frozen=True)
class Target:
    """Something that answers: a base model, alone or with what was trained on it."""

    name: str
    """What answers call it."""
    org: str | None
    """The organisation that it belongs to; None: everybody's; NOBODYS: the operator's alone."""
    base: Path
    adapter: Path | None = None
    """Folder of an adapter on the base."""
    checkpoint: Path | None = None
    """Folder of a checkpoint of a run that was trained on the base, instead of an adapter."""
    whole: bool = False
    """Whether the checkpoint has all weights, and not those of an adapter."""
    model: str | None = None
    """Its id in the registry; None for one that no job made."""
    base_org: str | None = None
    """The organisation that the base belongs to; None: everybody's."""
    result: Path | None = None
    """Folder of what the job of a checkpoint came to, where it came to something."""
    sees: bool = False
    """Whether it is asked about pictures, which some models of text can be too."""

    @property
    def weights(self) -> Path | None:
        """Folder of what was trained on the base; None for the base alone."""
        return self.adapter or self.checkpoint


def seeing(target: Target, body: Mapping[str, Any]) -> Target:
    """Return the target as it answers a chat: about pictures, where the messages show some."""
    turns = body.get("messages") or []
    parts = (part for turn in turns if isinstance(turn.get("content"), list) for part in turn["content"])
    return replace(target, sees=True) if any(part.get("type") == "image_url" for part in parts) else target


def find_target(service: Service, by: Principal, name: str, *, org: str | None = None) -> Target:
    """Return what a name means: a pulled model, what a job made, or one of its checkpoints; nothing is downloaded.

    ``name`` is a pulled name, an alias or a hub id that is on this machine, ``ft:...``, ``ft:...:ckpt-step-N``,
    ``ORG/NAME[@VERSION]`` (for one's own also without ``ORG/``), the folder or the id of what is in the registry, or
    the id of a job in any form; for the operator also any folder of a model or an adapter.

    Raises:
        NotFound: nothing that they may see is called that.
        ModelNotReady: the job that makes it is not over, or has failed.
        Forbidden: ``org`` is not theirs.
    """
    if not name.isprintable() or len(name) > LONGEST:
        raise NotFound("model", name)
    seeker = _Seeker(service, by, by.acting_for(org) if org is not None or by.org is not None else None)
    found = seeker.shared(name) or seeker.tuned(name) or seeker.registered(name) or seeker.folder(name)
    if found is None:
        raise NotFound("model", name)
    return found


class _Seeker:
    """Looks for whom, in which organisation: None is the operator, who asks for none in particular."""

    def __init__(self, service: Service, by: Principal, org: str | None) -> None:
        self._service = service
        self._by = by
        self._org = org

    def shared(self, name: str) -> Target | None:
        """Return a model that everybody may ask: one that was pulled, or that the hub's cache has."""
        folder = self._pulled(name)
        return Target(name, None, folder) if folder is not None else None

    def tuned(self, name: str) -> Target | None:
        """Return what ``ft:BASE:ORG:SUFFIX:JOB`` names, or a checkpoint on the way to that or to any other model."""
        if checkpoint := _CHECKPOINT.fullmatch(name):
            return self._checkpoint(self._job_of(checkpoint["model"]), int(checkpoint["step"]), name)
        return self._made_by(self._job_of(name), name) if name.startswith(f"{TUNED}:") else None

    def registered(self, name: str) -> Target | None:
        """Return a model of the registry by its id, its name, its folder, or the job that made it."""
        if written := _REGISTERED.fullmatch(name):
            with self._service.database.read() as connection:
                found = stored.get(connection, written[1])
            return self._target(found, name)
        if job_id_of(name) is not None:
            return self._made_by(self._job(name, name), name)
        if os.path.isabs(name):
            with self._service.database.read() as connection:
                at = stored.at(connection, os.path.normpath(name))
            return next((self._target(model, name) for model in at if self._sees(model.org)), None)
        return self._named(name)

    def folder(self, name: str) -> Target | None:
        """Return what lies in a folder; for the operator alone, who may name any."""
        if not self._by.is_operator or self._org is not None:
            return None
        found = reach_of(self._service.settings, "", self._by, Path.cwd()).found(name)
        if found is None or not found.is_dir():
            return None
        folder = ModelDirectory(found).model if is_model_directory(found) else found
        if (folder / ADAPTER_CONFIG).is_file():
            bases = base_names(folder)
            base = next((base for base in map(self._base, bases) if base), None)
            if base is None:
                raise ModelNotFound(name, f"Its base '{next(iter(bases), 'unknown')}' is not on this machine: pull it.")
            return Target(name, NOBODYS, base, adapter=folder.resolve(), base_org=self._owner(base, NOBODYS))
        if not is_model(folder):
            raise not_a_model(name, folder)
        return Target(name, NOBODYS, readable(folder.resolve(), name, self._service.settings), base_org=NOBODYS)

    def _pulled(self, name: str) -> Path | None:
        found = self._fetched(name)
        return None if found is None else readable(found, name, self._service.settings)

    def _fetched(self, name: str) -> Path | None:
        models = self._service.settings.models_dir
        if len(os.fsencode(name)) > FILE_NAME:
            return None
        if name and not name.startswith(".") and Path(name).name == name and is_model(models / name):
            return models / name
        alias = ALIASES.get(name)
        if alias is not None and alias.kind == "model" and isinstance(alias.source, HubRepository):
            return hub.cached(alias.source.repository, alias.source.revision)
        return hub.cached(name) if hub.is_hub_id(name) else None

    def _base(self, written: str) -> Path | None:
        """Return the folder of a base that a run's files name."""
        folder = Path(written)
        if folder.is_absolute() and is_model(folder):
            return readable(folder.resolve(), written, self._service.settings)
        return self._pulled(written)

    def _named(self, name: str) -> Target | None:
        """Return a model by its name in its organisation, which may stand before it."""
        owner, _, rest = name.partition("/")
        own = self._by.acting_for(self._org)
        for org, words in ((owner, rest), (own, name)):
            written = _VERSIONED.fullmatch(words)
            if written is None or not words or not self._sees(org):
                continue
            found = self._first(org, self._spelled(written, org))
            if found is not None:
                return self._target(found, name)
        return None

    def _spelled(self, written: re.Match[str], org: str) -> list[str]:
        """Return the names in the registry that a name with a version may mean, the likeliest first."""
        name, version = written["name"], written["version"]
        if version != LATEST:
            return [name if version in (None, "1") else f"{name}-{version}"]
        numbered = re.compile(re.escape(name) + r"(-\d+)?")
        with self._service.database.read() as connection:
            return [model.name for model in stored.listed(connection, org) if numbered.fullmatch(model.name)]

    def _first(self, org: str, names: Iterable[str]) -> Model | None:
        """Return the first model of an organisation that has one of some names."""
        with self._service.database.read() as connection:
            return next(filter(None, (stored.named(connection, org, name) for name in names)), None)

    def _made_by(self, found: queue.Job, name: str) -> Target | None:
        """Return what a job made."""
        with self._service.database.read() as connection:
            made = stored.listed(connection, found.org, job=found.id)
        if not made and found.state is RunState.SUCCEEDED:
            raise NotFound("model", name)  # It trained nothing, or what it made has been deleted.
        if not made:
            raise ModelNotReady(name, found.state.value)
        return self._target(made[0], name)

    def _checkpoint(self, found: queue.Job, step: int, name: str) -> Target:
        """Return a checkpoint of a job, of the run that saved it last."""
        for run in reversed(queue.runs_of(self._service, found)):
            folder = RunFolder(self._service.settings.runs_dir / run.id)
            saved = next(
                (each for each in checkpoints.listed(folder) if each.step == step and is_whole(each.path)), None
            )
            if saved is None:
                continue
            plan = folder.plan()
            base = self._base(plan.model.path) or self._base(plan.model.source)
            if base is None:
                raise ModelNotFound(name, f"Its base '{plan.model.source}' is not on this machine: pull it.")
            whole = not settled(plan.spec.recipe.method, "recipe.method").adapts
            owner = self._owner(base, found.org)
            result = self._result(found, is_model if whole else is_adapter)
            return Target(name, found.org, base, checkpoint=saved.path, whole=whole, base_org=owner, result=result)
        raise NotFound("checkpoint", name)

    def _result(self, found: queue.Job, is_there: Callable[[Path], bool]) -> Path | None:
        """Return the result of a job, which a later run may have come to than the one that saved a checkpoint."""
        runs = reversed(queue.runs_of(self._service, found))
        folders = (RunFolder(self._service.settings.runs_dir / run.id).artifacts_dir for run in runs)
        return next((folder for folder in folders if is_there(folder)), None)

    def _job_of(self, name: str) -> queue.Job:
        """Return the job that a name ends with, or that made the model of that name.

        Raises:
            NotFound: there is none, or it belongs to another organisation than the name says.
        """
        parts = name.split(":")
        if parts[0] == TUNED:
            job = self._job(parts[-1], name)
            if len(parts) < 5 or parts[2] != job.org:
                raise NotFound("model", name)
            return job
        if job_id_of(name) is not None:
            return self._job(name, name)
        job = self._job(name.rpartition("-")[2], name)
        if job.extra.get("model_name") != name:
            raise NotFound("model", name)
        return job

    def _job(self, written: str, name: str) -> queue.Job:
        """Return a job that they see, by any form of its id.

        Raises:
            NotFound: there is none.
        """
        with contextlib.suppress(NotFound):
            job = queue.get(self._service, written, self._by)
            if self._sees(job.org):
                return job
        raise NotFound("model", name)

    def _target(self, model: Model | None, name: str) -> Target | None:
        """Return where a model of the registry lies; None if they do not see it."""
        if model is None or not self._sees(model.org):
            return None
        # The result in the run's folder stays as it was made; where it was published another may lie by now.
        kept = self._service.settings.runs_dir / str(model.run) / "artifacts"
        there = is_adapter if model.kind == "adapter" else is_model
        folder = next((place for place in (kept, Path(model.path)) if there(place)), None)
        if folder is None:
            raise Conflict(f"The files of model '{name}' are not on this machine.", "Ask a server where they lie.")
        if model.kind != "adapter":
            return Target(name, model.org, folder.resolve(), model=model.id, base_org=model.org)
        bases = (*self._planned(model), model.base, *base_names(folder))
        base = next((base for base in map(self._base, bases) if base), None)
        if base is None:
            raise ModelNotFound(name, f"Its base '{model.base}' is not on this machine: pull it.")
        owner = self._owner(base, model.org)
        return Target(name, model.org, base, adapter=folder.resolve(), model=model.id, base_org=owner)

    def _planned(self, model: Model) -> list[str]:
        """Return where the base of a model lay when its run was planned."""
        try:
            return [RunFolder(self._service.settings.runs_dir / str(model.run)).plan().model.path]
        except (RunNotFound, UnreadableFile):
            return []

    def _owner(self, base: Path, org: str) -> str | None:
        """Return whose a base is: what was pulled is everybody's, anything else whose job names it."""
        shared = (self._service.settings.models_dir, hub.cache_dir())
        return None if any(base.is_relative_to(folder) for folder in shared) else org

    def _sees(self, org: str) -> bool:
        return self._by.sees(org) and self._org in (None, org)
