"""Refuses what a query asks for that nobody reads: a filter with a slip in its name would list everything."""

from __future__ import annotations

import re
from typing import Final

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from tunesmith.spec.errors import UnknownParameter

FILTERS: Final = "x-filters"
"""In a route's ``openapi_extra``: names that take a key in brackets, ``NAME[KEY]=VALUE``."""
FILTER: Final = re.compile(r"([^\[]+)\[(.+)\]")
OPEN: Final = frozenset({"/", "/docs", "/healthz", "/readyz", "/metrics", "/health"})
"""What people and probes open, to whose addresses browsers and proxies add names of their own."""


async def refuse_unknown_names(connection: HTTPConnection) -> None:
    """Refuse a query with a name that the route does not have.

    Raises:
        UnknownParameter: it has one.
    """
    route = connection.scope.get("route")
    if not connection.query_params or not isinstance(route, APIRoute) or route.path in OPEN:
        return
    plain, filters = _names(route)
    for name in connection.query_params:
        filter = FILTER.fullmatch(name)
        if name not in plain | filters and not (filter and filter[1] in filters):
            raise UnknownParameter(name, sorted(plain | filters))


def _names(route: APIRoute) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of a route's query, and those of its filters."""
    fields = [field for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)]
    return frozenset(field.alias for field in fields), frozenset((route.openapi_extra or {}).get(FILTERS, ()))
