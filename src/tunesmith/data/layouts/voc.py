"""Pascal VOC's layout: ``Annotations/1.xml`` of ``JPEGImages/1.jpg``, and ``ImageSets/Main/train.txt``.

The annotation may lie beside its picture as well, as programs write it in which boxes are drawn, and the sides may be
folders (``train/1.jpg``, ``train/1.xml``). Boxes count pixels from 1, and the last ones are part of them. Things that
are marked as difficult are things; the parts of a thing, such as a person's hands, are none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data import elements, media
from tunesmith.data.layouts import SIDES, Layout, Side, broken, side_of
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableMedia

ANNOTATIONS: Final = "Annotations"
PICTURES: Final = ("JPEGImages", "images", ".")
"""Folders in which a set keeps its pictures; the first is Pascal VOC's own."""
LISTS: Final = "ImageSets/Main"
BOTH: Final = "trainval"
"""List of all that is trained or validated on, for sets that do not divide it."""
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
_KNOWN: Final = ("object", "filename", "size")
"""What an annotation says, all of which may be missing but not all at once."""


def sniff(tree: Tree) -> int:
    """Recognise pictures with a folder of annotations, or of which most have one beside them."""
    held = tree.pictures[:100]
    paired = sum(tree.beside(name, (".xml",)) is not None for name in held)
    apart = any(_divided(name) for name in tree.others)
    return 73 if held and (apart or paired * 2 > len(held)) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with its boxes: of a set with lists those that they name, else all that are annotated."""
    pictures = {_bare(name): name for name in tree.pictures}
    for base, files in _sets(tree, pictures).items():
        sides = _listed(tree, base, files) or {name: side_of(file) for name, file in files.items()}
        for name, side in sides.items():
            yield side, _row(tree, base, name, files.get(name), pictures)


def notes(tree: Tree) -> list[str]:
    """Say which annotations are in no list of a set that has lists."""
    found = []
    for base, files in _sets(tree, {_bare(name): name for name in tree.pictures}).items():
        listed = _listed(tree, base, files)
        left = [file for name, file in files.items() if name not in listed]
        if listed and left:
            count = f"{len(left)} annotations are" if len(left) > 1 else "1 annotation is"
            place = (PurePosixPath(base) / LISTS).as_posix()
            found.append(f"{tree.root}: {count} in no list of {place} and left out, such as {left[0]}.")
    return found


def _sets(tree: Tree, pictures: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the files of annotations by name, of each set by the folder that it lies in."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for file in tree.others:
        if divided := _divided(file):
            base, name = divided
            found[base][name] = file
        elif file.lower().endswith(".xml") and _bare(file) in pictures:
            found[""][_bare(file)] = file
    return found


def _divided(file: str) -> tuple[str, str] | None:
    """Divide the name of a file in a folder of annotations into what stands above that, and the name in it."""
    parts = PurePosixPath(file).parts
    place = next((place for place, part in enumerate(parts[:-1]) if part.lower() == ANNOTATIONS.lower()), None)
    if place is None or not file.lower().endswith(".xml"):
        return None
    return "/".join(parts[:place]), _bare("/".join(parts[place + 1 :]))


def _listed(tree: Tree, base: str, files: Mapping[str, str]) -> dict[str, Side]:
    """Return the side of each name that the lists of a set name; one that several name is held out."""
    held = tree.by_folder.get(str(PurePosixPath(base) / LISTS), [])
    lists = {PurePosixPath(name).stem.lower(): name for name in held if name.endswith(".txt")}
    sides = {key: SIDES[key] for key in lists if key in SIDES}
    if BOTH in lists and "" not in sides.values():
        sides[BOTH] = ""
    found: dict[str, Side] = {}
    for key, side in sorted(sides.items(), key=lambda each: each[1] == ""):
        for line in filter(str.strip, tree.text(lists[key]).splitlines()):
            name = line.strip() if line.strip() in files else line.split()[0]
            found.setdefault(_bare(name) if media.is_picture(name) else name, side)
    return found


def _row(tree: Tree, base: str, name: str, file: str | None, pictures: Mapping[str, str]) -> dict[str, Any]:
    if file is None:
        return broken(f"{LISTS} names '{name[:60]}', and there is no {ANNOTATIONS}/{name[:60]}.xml")
    try:
        said = elements.document(tree.content(file))
    except ValueError as error:
        return broken(f"{file}: {error}")
    except UnreadableMedia as fault:
        return broken(f"{file}: {fault.why}")
    if not isinstance(said, Mapping) or not any(key in said for key in _KNOWN):
        return broken(f"{file} is no annotation of Pascal VOC: it has no {', '.join(_KNOWN)}")
    things = said.get("object", [])
    boxes = [_box(thing) for thing in (things if isinstance(things, list) else [things])]
    return {"image": _picture(base, name, said.get("filename"), pictures), "boxes": boxes}


def _picture(base: str, name: str, filename: object, pictures: Mapping[str, str]) -> str:
    """Return where the picture lies that is called like its annotation, or as that says; else where it should."""
    said = re.split(r"[\\/]", filename)[-1] if isinstance(filename, str) else ""
    bare = _bare(said) if media.is_picture(said) else said
    for each in filter(None, (name, bare)):
        for folder in PICTURES:
            if found := pictures.get((PurePosixPath(base) / folder / each).as_posix()):
                return found
    return (PurePosixPath(base) / PICTURES[0] / (said or f"{name}.jpg")).as_posix()


def _box(thing: object) -> dict[str, Any]:
    """Return a box from its first to its last pixel; what is none is left to the row format to refuse."""
    said = thing if isinstance(thing, Mapping) else {}
    corners = said.get("bndbox")
    corners = corners if isinstance(corners, Mapping) else {}
    try:
        left, top, right, bottom = (float(str(corners[each])) for each in _CORNERS)
    except (KeyError, ValueError):
        shown = ", ".join(f"{each} {str(corners.get(each, 'missing'))[:10]}" for each in _CORNERS)
        return {"label": said.get("name"), "box": shown}
    left, top = (min(first, max(0.0, first - 1)) for first in (left, top))
    return {"label": said.get("name"), "box": [left, top, right - left, bottom - top]}


def _bare(name: str) -> str:
    """Return a name without its ending."""
    return name.rpartition(".")[0]


LAYOUT = Layout(
    name="voc",
    summary="Annotations/*.xml, JPEGImages and ImageSets/Main, as Pascal VOC has them",
    format="boxes",
    sniff=sniff,
    rows=rows,
    notes=notes,
)
