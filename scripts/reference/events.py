"""The page of events: what a run writes into ``events.jsonl``."""

from __future__ import annotations

import inspect
from typing import get_args

from scripts.reference.fields import row
from scripts.reference.page import Page, Section


def page() -> Page:
    """Every kind of event with its fields."""
    from tunesmith.spec import events

    intro = (events.__doc__ or "").partition("To add a kind")[0].replace("``", "`")
    sections = []
    for body in get_args(events.Body):
        fields = [row(name, field, needs_text=False) for name, field in body.model_fields.items() if name != "kind"]
        kind = body.model_fields["kind"].default
        sections.append(Section(kind, inspect.getdoc(body) or "", ("value", "default"), fields))
    return Page("events", "Events of a run", intro, sections)
