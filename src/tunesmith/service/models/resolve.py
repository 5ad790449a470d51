"""From what the user wrote to where it is: model folders and data sets."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.data import files
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, base_names
from tunesmith.modalities.folders import is_model
from tunesmith.service.models import hub, hub_data
from tunesmith.service.models.aliases import ALIASES, HubRepository, known_names
from tunesmith.service.models.directory import ModelDirectory, is_model_directory
from tunesmith.service.models.pickled import readable, silently
from tunesmith.service.models.pull import made_yolo
from tunesmith.service.models.yolo import yolo_named
from tunesmith.spec.errors import DataNotFound, ModelNotFound, did_you_mean
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import DatasetRef, ModelRef

if TYPE_CHECKING:
    from tunesmith.settings import Settings

WORKING_FOLDER: Final = Path()
_WORD: Final = re.compile(r"[A-Za-z0-9][\w.-]{2,95}")
"""Names of the hub's oldest data sets, which have no owner; a shorter one is rather a drive."""
_CHOICE: Final = re.compile(r"[\w.+-]+")
"""Names of configurations and splits."""
_LONGEST: Final = 250
"""Characters of a name, with what is chosen of it."""


def resolve_model(ref: ModelRef, settings: Settings, start: Path = WORKING_FOLDER) -> Path:
    """Return the folder of a model: a folder itself, a pulled name, or a snapshot of the hub (fetched if need be).

    What could be a path is one from ``start``.

    Raises:
        ModelNotFound: nothing is called that; the message names what comes nearest, or how to get it.
        TrainedElsewhere: it is a YOLO of the package ultralytics, which is not installed, or one that is not trained.
        PullFailed: what it is made of is not what its name says, or more is pickled in its weights than numbers.
    """
    return readable(_model_folder(ref, settings, start), ref.source, settings)


def _model_folder(ref: ModelRef, settings: Settings, start: Path) -> Path:
    folder = expanded(_path_from(start, ref.source))
    if is_model_directory(folder):
        folder = ModelDirectory(folder).model
    if is_model(folder):
        return folder.resolve()
    pulled = _pulled(ref.source, settings.models_dir)
    if pulled is not None and is_model(pulled):
        return pulled
    if folder.is_dir():
        raise not_a_model(ref.source, folder)
    yolo = yolo_named(ref.source)
    if yolo is not None:
        return made_yolo(yolo, settings, silently)
    alias = ALIASES.get(ref.source)
    if alias is not None and alias.kind == "model":
        if not isinstance(alias.source, HubRepository):
            raise ModelNotFound(ref.source, f"Fetch it first: tunesmith pull {ref.source}.")
        return hub.fetch(alias.source.repository, ref.revision or alias.source.revision, offline=settings.offline)
    if hub.is_hub_id(ref.source) and not _reads_like_a_path(ref.source, start):
        return hub.fetch(ref.source, ref.revision, offline=settings.offline)
    raise no_such_model(ref.source, settings)


def resolve_data(uri: str, settings: Settings, start: Path = WORKING_FOLDER) -> str:
    """Return where data is: a folder or files for the name of a data set, anything else as it was written.

    What is there by that name in the folder ``start`` comes first, then what was pulled, then the hub's cache, then the
    hub. A name may be followed by a split, a configuration, or both: ``squad:train``, ``glue:cola:validation``.

    Raises:
        DataNotFound: no data set is called that, or it has not been pulled.
        UnreadableData: no file of the hub's data set can be read as rows.
        PullFailed, DiskFull: it could not be fetched.
    """
    parts = files.parts(uri, there=lambda name: files.is_there(_path_from(start, name)))
    return ",".join(_resolved(part, settings, start) for part in parts)


def is_model_name(source: str, settings: Settings) -> bool:
    """Whether a model could be called so that was pulled or may be fetched; nothing is asked of the network.

    Raises:
        TrainedElsewhere: it is a YOLO of the package ultralytics, which is not installed, or one that is not trained.
    """
    if len(source) > _LONGEST:
        return False
    if _pulled(source, settings.models_dir) is not None or yolo_named(source) is not None:
        return True
    alias = ALIASES.get(source)
    return alias.kind == "model" if alias is not None else hub.is_hub_id(source)


def is_data_name(part: str, settings: Settings) -> bool:
    """Whether a data set could be called so that was pulled or may be fetched; nothing is asked of the network."""
    name, *choice = part.split(":")
    if len(part) > _LONGEST or len(choice) > 2 or not all(map(_CHOICE.fullmatch, choice)):
        return False
    if _pulled(name, settings.datasets_dir) is not None:
        return True
    alias = ALIASES.get(name)
    if alias is not None:
        return alias.kind == "dataset"
    return hub.is_hub_id(name) or ("/" not in name and _may_be_on_the_hub(name, WORKING_FOLDER))


def no_such_model(source: str, settings: Settings) -> ModelNotFound:
    """Make the error of a name that no model has, with what comes nearest."""
    return ModelNotFound(source, _what_there_is(source, settings))


def not_a_model(source: str, folder: Path) -> ModelNotFound:
    """Make the error of a folder that holds no model, with what it holds instead."""
    if (folder / ADAPTER_CONFIG).is_file():
        base = next(iter(base_names(folder)), "another model")
        return ModelNotFound(source, f"The folder holds an adapter of '{base}': name that as the model.")
    return ModelNotFound(source, "The folder holds neither config.json nor adapter_config.json.")


@dataclass(frozen=True)
class Resolved:
    """Data sets that are found."""

    datasets: list[DatasetRef]
    notes: list[str]
    """What the user should know of how they are used, one sentence each."""


