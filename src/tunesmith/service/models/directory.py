"""Model directories: a model with the scripts that train it and talk to it, and what its training leaves there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.runs.durable import read_json, write_json
from tunesmith.settings import Settings
from tunesmith.spec.errors import NotAModelDirectory
from tunesmith.spec.home_paths import expanded

WHERE: Final = Path("~/LLM/models")
"""Where models are installed unless somebody says otherwise."""
COMPLETE: Final = ".install_complete"
"""Written last: without it nothing is trained here."""
BEGUN: Final = ".installing"
"""Written first, gone when all is there."""
INFO: Final = "model_info.json"


@dataclass(frozen=True)
class ModelDirectory:
    """A model directory, whole or half installed."""

    path: Path

    @property
    def model(self) -> Path:
        """Folder of the model's own files."""
        return self.path / "model"

    @property
    def is_complete(self) -> bool:
        """Whether the installation came to its end and its files are still there."""
        made = read_json(self.path / COMPLETE)
        files = made.get("files") if isinstance(made, dict) else None
        return isinstance(files, list) and all((self.path / str(name)).is_file() for name in files)

    @property
    def files(self) -> list[str]:
        """Names of the files that the installation made, below the directory."""
        made = read_json(self.path / COMPLETE)
        return [str(name) for name in made.get("files", [])] if isinstance(made, dict) else []

    @property
    def info(self) -> dict[str, Any]:
        """What ``model_info.json`` says; of an installation that broke off, what it set out to do."""
        told = read_json(self.path / INFO) or read_json(self.path / BEGUN)
        return told if isinstance(told, dict) else {}

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return str(self.info.get("model_id") or self.path.name)

    def results(self) -> list[str]:
        """Names of the folders in it that hold what training made."""
        kinds = ("adapter_config.json", "run.json")
        return sorted({file.parent.name for kind in kinds for file in self.path.glob(f"*/{kind}")})


def is_model_directory(path: Path) -> bool:
    """Whether an installation was begun or ended in a folder."""
    return (path / BEGUN).is_file() or ((path / COMPLETE).is_file() and (path / INFO).is_file())


def directory_of_output(output: Path) -> Path | None:
    """Return the model directory that an output lies in; None where its parent is none."""
    parent = Path(os.path.abspath(output)).parent
    return parent if (parent / COMPLETE).is_file() and (parent / INFO).is_file() else None


def directories(settings: Settings) -> list[ModelDirectory]:
    """Return the model directories that are where they are looked for, or were installed elsewhere, by path."""
    usual = expanded(WHERE)
    paths = {path for path in (usual.iterdir() if usual.is_dir() else ()) if is_model_directory(path)}
    return [ModelDirectory(path) for path in sorted(paths | set(_remembered(settings)))]


def find(name: str, settings: Settings) -> ModelDirectory:
    """Return a model directory by its path, its own name, or its model's name with or without the owner.

    Raises:
        NotAModelDirectory: there is none, or more than one.
    """
    path = expanded(name)
    if is_model_directory(path):
        return ModelDirectory(Path(os.path.abspath(path)))
    known = directories(settings)
    for names in (_exact, _short):
        found = [directory for directory in known if name.casefold() in names(directory)]
        if len(found) == 1:
            return found[0]
    raise NotAModelDirectory(name, [directory.model_id for directory in known])


def remember(directory: ModelDirectory, settings: Settings) -> None:
    """Note where a model was installed, so that it is listed wherever it lies."""
    note = _note(directory, settings)
    note.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, {"directory": str(directory.path)})


def forget(directory: ModelDirectory, settings: Settings) -> None:
    """Take the note back."""
    _note(directory, settings).unlink(missing_ok=True)


def _exact(directory: ModelDirectory) -> set[str]:
    return {directory.model_id.casefold(), directory.path.name.casefold()}


def _short(directory: ModelDirectory) -> set[str]:
    """Return the names without an owner: what was asked for, and the last part of the model's name."""
    asked = str(directory.info.get("source", ""))
    return {asked.casefold(), directory.model_id.rpartition("/")[2].casefold()}


def _note(directory: ModelDirectory, settings: Settings) -> Path:
    name = hashlib.sha256(os.fsencode(directory.path)).hexdigest()[:16]
    return settings.home / "installed" / f"{name}.json"


def _remembered(settings: Settings) -> Iterator[Path]:
    for note in (settings.home / "installed").glob("*.json"):
        told = read_json(note)
        path = Path(str(told.get("directory"))) if isinstance(told, dict) else None
        if path is not None and is_model_directory(path):
            yield path
