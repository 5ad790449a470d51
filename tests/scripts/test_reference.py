from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import click
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import Field

from scripts.reference import api
from scripts.reference.commands import markdown, walk
from scripts.reference.fields import kind_of, leaves, row
from scripts.reference.page import Page, Row, Section
from tunesmith.api.routes import routers
from tunesmith.spec.recipe import Part


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Part):
    """The inside."""

    patience: int = Field(3, ge=1, le=2000)
    """Evaluations without
    improvement."""


class Outer(Part):
    """The outside."""

    name: str
    inner: Inner = Inner()
    many: list[Inner] = Field(default=[], min_length=1)
    colour: Colour | None = None
    folder: Path = Path.home() / ".tunesmith"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | None, "whole number"),
        (Annotated[float, "any"], "number"),
        (list[str], "list of text"),
        (dict[str, int], "text to whole number"),
        (Literal["a", "b"], "`a` or `b`"),
        (Colour | None, "`red`, `blue`"),
    ],
)
def test_types_are_said_in_words(annotation, words):
    assert kind_of(annotation) == words


def test_fields_are_listed_by_their_dotted_names():
    assert [name for name, _ in leaves(Outer)] == ["name", "inner.patience", "many[].patience", "colour", "folder"]


def test_a_row_gives_limits_default_and_docstring():
    fields = dict(leaves(Outer))
    patience = row("patience", fields["inner.patience"])
    assert patience.cells == ("whole number, at least 1, at most 2,000", "`3`")
    assert "Evaluations without" in patience.text
    assert row("name", fields["name"]).cells == ("text", "required")
    assert row("colour", fields["colour"]).cells == ("`red`, `blue`", "open")
    assert row("folder", fields["folder"]).cells == ("path", "`~/.tunesmith`")


def test_commands_below_a_group_are_found_with_their_full_names():
    @click.group()
    def top() -> None: ...

    @top.command("list")
    def below() -> None: ...

    assert [name for name, _ in walk(top, "tool")] == ["tool", "tool list"]


def test_a_page_renders_cells_on_one_line_without_breaking_the_table():
    page = Page("x", "Title", "Intro.", [Section("Part", "Text.", ("value",), [Row("a", ("b|c",), "two\nlines")])])
    assert "| `a` | b\\|c | two lines |" in page.render()
    assert page.render().count("\n# ") == 1


def test_a_page_keeps_code_and_escapes_what_would_end_a_cell():
    section = Section("Part", "```\ntool --x\n```\n\nSee ``spec``.", (), [Row("--x a|b", (), "Says ``x``.")])
    rendered = Page("x", "Title", "Intro.", [section]).render()
    assert "```\ntool --x\n```\n\nSee `spec`." in rendered
    assert "| `--x a\\|b` | Says `x`. |" in rendered


def test_a_paragraph_that_click_leaves_alone_becomes_code():
    assert markdown("Train.\n\n    \b\n    tool a\n    tool b\n\n    More.") == (
        "Train.\n\n```\ntool a\ntool b\n```\n\nMore."
    )


def test_every_route_of_the_server_is_on_its_page_with_a_sentence():
    page = api.page()
    said = {row.name: row.text for section in page.sections for row in section.rows if row.needs_text}
    served = {
        f"{method} {route.path_format}"
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods
    }
    sockets = {
        f"WS {route.path}" for router in routers() for route in router.routes if isinstance(route, APIWebSocketRoute)
    }
    assert served
    assert sockets
    assert served | sockets == said.keys()
    assert all(said.values())


def test_what_a_field_takes_is_said_in_words():
    whole = {"type": "integer", "minimum": 1, "maximum": 50}
    assert api._type(whole) == "integer from 1 to 50"
    assert api._type({"anyOf": [whole, {"type": "null"}]}) == "integer from 1 to 50"
    assert api._type({"type": "array", "items": {"$ref": "#/components/schemas/Turn"}}) == "list of Turn"
