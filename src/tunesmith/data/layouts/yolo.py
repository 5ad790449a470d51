"""YOLO's layout: ``images/train``, ``images/val``, ``labels/train``, ``labels/val`` and ``data.yaml``.

The sides may come first as well (``train/images``).

A text file of a picture's name holds a line for each thing in it: the number of its class, then its middle, width and
height as shares of the picture (more numbers are the corners of an outline, of which the box around it is taken). A
picture without such a file shows nothing. ``names`` of ``data.yaml`` are the classes, in their order. In place of a
folder it may name a list: ``train.txt``, with the path of a picture a line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from tunesmith.data import media
from tunesmith.data.layouts import SIDES, Layout, Side, broken
from tunesmith.data.plain_yaml import refused
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData

_FILES: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MAX_CLASSES: Final = 100_000
"""Most classes that a number alone may ask for; sets of pictures with boxes have a few thousand at most."""
_LIST: Final = ".txt"
"""Ends the name of a list of pictures."""
_KEYS: Final[dict[str, Side]] = {"train": "", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class _Said:
    """What ``data.yaml`` says."""

    file: str
    names: list[str]
    base: str
    """Its ``path``; empty where it has none."""
    sides: dict[str, list[str]]
    """Folders of pictures, or lists of them, by key."""


def sniff(tree: Tree) -> int:
    """Recognise pictures with a data.yaml, or with text files below a folder of labels."""
    if not tree.pictures:
        return 0
    labelled = any(name.endswith(".txt") and "labels" in PurePosixPath(name).parts[:-1] for name in tree.others)
    return 72 if labelled or any(tree.has(name) for name in _FILES) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with its boxes."""
    said = _said(tree)
    names = {"names": said.names} if said.names else {}
    for key, side in _KEYS.items():
        folders, _ = _folders(tree, said, key)
        for picture, label in dict.fromkeys(pair for folder in folders for pair in _pictures(tree, folder)):
            boxes = [] if label is None else list(_boxes(tree.content(label).decode("utf-8-sig", errors="replace")))
            yield side, {"image": picture, "boxes": boxes, "relative": True, **names}
        for file in (folder for folder in folders if _is_list(tree, folder)):
            for line in (line for line, place in _listed(tree, file) if place is None):
                yield side, broken(f"{file} names '{line[:60]}', and there is no such picture")


def notes(tree: Tree) -> list[str]:
    """Say where other folders are read than data.yaml names, and what the classes are called without it."""
    said = _said(tree)
    found = [note for key in _KEYS for note in [_folders(tree, said, key)[1]] if note]
    if not said.names:
        found.append(f"{tree.root}: no data.yaml names the classes, so they are called by their numbers.")
    return found


def _said(tree: Tree) -> _Said:
    """Read data.yaml.

    Raises:
        UnreadableData: it is no YAML, asks for more than data, or its names and their number do not agree.
    """
    file = next((name for name in _FILES if tree.has(name)), None)
    if file is None:
        return _Said("", [], "", {})
    text = tree.text(file)
    try:
        why = refused(text)
        said = None if why else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableData(str(tree.root / file), f"it is not plain YAML: {_in_a_line(error)}", ()) from None
    if why:
        raise UnreadableData(str(tree.root / file), why, ())
    if not isinstance(said, dict):
        raise UnreadableData(str(tree.root / file), "it holds no keys; it needs names, train and val", ())
    names = _names(tree, file, said.get("names"))
    count = said.get("nc")
    if count is not None and names and count != len(names):
        raise UnreadableData(str(tree.root / file), f"nc is {count}, and there are {len(names)} names", ())
    if not names and isinstance(count, int):
        if count > MAX_CLASSES:
            raise UnreadableData(str(tree.root / file), f"nc is {count}; {MAX_CLASSES} classes are the most", ())
        names = [str(number) for number in range(count)]
    sides = {key: _strings(tree, file, key, said.get(key)) for key in _KEYS}
    base = said.get("path") or ""
    if not isinstance(base, str):
        raise UnreadableData(str(tree.root / file), "path must be a folder", ())
    return _Said(file, names, base, sides)


def _in_a_line(error: Exception) -> str:
    problem = getattr(error, "problem", None) or next(iter(str(error).splitlines()), "it is nested too deeply")
    mark = getattr(error, "problem_mark", None)
    return f"{problem} (line {mark.line + 1})" if mark else str(problem)


