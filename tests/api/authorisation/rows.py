"""What a row says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Least(IntEnum):
    """Who may call an operation, the least of them."""

    ANYBODY = 0
    VIEWER = 1
    MEMBER = 2
    ADMIN = 3
    OPERATOR = 4


@dataclass(frozen=True)
class Row:
    """What is expected of one operation."""

    least: Least
    json: Any = None
    files: dict[str, Any] | None = None
    data: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    stranger: int | None = None
    """What an administrator of another organisation is answered; None: they may, and see nothing of ours."""
    streams: bool = False
    """Whether the answer has no end, so that only the refusals can be tried here."""


OPEN = Row(Least.ANYBODY)
LOOK = Row(Least.VIEWER)
LOOK_AT_OURS = Row(Least.VIEWER, stranger=404)
CHANGE_OURS = Row(Least.MEMBER, stranger=404)
FILE = {"file": ("rows.jsonl", b'{"text": "Hello"}\n')}
DATASET = {"dataset": ("rows.jsonl", b'{"text": "Hello"}\n')}
