"""Models of which there are pickled weights alone: rewritten as safetensors once, by a child process.

What is pickled can run any code where it is read freely. The child reads numbers from it and nothing else
(``worker/pickled_weights.py``), and everything beyond it sees a folder like any other model's.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.planning.weight_headers import INDEX, SINGLE
from tunesmith.service.models import hub
from tunesmith.service.models.converting import convert
from tunesmith.service.models.making import made
from tunesmith.spec.errors import UnreadableFile

if TYPE_CHECKING:
    from tunesmith.service.models.fetching import Progress
    from tunesmith.settings import Settings

CARD: Final = "README.md"


def silently(stage: str, done: float | None) -> None:
    """Tell nobody of the stages."""


def readable(folder: Path, name: str, settings: Settings, progress: Progress = silently) -> Path:
    """Return a model's folder itself where it has safetensors, else the folder that is made of it; ``name`` is told.

    Raises:
        PullFailed: its files hold something else than numbers.
        UnreadableFile: its list of files is damaged, or names one that is not there.
        OutputUnusable, DiskFull: what is made of it has no place.
    """
    files = pickled_files(folder)
    if not files:
        return folder
    own = next((part for part in folder.parts if part.startswith("models--")), folder.name)
    target = settings.home / "converted" / f"{own[-80:]}-{_version(files)}"
    if target.is_dir():
        return target
    kept = [file.name for file in folder.iterdir() if file.is_file() and _is_kept(file.name)]
    request = {"source": str(folder), "pickled": [file.name for file in files], "keep": kept, "card": _card(folder)}
    with made(target, progress) as staging:
        if staging is not None:
            convert(name, request, staging / "result", settings, progress)
    return target


def pickled_files(folder: Path) -> list[Path]:
    """Return the files of a model's weights, where all of them are pickled; none where it has safetensors, or nothing.

    Raises:
        UnreadableFile: the list of files is damaged, or names one that is not there.
    """
    if (folder / SINGLE).is_file() or (folder / INDEX).is_file() or not (folder / "config.json").is_file():
        return []
    index, single = folder / hub.PICKLED_INDEX, folder / hub.PICKLED_SINGLE
    if not index.is_file():
        return [single] if single.is_file() else []
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFile(index, "it is no list of the files that hold the weights") from error
    lost = next((each for each in names if Path(str(each)).name != each or not (folder / each).is_file()), None)
    if lost is not None:
        raise UnreadableFile(index, f"it names {lost}, which is not there")
    return [folder / each for each in names]


def _is_kept(name: str) -> bool:
    return name != CARD and any(fnmatch.fnmatch(name, one) for one in hub.WANTED) and not name.endswith(".index.json")


def _card(folder: Path) -> str:
    """Return the model's own README.md, with what was done to it."""
    own = (folder / CARD).read_text(errors="replace") if (folder / CARD).is_file() else f"# {folder.name}\n"
    done = "The weights were pickled; they were read without running anything, and stored as safetensors."
    return f"{own.rstrip()}\n\n{done}\n"


def _version(files: list[Path]) -> str:
    """Return what changes with the files: they are too large to be read each time."""
    seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:12]
