"""From what the user wrote to where it is: model folders and data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, base_names
from tunesmith.service.models import hub
from tunesmith.service.models.aliases import ALIASES, HubRepository, known_names
from tunesmith.spec.errors import DataNotFound, ModelNotFound, did_you_mean
from tunesmith.spec.job import ModelRef

if TYPE_CHECKING:
    from tunesmith.settings import Settings


def resolve_model(ref: ModelRef, settings: Settings) -> Path:
    """Return the folder of a model: a folder itself, a pulled name, or a snapshot of the hub (fetched if need be).

    Raises:
        ModelNotFound: nothing is called that; the message names what comes nearest, or how to get it.
    """
    folder = Path(ref.source).expanduser()
    if (folder / "config.json").is_file():
        return folder.resolve()
    pulled = _pulled(ref.source, settings.models_dir)
    if pulled is not None and (pulled / "config.json").is_file():
        return pulled
    if folder.is_dir():
        raise _not_a_model(ref.source, folder)
    alias = ALIASES.get(ref.source)
    if alias is not None and alias.kind == "model":
        if not isinstance(alias.source, HubRepository):
            raise ModelNotFound(ref.source, f"Fetch it first: tunesmith pull {ref.source}.")
        return hub.fetch(alias.source.repository, ref.revision, offline=settings.offline)
    if hub.is_hub_id(ref.source) and not _reads_like_a_path(ref.source):
        return hub.fetch(ref.source, ref.revision, offline=settings.offline)
    raise ModelNotFound(ref.source, _what_there_is(ref.source, settings))


def resolve_data(uri: str, settings: Settings) -> str:
    """Return where data is: the files of a pulled data set for its name, anything else as it was written.

    Raises:
        DataNotFound: the name is known but has not been pulled.
    """
    if Path(uri).expanduser().exists():
        return uri
    pulled = _pulled(uri, settings.datasets_dir)
    if pulled is not None:
        files = sorted(str(file) for file in pulled.glob("*.jsonl"))
        return ",".join(files) or str(pulled)
    alias = ALIASES.get(uri)
    if alias is not None and alias.kind == "dataset":
        raise DataNotFound(uri, f"Fetch it first: tunesmith pull {uri}")
    return uri


def _pulled(name: str, folder: Path) -> Path | None:
    """Return the folder of that name, if the name is a plain one and the folder is there."""
    plain = name not in ("", ".", "..") and not name.startswith(".") and Path(name).name == name
    return folder / name if plain and (folder / name).is_dir() else None


def _not_a_model(source: str, folder: Path) -> ModelNotFound:
    if (folder / ADAPTER_CONFIG).is_file():
        base = next(iter(base_names(folder)), "another model")
        return ModelNotFound(source, f"The folder holds an adapter of '{base}': name that as the model.")
    return ModelNotFound(source, "The folder holds no config.json.")


def _reads_like_a_path(source: str) -> bool:
    """Whether somebody who wrote this meant a folder: its first part is one, or it begins like a path."""
    return source.startswith((".", "~", "/")) or Path(source).parent.is_dir()


def _what_there_is(source: str, settings: Settings) -> str:
    pulled = [path.name for path in settings.models_dir.glob("[!.]*") if path.is_dir()]
    names = sorted({*pulled, *known_names("model")})
    near = did_you_mean(source, names).strip()
    return f"{near} Give a folder, a hub id (owner/name), or one of: {', '.join(names)}.".strip()
