"""Takes an installed model away, and nothing that its users made."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.runs.folder import run_folders
from tunesmith.runs.handle import is_running
from tunesmith.runs.output_lock import PRIVATE, locked
from tunesmith.runs.published_links import LINKS, is_ours
from tunesmith.service.models.directory import BEGUN, COMPLETE, INFO, ModelDirectory, forget
from tunesmith.service.models.launchers import SCRIPTS
from tunesmith.spec.errors import OutputBusy

if TYPE_CHECKING:
    from tunesmith.settings import Settings


@dataclass(frozen=True)
class Removal:
    """What would go, and what would stay."""

    files: list[str]
    """Names below the directory."""
    kept: list[str]
    """Names of what others made: adapters, data, notes."""


def planned(directory: ModelDirectory, *, everything: bool = False) -> Removal:
    """Say what removing a directory means; with ``everything``, its users' files go too."""
    names = directory.files or _of_half_an_installation(directory)
    links = [name for name in LINKS if is_ours(directory.path, name)]
    there = [name for name in [*names, *links, COMPLETE, BEGUN] if os.path.lexists(directory.path / name)]
    tops = {name.partition("/")[0] for name in there} - {"model"}
    own = tops | {PRIVATE} | (set() if _others_in(directory.model, there) else {"model"})
    kept = sorted(entry.name for entry in directory.path.iterdir() if entry.name not in own)
    return Removal(there, [] if everything else kept)


def remove(directory: ModelDirectory, settings: Settings, *, everything: bool = False) -> Removal:
    """Remove what the installation made, or with ``everything`` the whole directory.

    Raises:
        OutputBusy: a run trains into the directory now.
    """
    _refuse_if_training(directory, settings)
    removal = planned(directory, everything=everything)
    with locked(directory.path) as private:
        # The mark goes first: what is left after a kill counts as half installed.
        for name in [COMPLETE, *removal.files]:
            (directory.path / name).unlink(missing_ok=True)
        shutil.rmtree(private / "stage", ignore_errors=True)
    for folder in (directory.model, directory.path / "logs", directory.path):
        with contextlib.suppress(OSError):
            folder.rmdir()
    if everything:
        shutil.rmtree(directory.path, ignore_errors=True)
    forget(directory, settings)
    return removal


def _of_half_an_installation(directory: ModelDirectory) -> list[str]:
    """Return what an installation that broke off may have made."""
    model = [f"model/{file.name}" for file in sorted(directory.model.glob("*")) if file.is_file()]
    return [*model, *SCRIPTS, INFO]


def _others_in(folder: Path, names: list[str]) -> bool:
    return folder.is_dir() and any(f"{folder.name}/{entry.name}" not in names for entry in folder.iterdir())


def _refuse_if_training(directory: ModelDirectory, settings: Settings) -> None:
    for run in run_folders(settings.runs_dir):
        output = run.header().output
        if output and Path(output).parent == directory.path and is_running(run):
            raise OutputBusy(directory.path, run.id)
