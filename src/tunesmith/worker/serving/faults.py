"""Errors in OpenAI's shape."""

from __future__ import annotations

from typing import Any, Final

from tunesmith.spec.errors import TunesmithError

KINDS: Final = {429: "rate_limit_error"}


def error_body(error: TunesmithError) -> dict[str, Any]:
    """Render an error."""
    return error_of(error.message, error.code, error.status, error.param)


def error_of(message: str, code: str, status: int = 404, param: str | None = None) -> dict[str, Any]:
    """Render a sentence as an error."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
