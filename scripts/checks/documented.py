"""Every command, flag, setting, field, format, event and error code has its sentence, and stands in the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.checks import Fault
from scripts.reference.page import Page
from scripts.reference.pages import FOLDER, pages


def faults(root: Path) -> Iterator[Fault]:
    """Yield what has no sentence, and every page that is not what the code says now."""
    yield from faults_of(pages(), root)


def faults_of(found: Iterable[Page], root: Path) -> Iterator[Fault]:
    """Compare the pages that the code gives with the files below ``root``."""
    for page in found:
        path = Path(FOLDER) / f"{page.name}.md"
        for name, text in page.entries():
            if not text.strip():
                yield Fault(path, 1, f"{name} is not documented", "Write a docstring or help text for it in the code.")
        written = (root / path).read_text(encoding="utf-8") if (root / path).is_file() else ""
        if written != page.render():
            yield Fault(path, 1, "the page does not say what the code says", "Run `make docs` and commit the page.")
