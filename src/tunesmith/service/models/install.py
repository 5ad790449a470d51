"""Installs a model into a directory of its own, from where it is trained and talked to by scripts.

Everything can be done again: what a kill interrupted is ended by the next installation, and what is there stays.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities import MODALITIES
from tunesmith.modalities.base import family_of
from tunesmith.planning.model_files import model_facts
from tunesmith.runs.durable import disk_full, is_no_room, sync_folder, write_json
from tunesmith.runs.output_lock import PRIVATE, locked
from tunesmith.service.models import hub
from tunesmith.service.models.aliases import ALIASES
from tunesmith.service.models.directory import BEGUN, COMPLETE, INFO, WHERE, ModelDirectory, remember
from tunesmith.service.models.fetching import Progress
from tunesmith.service.models.launchers import SCRIPTS, write_scripts
from tunesmith.service.models.pull import is_pulled, pull
from tunesmith.service.models.resolve import resolve_model
from tunesmith.spec.errors import DirectoryTaken, NotAModelDirectory, OutputUnusable
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import ModelRef

if TYPE_CHECKING:
    from tunesmith.settings import Settings
    from tunesmith.spec.plan import ModelFacts

LARGE: Final = 2**20
"""Bytes from which a file is shared with the pull (a hard link) instead of copied."""
_ON_THE_HUB: Final = " on the hub"


def install(
    source: str | None, settings: Settings, progress: Progress, *, directory: Path | None = None
) -> ModelDirectory:
    """Make a model directory, or end and renew one; without a ``source``, the one that is in ``directory``.

    Raises:
        ModelNotFound, NotALanguageModel, PullFailed, Offline: there is no such model, or it cannot be had.
        DirectoryTaken: the folder holds something else.
        NotAModelDirectory: no source is given and nothing is installed there.
        OutputUnusable, DiskFull: the folder cannot be written; what is there can be ended by installing again.
    """
    source = source if source is not None else _installed_source(directory)
    name = identity(source)
    target = ModelDirectory(Path(os.path.abspath(expanded(directory or WHERE / name.replace("/", "_")))))
    _refuse_another(target, name)
    folder = None if target.is_complete else _model_folder(source, settings, progress)
    facts = model_facts(folder, source) if folder is not None else None
    with _usable(target.path), locked(target.path) as private:
        _refuse_another(target, name)
        _refuse_foreign(target.path, mine=bool(target.info))
        stage = private / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        if folder is not None and facts is not None and not target.is_complete:
            _fill(target, {"model_id": name, "source": _lasting(source)}, folder, facts, stage, progress)
        write_scripts(target.path, stage)
        shutil.rmtree(stage)
    remember(target, settings)
    return target


def identity(source: str) -> str:
    """Return the name of a model: owner/name where its makers publish it, else the name of its folder."""
    folder = expanded(source)
    if (folder / "config.json").is_file():
        snapshot = next((part for part in folder.resolve().parts if part.startswith("models--")), None)
        return snapshot.removeprefix("models--").replace("--", "/") if snapshot else folder.resolve().name
    alias = ALIASES.get(source)
    if alias is None:
        return source
    published = alias.origin.removesuffix(_ON_THE_HUB)
    return published if hub.is_hub_id(published) else alias.name


def describe(directory: ModelDirectory) -> dict[str, Any]:
    """Return what there is to know of a model directory."""
    return {
        **directory.info,
        "model_id": directory.model_id,
        "directory": str(directory.path),
        "complete": directory.is_complete,
        "results": directory.results(),
    }


def _installed_source(directory: Path | None) -> str:
    """Return what was installed in a directory."""
    if directory is None:
        raise NotAModelDirectory("--dir")
    found = ModelDirectory(expanded(directory))
    source = found.info.get("source")
    if not source:
        raise NotAModelDirectory(directory)
    return str(source)


def _lasting(source: str) -> str:
    """Return what names the model from any working folder."""
    folder = expanded(source)
    return str(folder.resolve()) if folder.is_dir() else source


def _refuse_another(target: ModelDirectory, name: str) -> None:
    if target.info and target.model_id != name:
        raise DirectoryTaken(target.path, f"the model {target.model_id}")


def _refuse_foreign(path: Path, *, mine: bool) -> None:
    if not mine and any(entry.name != PRIVATE for entry in path.iterdir()):
        raise DirectoryTaken(path, "other files, and no installation made it")


def _fill(
    target: ModelDirectory, asked: dict[str, str], folder: Path, facts: ModelFacts, stage: Path, progress: Progress
) -> None:
    """Bring the model and what is known of it; the mark comes last."""
    write_json(target.path / BEGUN, asked)
    (target.path / COMPLETE).unlink(missing_ok=True)
    files = _wanted(folder)
    target.model.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        progress(file.name, number / len(files))
        _bring(file, stage / file.name, target.model / file.name)
    sync_folder(target.model)
    size = sum(file.stat().st_size for file in files)
    info = {
        "model_id": asked["model_id"],
        "model_type": facts.model_type,
        "model_family": family_of(facts.model_type, MODALITIES["text"].families).name,
        "parameters": facts.parameters,
        "model_size_gb": round(size / 1e9, 3),
        "source": asked["source"],
        "installed_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(target.path / INFO, info)
    made = [f"model/{file.name}" for file in files]
    write_scripts(target.path, stage)
    write_json(target.path / COMPLETE, {"model_id": asked["model_id"], "files": [*made, *SCRIPTS, INFO]})
    (target.path / BEGUN).unlink()


def _model_folder(source: str, settings: Settings, progress: Progress) -> Path:
    """Return the folder of the model's files, fetching it first where a name is known and nothing is there."""
    if source in ALIASES and not expanded(source).is_dir() and not is_pulled(source, settings):
        return pull(source, settings, progress)
    return resolve_model(ModelRef(source=source), settings)


def _wanted(folder: Path) -> list[Path]:
    """Return the files of a model: no pickled weights, nothing of what training left beside them."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and any(fnmatch.fnmatch(path.name, pattern) for pattern in hub.WANTED)
    )


def _bring(source: Path, draft: Path, target: Path) -> None:
    """Put a file in its place in one step. Large ones are linked: the pull may go, and nothing is there twice."""
    origin = source.resolve()
    if target.is_file() and origin.stat().st_size >= LARGE and _same(origin, target):
        return
    try:
        if origin.stat().st_size < LARGE:
            shutil.copyfile(origin, draft)
        else:
            os.link(origin, draft)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES):
            raise
        shutil.copyfile(origin, draft)
    os.replace(draft, target)


def _same(origin: Path, target: Path) -> bool:
    """Whether an earlier installation brought the file already, which it does wholly or not at all."""
    first, second = origin.stat(), target.stat()
    return os.path.samestat(first, second) or first.st_size == second.st_size


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Turn what the system says of a folder into our own errors."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise disk_full(path, 0) from error
        raise OutputUnusable(path, (error.strerror or str(error)).lower()) from error
