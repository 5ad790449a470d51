"""The page of error codes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from scripts.reference.page import Page, Row, Section
from tunesmith.spec.errors import TunesmithError

INTRO = """
Every error that a user can cause is one sentence: what, where, what to do. With `--json` it comes as
`{"error": {"code", "message"}}`. Codes are stable; sentences may get better. The exit status of a command and of a run
is the same number.
"""


def page() -> Page:
    """Every class of ``spec/errors/``, by family."""
    families = [kind for kind in TunesmithError.__subclasses__() if kind.__module__.startswith("tunesmith.spec.errors")]
    sections = [_section(family) for family in families]
    return Page("errors", "Error codes", INTRO, sections)


def _section(family: type[TunesmithError]) -> Section:
    rows = [
        Row(kind.code, (str(kind.exit_code), str(kind.status)), inspect.getdoc(kind) or "")
        for kind in (family, *_below(family))
    ]
    heading = f"{family.__name__}: exit status {family.exit_code}"
    return Section(heading, inspect.getdoc(family) or "", ("exit", "HTTP"), rows)


def _below(kind: type[TunesmithError]) -> Iterator[type[TunesmithError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
