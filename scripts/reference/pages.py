"""All pages of ``docs/reference/``."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.reference import api, commands, defaults, errors, events, formats, recipe, settings
from scripts.reference.page import Page

FOLDER = "docs/reference"
WRITERS = (recipe, defaults, settings, commands, formats, events, errors, api)


def pages() -> Iterator[Page]:
    """Each page as the code stands now."""
    for writer in WRITERS:
        yield writer.page()
