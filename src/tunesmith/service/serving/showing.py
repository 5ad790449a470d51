"""Pictures and recordings that requests show to models: where they lie, what may be read, and what is sent on."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.service.accounts.paths import reach_of
from tunesmith.spec.errors import ContentTooLarge, NotFound, UnreadableContent

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service

MOST_BYTES: Final = 25_000_000
"""Bytes of one picture or recording, at most."""


def content_at(service: Service, by: Principal, path: str, *, org: str | None = None) -> bytes:
    """Return what lies at a path that the caller may read.

    Raises:
        PathNotAllowed: it leads outside of what the organisation may use.
        NotFound: no file is there.
        ContentTooLarge: it is larger than models are shown.
    """
    reach = reach_of(service.settings, by.acting_for(org), by, Path.cwd())
    try:
        number = reach.open(reach.real(path))
    except (OSError, ValueError):
        raise NotFound("file", path) from None
    try:
        is_file = stat.S_ISREG(os.fstat(number).st_mode)
        content = _all_of(number) if is_file else None
    finally:
        os.close(number)
    if content is None:
        raise NotFound("file", path)
    return bounded(content)


def _all_of(number: int) -> bytes:
    with os.fdopen(number, "rb", closefd=False) as file:
        return file.read(MOST_BYTES + 1)


def bounded(content: bytes, name: str = "file") -> bytes:
    """Return what a model may be shown.

    Raises:
        ContentTooLarge: it is too large.
        UnreadableContent: there is nothing.
    """
    if len(content) > MOST_BYTES:
        raise ContentTooLarge(MOST_BYTES, name)
    if not content:
        raise UnreadableContent("it is empty", name)
    return content


def sent(content: bytes | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that shows something to a model's process, with what is said beside it."""
    shown = {} if content is None else {"content": base64.b64encode(content).decode()}
    return {**shown, **{name: value for name, value in said.items() if value is not None}}
