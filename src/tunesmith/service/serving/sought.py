"""Whom a command means to talk to: folders and names on this machine, results of runs, models of a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.modalities.folders import TEXT_DOORS, WRITES, Way, is_adapter, use_of
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import published_run
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs.continuation import PREFIX
from tunesmith.service.jobs.work_folders import adapts, model_folders
from tunesmith.service.models.directory import is_model_directory
from tunesmith.service.models.tuned import STEP, TUNED
from tunesmith.service.serving.session import OwnSession, ServerSession, Session
from tunesmith.service.serving.standalone import named, standalone
from tunesmith.service.serving.targets import Target, find_target
from tunesmith.service.system.server_file import live_server
from tunesmith.spec.errors import AskedOtherwise, ModelNotFound, NotFound
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import Device

if TYPE_CHECKING:
    from tunesmith.settings import Settings
    from tunesmith.spec.work import ModelFolders

LINKS: Final = ("best", "last")
"""Checkpoints that are called otherwise than by their step."""


def session_with(
    settings: Settings,
    model: str | None,
    adapter: Path | None = None,
    checkpoint: str | None = None,
    *,
    way: Way = "chat",
) -> Session:
    """Return a session with a model, which begins as a ``with`` block.

    ``model`` is a folder (a model directory with what was trained in it), a pulled name, a hub id, a run by its id or
    name, or, with a server or a database in this home, whatever these call a model. ``checkpoint`` chooses one of its
    run: a step, ``best`` or ``last``. ``way`` is how it will be asked.

    Raises:
        AskedOtherwise: models of its kind are asked in another way.
        TunesmithError: nothing that answers is called that, or not yet.
    """
    if way == "predict":
        assert model is not None
        return _of_service(settings, model, way) or _own(settings, _on_disk(settings, model, checkpoint), way)
    _refuse_silent(settings, model, adapter)
    if model is None or adapter is not None or is_model_directory(expanded(model)):
        about = standalone(settings, named(model, adapter), device=Device.AUTO, precision=None)
        return OwnSession(settings, about.target, device=about.device, precision=about.precision, notes=about.notes)
    name = f"{model}:{STEP}{checkpoint}" if checkpoint and model.startswith(f"{TUNED}:") else model
    if (checkpoint is None or name != model) and (found := _of_service(settings, name, way)) is not None:
        return found
    return _own(settings, _on_disk(settings, model, checkpoint), way)


def _own(settings: Settings, target: Target, way: Way) -> Session:
    """Return a session with a process of its own, unless models of this kind are asked in another way."""
    use = use_of(target.base, target.adapter)
    if use is None and way == "predict":
        raise AskedOtherwise(target.name, WRITES, TEXT_DOORS)
    if use is not None and way not in use.ways:
        raise AskedOtherwise(target.name, use.does, use.doors)
    return OwnSession(settings, target)


def _refuse_silent(settings: Settings, model: str | None, adapter: Path | None) -> None:
    """Refuse a folder of something that does not chat before its files are looked at as those of text."""
    folders = [adapter, None if model is None else expanded(model)]
    for folder in folders:
        use = use_of(folder, folder if is_adapter(folder) else None) if folder is not None else None
        if folder is not None and use is not None and "chat" not in use.ways:
            raise AskedOtherwise(folder.name, use.does, use.doors)


def _of_service(settings: Settings, name: str, way: Way) -> Session | None:
    """Return the model that a server or a database of this home calls so; None if neither does."""
    is_path = name.startswith((PREFIX, ".", "/", "~")) or Path(name).is_dir() or (settings.models_dir / name).is_dir()
    if is_path:
        return None
    address = live_server(settings)
    if address is not None and (session := ServerSession(address, name)).is_there:
        return session
    if settings.database_url is None and not (settings.home / "tunesmith.db").is_file():
        return None
    from tunesmith.service.context import open_service

    service = open_service(settings)
    try:
        return _own(settings, find_target(service, OPERATOR, name), way)
    except NotFound:
        return None
    finally:
        service.close()


def _on_disk(settings: Settings, name: str, checkpoint: str | None) -> Target:
    """Return what a folder, a pulled name, a hub id or a run holds."""
    found = model_folders(name, settings)
    saved = _saved(found, checkpoint)
    if saved is None:
        return Target(found.name, None, Path(found.model), adapter=Path(found.adapter) if found.adapter else None)
    run = RunFolder(saved.parent.parent)
    base = Path(run.plan().model.path)
    return Target(f"{run.id}:{saved.name}", None, base, checkpoint=saved, whole=not adapts(found))


def _saved(found: ModelFolders, checkpoint: str | None) -> Path | None:
    """Return the folder of the checkpoint that answers; None where the result does."""
    run = RunFolder(Path(found.run)) if found.run is not None else None
    if checkpoint is not None:
        if run is None:
            raise ModelNotFound(f"{found.name} at {checkpoint}", "Only runs have checkpoints: `tunesmith runs list`.")
        return _checkpoint(run, checkpoint)
    if found.checkpoint is not None:
        return Path(found.checkpoint).resolve()
    if run is None or found.adapter is not None:
        return None
    if Path(found.model) == run.artifacts_dir or published_run(Path(found.model)) == run.id:
        return None  # The folder is the run's result, here or where it was published.
    newest = checkpoints.start_of(run)
    assert newest is not None  # model_folders refuses a run that has neither a result nor a checkpoint.
    return newest.path


def _checkpoint(run: RunFolder, written: str) -> Path:
    """Return the folder of a run's checkpoint.

    Raises:
        ModelNotFound: the run has none of that name, or it is damaged.
    """
    name = written if written in LINKS else f"checkpoint-{written.removeprefix('checkpoint-')}"
    folder = (run.checkpoints_dir / name).resolve()
    if folder.parent != run.checkpoints_dir.resolve() or not checkpoints.verify(folder):
        there = ", ".join(str(each.step) for each in checkpoints.listed(run)) or "none"
        raise ModelNotFound(f"{run.id} at {written}", f"It has these checkpoints: {there}.")
    return folder
