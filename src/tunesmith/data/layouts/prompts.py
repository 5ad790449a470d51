"""Pictures in ``images`` and their prompts in ``prompts``: ``images/7.png`` with ``prompts/7.txt``.

A prompt ends in ``.txt``, ``.prompt`` or ``.caption``. A picture without one is described by the words of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data.layouts import Layout, Side, side_of
from tunesmith.data.tree import Tree

PROMPTS: Final = "prompts"
ENDINGS: Final = (".txt", ".prompt", ".caption")
"""Of the files of prompts; the first that is there counts."""
_WORDS: Final = re.compile(r"[\W_]+")


def sniff(tree: Tree) -> int:
    """Recognise a folder of prompts beside one of pictures."""
    return 70 if any(_prompt_of(tree, name) for name in tree.pictures) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with its prompt."""
    for name in tree.pictures:
        file = _prompt_of(tree, name)
        said = tree.text(file).strip() if file else ""
        yield side_of(name), {"image": name, "caption": said or words(name)}


def notes(tree: Tree) -> list[str]:
    """Say which pictures have no prompt of their own."""
    bare = [name for name in tree.pictures if not _prompt_of(tree, name)]
    if not bare:
        return []
    count = f"{len(bare)} pictures have" if len(bare) > 1 else "1 picture has"
    return [f"{count} no file in {PROMPTS}: the words of their names describe them, such as '{words(bare[0])}'."]


def words(name: str) -> str:
    """Return the words of a file's name: ``a_red-circle.png`` says "a red circle"."""
    stem = PurePosixPath(name).stem
    return _WORDS.sub(" ", stem).strip() or stem


def _prompt_of(tree: Tree, name: str) -> str | None:
    """Return the file with a picture's prompt: of the same name, in the folder of prompts beside the picture's."""
    path = PurePosixPath(name)
    folder = path.parent.parent if path.parent.name else path.parent
    places = [folder / PROMPTS / f"{path.stem}{ending}" for ending in ENDINGS]
    return next((place.as_posix() for place in places if tree.has(place.as_posix())), None)


LAYOUT = Layout(
    name="prompts",
    summary="pictures in images/, and prompts/NAME.txt, .prompt or .caption beside it",
    format="vision",
    sniff=sniff,
    rows=rows,
    notes=notes,
)
