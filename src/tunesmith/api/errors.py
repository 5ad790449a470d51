"""How an error is said: one sentence, in the shape that the way in is documented with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tunesmith.spec.errors import TooManyRequests, TunesmithError

Shape = Callable[[int, str, str], dict[str, Any]]
"""From status, code and sentence to the body of an answer."""


def _ours(status: int, code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _detail(status: int, code: str, message: str) -> dict[str, Any]:
    return {"detail": message, "code": code}


def _envelope(status: int, code: str, message: str) -> dict[str, Any]:
    return {"success": False, "message": message, "error": code, "detail": message}


def _openai(status: int, code: str, message: str) -> dict[str, Any]:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


SHAPES: Final[tuple[tuple[str, Shape], ...]] = (
    ("/v1/", _openai),
    ("/api/v1/", _detail),
    ("/api/training", _envelope),
    ("/api/llm-finetuning", _envelope),
    ("/api/system", _envelope),
    ("/api/", _ours),
    ("/", _detail),
)
"""The shape of errors below a path; the first that fits."""


def answer(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Render an error for the way in that a request came through."""
    shape = next(shape for prefix, shape in SHAPES if request.url.path.startswith(prefix))
    return JSONResponse(shape(status, code, message), status, headers)


def install(app: FastAPI) -> None:
    """Have every error of an app rendered here."""

    @app.exception_handler(TunesmithError)
    async def _known(request: Request, error: TunesmithError) -> JSONResponse:
        headers = {"Retry-After": f"{error.wait:.0f}"} if isinstance(error, TooManyRequests) else None
        return answer(request, error.status, error.code, error.message, headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(request, 422, "invalid_request", _sentence(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        return answer(request, error.status_code, "http", str(error.detail), dict(error.headers or {}))


def _sentence(error: RequestValidationError) -> str:
    """Say what is wrong with the first field that is."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
    return f"{where or 'body'}: {fault['msg']}."
