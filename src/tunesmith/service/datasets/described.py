"""What the pictures and recordings of a row are: their names within the data set, their sizes, how long they last."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data import media
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import PictureTalk
from tunesmith.spec.home_paths import expanded

if TYPE_CHECKING:
    from tunesmith.spec.examples import Example


def content(example: Example, folders: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a row says, as plain data; files are called by their names below ``folders``."""
    names = {name: within(name, folders) for name in media.named(example)}
    said = {name: value for name, value in asdict(example).items() if name != "where"}
    if isinstance(example, PictureTalk):
        return {**said, "images": [names[name] for name in example.images]}
    return {name: names.get(value, value) if isinstance(value, str) else value for name, value in said.items()}


def described(example: Example, folders: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return what each picture and recording of a row is.

    Raises:
        RowFault: one is not there, or cannot be read.
    """
    from tunesmith.data.media.facts import facts_of

    return [{**each.as_dict(), "name": within(each.name, folders)} for each in facts_of(example)]


def within(name: str, folders: tuple[str, ...]) -> str:
    """Return the name of a file below the first of the folders that holds it; its whole path below none."""
    for folder in folders:
        if Path(name).is_relative_to(folder):
            return os.path.relpath(name, folder)
    return name


def folders_of(uri: str) -> tuple[str, ...]:
    """Return where the names in rows of data at a uri begin: at a folder or an archive itself, else beside a file."""
    from tunesmith.data import archives, files

    places = [Path(os.path.abspath(expanded(part))) for part in files.parts(uri)]
    return tuple(str(each if each.is_dir() or archives.is_archive(each.name) else each.parent) for each in places)


def told(fault: RowFault, folders: tuple[str, ...]) -> str:
    """Return what is wrong with a row, without where the data lies on this machine."""
    said = fault.message
    for folder in folders:
        said = said.replace(f"{folder}/", "")
    return said
