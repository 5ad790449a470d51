"""The page of the HTTP interface: every route of every way in, and the fields of what they take."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from scripts.reference.page import Page, Row, Section

INTRO = """
Every path that `tunesmith serve` answers, by way in. `/docs` shows the same on a running server, with an example for
each call, and `/openapi.json` is the document for programs. [The guide](../guides/api.md) has calls to copy. Fields of
a job (`spec`) are those of a [job file](recipe.md).
"""
METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
OWN: Final = "JobSpec"
"""A body that has a page of its own."""
OTHER: Final = "server"
"""Where routes without a tag stand."""

Document = dict[str, Any]


def page() -> Page:
    """Every route by its tag, then every body that a route takes."""
    document = openapi()
    tags: dict[str, list[Row]] = {}
    bodies: dict[str, Section] = {}
    for path, method, operation in operations(document):
        name = f"{method.upper()} {path}"
        body = _body(operation)
        if body is not None and body != OWN:
            heading = f"Form of {name}" if body.startswith("Body_") else body
            bodies[heading] = _fields(heading, document["components"]["schemas"][body])
            body = f"[{heading if heading == body else 'form'}](#{_anchor(heading)})"
        tags.setdefault(_tag(operation), []).append(Row(name, (body or "", _answers(operation)), _sentence(operation)))
    for tag, row in _sockets():
        tags.setdefault(tag, []).append(row)
    sections = [Section(tag, _about(tag), ("body", "answers"), rows) for tag, rows in sorted(tags.items())]
    return Page("api", "HTTP interface", INTRO, sections + [section for _, section in sorted(bodies.items())])


def openapi() -> Document:
    """Return the OpenAPI document of all routes, without a service behind them."""
    from fastapi import FastAPI

    from tunesmith.api.routes import routers

    app = FastAPI(title="tunesmith", docs_url=None, redoc_url=None)
    for router in routers():
        app.include_router(router)
    return app.openapi()


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield path, method and description of each operation."""
    for path, methods in sorted(document["paths"].items()):
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def _modules() -> Iterator[ModuleType]:
    from tunesmith.api import routes

    for found in pkgutil.iter_modules(routes.__path__):
        yield importlib.import_module(f"{routes.__name__}.{found.name}")


def _about(tag: str) -> str:
    """Return what the modules of a tag say of themselves: the first paragraph of each docstring."""
    said = [(module.__doc__ or "").partition("\n\n")[0] for module in _modules() if tag in _tags(module)]
    return " ".join(" ".join(said).split())


def _tags(module: ModuleType) -> list[str]:
    return list(module.router.tags) or [OTHER]


def _tag(operation: Document) -> str:
    return str((operation.get("tags") or [OTHER])[0])


def _sockets() -> Iterator[tuple[str, Row]]:
    """Yield the web sockets, of which the document knows nothing."""
    from fastapi.routing import APIWebSocketRoute

    for module in _modules():
        for route in module.router.routes:
            if isinstance(route, APIWebSocketRoute):
                text = inspect.getdoc(route.endpoint) or ""
                yield _tags(module)[0], Row(f"WS {route.path}", ("", "101"), text.partition("\n\n")[0])


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _sentence(operation: Document) -> str:
    return str(operation.get("description") or "").partition("\n\n")[0].replace("\n", " ")


def _answers(operation: Document) -> str:
    """Return the status of what a call answers when it goes well; 501 for what is not part of this version."""
    found = sorted(operation["responses"])
    return ", ".join([status for status in found if status < "4"] or [status for status in found if status == "501"])


def _body(operation: Document) -> str | None:
    """Return the name of the schema that a route takes; None if it takes none of its own."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        reference = content.get("schema", {}).get("$ref")
        if reference:
            return str(reference).rpartition("/")[2]
    return None


def _fields(heading: str, schema: Document) -> Section:
    required = set(schema.get("required", []))
    facts = schema.get("properties", {})
    rows = [_field(name, facts[name], needed=name in required) for name in facts]
    return Section(heading, str(schema.get("description") or "The fields of the form."), ("value", "default"), rows)


def _field(name: str, facts: Document, *, needed: bool) -> Row:
    """Make a field's row; the name of many a field says all that there is to say."""
    cells = (_type(facts), "needed" if needed else _default(facts))
    return Row(name, cells, facts.get("description", ""), needs_text=False)


def _default(facts: Document) -> str:
    value = facts.get("default")
    return "" if value is None else f"`{value}`"


def _type(facts: Document) -> str:
    """Say in a few words what a field takes."""
    if "$ref" in facts:
        return str(facts["$ref"]).rpartition("/")[2]
    if "anyOf" in facts:
        return " or ".join(dict.fromkeys(_type(one) for one in facts["anyOf"] if one.get("type") != "null"))
    if "enum" in facts:
        return ", ".join(str(value) for value in facts["enum"])
    if "const" in facts:
        return str(facts["const"])
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    bounds = " ".join(f"{word} {facts[key]:g}" for key, word in limits.items() if key in facts)
    kind = str(facts.get("type", "anything"))
    if kind == "array":
        kind = f"list of {_type(facts.get('items', {}))}"
    return f"{kind} {bounds}".strip()
