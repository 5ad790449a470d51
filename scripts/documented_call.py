"""A call as a document prints it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A call as a document prints it, or as its table of endpoints names it."""

    document: str
    does: str
    printed: str
    """A curl command, or Python that leaves its answer in ``response``."""
    status: int = 200
    says: tuple[str, ...] = ()
    """Fields of the answer."""
    remembers: Mapping[str, str] = field(default_factory=dict)
    """What later calls are given: from a printed placeholder to a field of this answer."""
    until: str | None = None
    """The call is repeated until its field ``status`` is this."""


def post(path: str, body: Mapping[str, Any]) -> str:
    """Print a call that posts JSON."""
    return f'curl -X POST "http://localhost:8000{path}" -H "Content-Type: application/json" -d \'{json.dumps(body)}\''


def get(path: str) -> str:
    """Print a call that gets something."""
    return f'curl "http://localhost:8000{path}"'
