"""The page of data set formats."""

from __future__ import annotations

import inspect

from scripts.reference.page import Page, Row, Section

INTRO = """
Each row's format is found from its keys, never from its values, most specific first; `--dataset-format NAME` names one
instead, and `columns: {wanted: yours}` renames columns.
"""


def page() -> Page:
    """Every format that is found in ``data/formats``."""
    from tunesmith.data.formats import FORMATS

    rows = [
        Row(name, (_columns(found.columns), _columns(found.optional), _name(found.produces)), _sentence(found.summary))
        for name, found in sorted(FORMATS.items())
    ]
    text = "A format is one file of `src/tunesmith/data/formats/`; `make new-format NAME=...` starts another."
    return Page(
        "formats", "Data set formats", INTRO, [Section("All formats", text, ("columns", "also read", "produces"), rows)]
    )


def _columns(columns: object) -> str:
    return ", ".join(f"`{column}`" for column in columns)  # type: ignore[attr-defined]


def _name(produced: object) -> str:
    return produced.__name__ if inspect.isclass(produced) else str(produced)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