def _names(tree: Tree, file: str, value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        if set(value) != set(range(len(value))):
            why = f"the numbers of its names must be 0 to {len(value) - 1}"
            raise UnreadableData(str(tree.root / file), why, ())
        value = [value[number] for number in range(len(value))]
    if not isinstance(value, list) or not all(isinstance(name, str | int) for name in value):
        raise UnreadableData(str(tree.root / file), "names must be a list of names, or numbers with names", ())
    named = [str(name) for name in value]
    if len(set(named)) < len(named):
        raise UnreadableData(str(tree.root / file), "it gives two classes the same name", ())
    return named


def _strings(tree: Tree, file: str, key: str, value: object) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    strings = [each for each in values if isinstance(each, str)]
    if len(strings) < len(values):
        raise UnreadableData(str(tree.root / file), f"{key} must be a folder, or a list of folders", ())
    return strings


def _folders(tree: Tree, said: _Said, key: str) -> tuple[list[str], str]:
    """Return the folders of a side's pictures, and what the user should know of them.

    A folder or list that data.yaml names is taken where it is there: in the set, or elsewhere on disk where that may be
    read. Else it is the set's own.
    """
    own = _own(tree, key)
    named = said.sides.get(key, [])
    if not named:
        return own, ""
    found = [place for each in named if (place := _place(tree, said.base, each)) is not None]
    if len(found) == len(named):
        return found, ""
    missing = next(each for each in named if _place(tree, said.base, each) is None)
    shown = f"{said.base}/{missing}" if said.base else missing
    why = "names no picture of the set" if _is_list(tree, os.path.normpath(shown)) else "is not in the set"
    if own:
        return own, f"{tree.root / said.file}: '{shown}' {why}, so {key} is read from '{own[0]}'."
    if key == "test":
        return [], f"{tree.root / said.file}: '{shown}' {why}, so there are no pictures for a test."
    raise UnreadableData(
        str(tree.root / said.file),
        f"its {key}: '{shown}' leads to no pictures of the set, and it has no images/{key}",
        (),
    )


def _own(tree: Tree, key: str) -> list[str]:
    """Return the set's own folders of a side."""
    sides = [name for name, side in SIDES.items() if side == _KEYS[key]]
    places = [place for name in sides for place in (f"images/{name}", f"{name}/images")]
    found = [place for place in places if any(_pictures(tree, place))]
    if not found and key == "train" and any(_pictures(tree, "images")) and not _own(tree, "val"):
        return ["images"]
    return found


def _place(tree: Tree, base: str, named: str) -> str | None:
    """Return the folder or list that is meant: below the root by its name there, or absolute where it is elsewhere."""
    path = PurePosixPath(base) / named
    inside = os.path.normpath(path)
    outside = path.is_absolute() or inside.startswith("..")
    candidates = [] if outside else [inside]
    if not PurePosixPath(named).is_absolute():
        # What tools write of the place where a set lay once, such as ../train/images, means a folder of the set.
        candidates.append(
            os.path.normpath(PurePosixPath(*[part for part in PurePosixPath(named).parts if part != ".."]))
        )
    if outside:
        elsewhere = Path(os.path.normpath(tree.root / path))
        there = elsewhere.is_dir() or _is_list(tree, str(elsewhere))
        if there and tree.may_read(elsewhere) and any(_pictures(tree, str(elsewhere))):
            return str(elsewhere)
    return next((each for each in candidates if any(_pictures(tree, each))), None)


def _pictures(tree: Tree, folder: str) -> Iterator[tuple[str, str | None]]:
    """Yield the pictures below a folder or in a list, each with the file of its boxes where there is one."""
    if _is_list(tree, folder):
        names: Iterable[str] = (place for _, place in _listed(tree, folder) if place is not None)
    elif PurePosixPath(folder).is_absolute():
        below = sorted(Path(folder).rglob("*"))
        names = (path.as_posix() for path in below if media.is_picture(path.name) and path.is_file())
    else:
        prefix = "" if folder == "." else f"{folder}/"
        names = (name for name in tree.pictures if name.startswith(prefix))
    for name in names:
        label = _label_of(name)
        outside = PurePosixPath(name).is_absolute()
        there = tree.may_read(Path(label)) and Path(label).is_file() if outside else tree.has(label)
        yield name, label if there else None


def _is_list(tree: Tree, place: str) -> bool:
    """Whether a list of pictures is there, in the set or at an absolute place."""
    return place.endswith(_LIST) and (Path(place).is_file() if os.path.isabs(place) else tree.has(place))


def _listed(tree: Tree, file: str) -> Iterator[tuple[str, str | None]]:
    """Yield each line of a list with where its picture lies; None for one that is not there, or may not be read."""
    for line in filter(None, map(str.strip, tree.text(file).splitlines())):
        try:
            yield line, _listed_place(tree, PurePosixPath(file).parent, line) if media.is_picture(line) else None
        except (OSError, ValueError):  # A name that is too long, or no name at all.
            yield line, None


def _listed_place(tree: Tree, folder: PurePosixPath, line: str) -> str | None:
    """Return where a picture of a list lies: from the list's folder or the root, else elsewhere on disk."""
    for base in (folder, PurePosixPath()):
        path = Path(os.path.normpath(tree.root / base / line))
        if not path.is_relative_to(tree.root):
            if path.is_file() and tree.may_read(path):
                return str(path)
        elif tree.has(inside := path.relative_to(tree.root).as_posix()):
            return inside
    bare = PurePosixPath(*[part for part in PurePosixPath(line).parts if part != ".."]).as_posix()
    return bare if tree.has(bare) else None


def _label_of(picture: str) -> str:
    """Return where the boxes of a picture stand: ``labels`` in place of the last ``images``, and ``.txt``."""
    head, found, tail = picture.rpartition("/images/")
    if found:
        picture = f"{head}/labels/{tail}"
    elif picture.startswith("images/"):
        picture = f"labels/{picture.removeprefix('images/')}"
    return PurePosixPath(picture).with_suffix(".txt").as_posix()


def _boxes(text: str) -> Iterator[dict[str, Any]]:
    """Yield the box of each line; a line that is none becomes a box that the row format refuses."""
    for line in text.splitlines():
        parts = line.split()
        if not parts:
            continue
        try:
            label, numbers = float(parts[0]), [float(part) for part in parts[1:]]
        except ValueError:
            yield {"label": "?", "box": line[:60]}
            continue
        number: float = int(label) if math.isfinite(label) and label == int(label) else label
        yield {"label": number, "box": _sides(numbers) or line[:60]}


def _sides(numbers: list[float]) -> list[float] | None:
    """Return left, top, width and height of middle and size, or of the corners of an outline."""
    if len(numbers) == 4:
        x, y, width, height = numbers
        return [x - width / 2, y - height / 2, width, height]
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    across, down = numbers[0::2], numbers[1::2]
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


LAYOUT = Layout(
    name="yolo",
    summary="images/train, labels/train and data.yaml, as YOLO has them",
    format="boxes",
    sniff=sniff,
    rows=rows,
    notes=notes,
)
