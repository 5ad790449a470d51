"""How an error is said: one sentence, in the shape that the way in is documented with."""

from __future__ import annotations

import json
import math
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Scope

from tunesmith.spec.errors import PromptTooLong, ServerBusy, TooManyRequests, TunesmithError, did_you_mean
from tunesmith.spec.wrong_values import bare, field_named, owner, wanted, written_place


class Shape(Protocol):
    """From status, code, sentence and the field that is meant to the body of an answer."""

    def __call__(self, status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
        """Make the body."""


def _ours(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _detail(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"detail": message, "code": code}


def _envelope(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"success": False, "message": message, "error": code, "detail": message}


def _openai(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


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

AWAY: Final = 5
"""Seconds after which it is worth asking again where the database or another server is away."""
SHOWN: Final = 80
"""Characters of a wrong value that its sentence repeats."""


class Refused(HTTPException):
    """A known error that is raised where only the framework's own exceptions pass, such as while a body is read."""

    def __init__(self, error: TunesmithError) -> None:
        super().__init__(error.status, error.message)
        self.error = error


class Sentence(JSONResponse):
    """An error as ASCII: a wrong value that it repeats may hold half a character, which is no UTF-8."""

    def render(self, content: Any) -> bytes:
        """Write the body."""
        return json.dumps(content).encode()


def install(app: FastAPI) -> None:
    """Have every error of an app rendered here."""

    @app.exception_handler(TunesmithError)
    async def _known(request: Request, error: TunesmithError) -> JSONResponse:
        return rendered(request.scope, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        sentence, param = _explained(error, request.scope)
        return _answer(request.scope, 422, "invalid_request", sentence, param=param)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refused):
            return rendered(request.scope, error.error)
        code, sentence = _of_status(error, request.scope)
        return _answer(request.scope, error.status_code, code, sentence, dict(error.headers or {}))


def rendered(scope: Scope, error: TunesmithError) -> JSONResponse:
    """Render a known error for the way in that a request came through."""
    # OpenAI's clients look for this very fault, whose code is OpenAI's, and make of 400 what their users catch.
    theirs = error.code == PromptTooLong.code and _shape(scope["path"]) is _openai
    status = 400 if theirs else error.status
    return _answer(scope, status, error.code, error.message, _when_again(error), error.param)


def said(path: str, error: TunesmithError) -> dict[str, Any]:
    """Return the body that says an error on the way in that a path belongs to."""
    return _shape(path)(error.status, error.code, error.message, error.param)


def _when_again(error: TunesmithError) -> dict[str, str] | None:
    """Say after how many seconds the same request may succeed, where waiting helps."""
    if isinstance(error, TooManyRequests | ServerBusy):
        return {"Retry-After": f"{math.ceil(error.wait)}"}
    return {"Retry-After": f"{AWAY}"} if error.status == 503 else None


def _answer(
    scope: Scope, status: int, code: str, message: str, headers: dict[str, str] | None = None, param: str | None = None
) -> JSONResponse:
    return Sentence(_shape(scope["path"])(status, code, message, param), status, headers)


def _shape(path: str) -> Shape:
    return next((shape for prefix, shape in SHAPES if path.startswith(prefix)), _detail)


def described(path: str) -> dict[str, Any]:
    """Describe the errors below a path for the API's description: an object, and an example of it."""
    example = _shape(path)(422, "invalid_request", "epochs: it takes a number above 0, and not -1.", "epochs")
    return {
        "description": "The request is not as it should be; one sentence says why.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


def _of_status(error: HTTPException, scope: Scope) -> tuple[str, str]:
    """Return code and sentence of what the framework itself refuses."""
    path = scope["path"][:SHOWN]
    match error.status_code:
        case 404:
            return "not_found", f"There is nothing at {path}. /docs lists what there is."
        case 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return "method_not_allowed", f"{path} does not take {scope.get('method')}. Use {allowed}."
        case 400:
            return "invalid_request", "The body cannot be read; it takes JSON (or a form, where a route takes files)."
        case status:
            return "http", str(error.detail) if status < 500 else "The server could not answer this."


def _explained(error: RequestValidationError, scope: Scope) -> tuple[str, str | None]:
    """Say what is wrong with the first field that is, and which one it is."""
    fault = error.errors()[0]
    place = [part for part in fault["loc"][1:] if not (isinstance(part, str) and part.startswith("function-"))]
    model = _model(scope)
    if model and fault["loc"][0] == "body":
        place = written_place(model, place)
    where = ".".join(str(part) for part in place)
    if fault["type"] == "json_invalid":
        return f"The body is no JSON: {fault['ctx']['error']}.", None
    if not where:
        return f"The {fault['loc'][0]} is not as it should be: {_lowered(fault['msg'])}.", None
    if fault["type"] == "extra_forbidden":
        known = owner(model, place).model_fields if model else ()
        return f"{where}: there is no such field.{did_you_mean(str(place[-1]), known)}", where
    field = field_named(owner(model, place), str(place[-1]))[1] if model and fault["loc"][0] == "body" else None
    should = f"it takes {wanted(field)}" if field else _lowered(fault["msg"])
    if fault["type"] == "missing":
        return f"{where}: this field is missing{f'; {should}' if field else ''}.", where
    if fault["type"] in ("value_error", "assertion_error"):
        should = _lowered(fault["msg"].removeprefix("Value error, "))
    return f"{where}: {should}, and not {_shown(fault['input'])}.", where


def _model(scope: Scope) -> type[BaseModel] | None:
    """Return the class of the body that the route wants."""
    field = getattr(scope.get("route"), "body_field", None)
    kind = bare(field.field_info.annotation) if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _lowered(sentence: str) -> str:
    sentence = sentence.rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