def resolve_datasets(datasets: Sequence[DatasetRef], settings: Settings, start: Path = WORKING_FOLDER) -> Resolved:
    """Find data sets; a folder or archive that has splits of its own trains on ``train`` alone.

    Its validation rows validate, unless other data is marked for that, and its test rows are kept for the end.

    Raises: as ``resolve_data``.
    """
    found: list[DatasetRef] = []
    notes: list[str] = []
    marked = {side for side in ("validation", "test") for dataset in datasets if getattr(dataset, side)}
    for dataset in datasets:
        uri = resolve_data(dataset.uri, settings, start)
        ref = dataset.model_copy(update={"uri": uri, "within": _within(dataset, uri, settings)})
        splits = None if ref.validation or ref.test else _own_splits(ref.uri)
        if splits is None:
            found.append(ref)
            continue
        taken = {side: uri for side, uri in splits.uris.items() if side != "train" and side not in marked}
        found.append(ref.model_copy(update={"uri": splits.uris["train"]}))
        found += [ref.model_copy(update={"uri": uri, side: True, "limit": None}) for side, uri in taken.items()]
        notes.append(_how_used(dataset.uri, splits, taken))
    return Resolved(found, notes)


def _within(dataset: DatasetRef, uri: str, settings: Settings) -> tuple[str, ...] | None:
    """Add the folders of what was named and is found now to those that rows may name pictures in."""
    if dataset.within is None:
        return None
    found = [Path(part) for part in files.parts(uri) if part not in files.parts(dataset.uri)]
    roots = (settings.datasets_dir, hub.cache_dir())
    own = [str(root / path.relative_to(root).parts[0]) for path in found for root in roots if path.is_relative_to(root)]
    return (*dataset.within, *dict.fromkeys(own))


@dataclass(frozen=True)
class _Splits:
    """Splits that a folder or archive has of its own."""

    uris: dict[str, str]
    """Where the rows for train, validation and test are, as far as there are any."""
    others: int
    """Files that are in none of its splits."""


def _own_splits(uri: str) -> _Splits | None:
    """Return the splits of a folder or archive; None without further ones beside ``train``, or if one is named."""
    folder, choice = files.divided(uri) or (expanded(uri), [])
    layout = files.layout_at(folder) if files.is_there(str(folder)) else None
    if layout is None or len(choice) > 1 or (choice and layout.split(layout.default, choice[0])):
        return None
    config = layout.config_of(choice)
    if config is None and layout.written:
        raise DataNotFound(uri, f"Choose one of its configurations. {layout.offer(str(folder))}")
    named = {side: layout.name_of(config, side) for side in ("train", "validation", "test")}
    if named["train"] is None or (not layout.written and len(set(named.values()) - {None}) == 1):
        return None
    base = f"{folder}:{config}" if len(layout.configs) > 1 else str(folder)
    uris = {
        side: f"{base}:{name}" for side, name in named.items() if name and (side == "train" or name != named["train"])
    }
    return _Splits(uris, len(layout.others))


def _how_used(written: str, splits: _Splits, taken: Mapping[str, str]) -> str:
    uses = {"validation": "validates", "test": "is kept for the test at the end"}
    train = splits.uris["train"].rsplit(":", 1)[1]
    others = "".join(f", {uri.rsplit(':', 1)[1]} {uses[side]}" for side, uri in taken.items())
    left_out = f" Files in no split are not read: {splits.others}." if splits.others else ""
    return f"{written} has splits of its own: {train} trains{others}.{left_out}"


def _path_from(start: Path, written: str) -> str:
    """Return what was written as a path that begins at ``start``, unless it begins elsewhere by itself."""
    return written if written.startswith("~") else os.path.join(start, written)


def _resolved(part: str, settings: Settings, start: Path) -> str:
    place = _path_from(start, part)
    if files.is_there(place) or files.divided(place) or glob.has_magic(part):
        return part
    name, *choice = part.split(":")
    pulled = _pulled(name, settings.datasets_dir)
    if pulled is not None:
        return _part_of(pulled, choice)
    alias = ALIASES.get(name)
    if alias is not None and alias.kind == "dataset":
        raise DataNotFound(part, f"Fetch it first: tunesmith pull {name}")
    if len(choice) > 2 or not _may_be_on_the_hub(name, start):
        return part
    return ":".join([str(hub_data.fetch(name, choice, offline=settings.offline)), *choice])


def _part_of(pulled: Path, choice: Sequence[str]) -> str:
    """Return the rows of a pulled data set, or the part of it that was named."""
    if choice or files.layout_at(pulled) is not None:
        return ":".join([str(pulled), *choice])
    return ",".join(sorted(str(file) for file in pulled.glob("*.jsonl"))) or str(pulled)


def _may_be_on_the_hub(name: str, start: Path) -> bool:
    """Whether a name could be one of the hub's, and is not rather the name of a file that is missing."""
    if "/" in name:
        return hub.is_hub_id(name) and not _reads_like_a_path(name, start)
    return _WORD.fullmatch(name) is not None and not Path(name).suffix


def _pulled(name: str, folder: Path) -> Path | None:
    """Return the folder of that name, if the name is a plain one and the folder is there."""
    plain = name not in ("", ".", "..") and not name.startswith(".") and Path(name).name == name
    return folder / name if plain and (folder / name).is_dir() else None


def _reads_like_a_path(source: str, start: Path) -> bool:
    """Whether somebody who wrote this meant a folder: its first part is one, or it begins like a path."""
    return source.startswith((".", "~", "/")) or Path(start, source).parent.is_dir()


def _what_there_is(source: str, settings: Settings) -> str:
    pulled = [path.name for path in settings.models_dir.glob("[!.]*") if path.is_dir()]
    names = sorted({*pulled, *known_names("model")})
    near = did_you_mean(source, names).strip()
    return f"{near} Give a folder, a hub id (owner/name), or one of: {', '.join(names)}.".strip()
