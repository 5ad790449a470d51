"""Recordings and transcripts in pairs: ``1.wav`` with ``1.txt`` beside it; ``train`` and ``val`` may stand above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesmith.data.layouts import Layout, Side, side_of
from tunesmith.data.tree import Tree

_TEXTS = (".txt", ".lab")


def sniff(tree: Tree) -> int:
    """Recognise recordings of which most have a text of the same name."""
    held = tree.sounds[:100]
    paired = sum(tree.beside(name, _TEXTS) is not None for name in held)
    return 46 if held and paired * 2 > len(held) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each recording with its text; one without a text is a fault of its row."""
    for name in tree.sounds:
        beside = tree.beside(name, _TEXTS)
        said = "" if beside is None else " ".join(tree.text(beside).split())
        yield side_of(name), {"audio": name, "text": said}


LAYOUT = Layout(
    name="audio_text",
    summary="recordings, each with a text of the same name beside it",
    format="speech",
    sniff=sniff,
    rows=rows,
)
