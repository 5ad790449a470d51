"""Pictures and texts in pairs: ``1.png`` with ``1.txt`` beside it; ``train`` and ``val`` may stand above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tunesmith.data.layouts import Layout, Side, side_of
from tunesmith.data.tree import Tree

ENDINGS: Final = (".txt", ".caption")
"""Of the files of texts; the first that is there counts."""


def sniff(tree: Tree) -> int:
    """Recognise pictures of which most have a text of the same name."""
    held = tree.pictures[:100]
    paired = sum(tree.beside(name, ENDINGS) is not None for name in held)
    return 45 if held and paired * 2 > len(held) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with its text; one without a text is a fault of its row."""
    for name in tree.pictures:
        beside = tree.beside(name, ENDINGS)
        said = "" if beside is None else " ".join(tree.text(beside).split())
        yield side_of(name), {"image": name, "caption": said}


LAYOUT = Layout(
    name="image_text",
    summary="pictures, each with a text of the same name beside it",
    format="vision",
    sniff=sniff,
    rows=rows,
)
