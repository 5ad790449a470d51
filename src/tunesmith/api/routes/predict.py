"""`POST /api/predict`: show a picture or a recording to a model, as a form, as base64 in JSON, or by its path."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request
from fastapi.params import Form as FormField
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from tunesmith.api import answering
from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.showing import PredictForm, Prediction, PredictRequest
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.serving.pool import PREDICT
from tunesmith.service.serving.showing import MOST_BYTES, bounded, content_at, sent
from tunesmith.service.serving.targets import find_target
from tunesmith.spec.errors import BadValue, Contradiction

FORM: Final = "multipart/form-data"
BESIDE: Final = {"model", "content", "path", "org", "file"}
"""Fields that say what is shown to which model; all others are what the model is told."""


class ByContent(APIRoute):
    """A route that takes forms, or one that takes JSON: two of them answer on one path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match where the request carries what the route takes."""
        found, child = super().matches(scope)
        is_form = Headers(scope=scope).get("content-type", "").lower().startswith(FORM)
        takes_forms = self.body_field is not None and isinstance(self.body_field.field_info, FormField)
        return (found, child) if found is not Match.FULL or is_form == takes_forms else (Match.NONE, {})


router = APIRouter(prefix="/api/predict", tags=["models"], route_class=ByContent)
BODY: Final[dict[str, Any]] = {"requestBody": {"content": {FORM: {"schema": PredictForm.model_json_schema()}}}}


@router.post("", openapi_extra=BODY, response_model_exclude_none=True)
async def predict(asked: PredictRequest, request: Request, service: Serving, by: Asker) -> Prediction:
    """Name classes of pictures and sounds, find things in pictures, write down speech, answer about pictures.

    The file comes as a form, as base64 in JSON, or is named by a path that may be read.
    """
    content = await run_sync(lambda: _content(asked, service, by))
    return await _answer(request, service, by, asked, content)


@router.post("", include_in_schema=False, response_model_exclude_none=True)
async def predict_form(
    form: Annotated[PredictForm, Form(media_type=FORM)], request: Request, service: Serving, by: Asker
) -> Prediction:
    """Do the same with a file that comes with the request."""
    content = bounded(await form.file.read(MOST_BYTES + 1))
    return await _answer(request, service, by, form, content)


async def _answer(
    request: Request, service: Service, by: Principal, asked: PredictRequest | PredictForm, content: bytes | None
) -> Prediction:
    target = await run_sync(lambda: find_target(service, by, asked.model, org=asked.org))
    body = sent(content, asked.model_dump(mode="json", exclude=BESIDE, exclude_none=True))
    return Prediction.model_validate(await answering.whole(request, service.serving.ask(target, PREDICT, body)))


def _content(asked: PredictRequest, service: Service, by: Principal) -> bytes | None:
    """Return what is shown; None where only a text is sent.

    Raises:
        Contradiction: it is sent, and named too.
        BadValue: it is no base64.
        PathNotAllowed, NotFound, ContentTooLarge: see ``content_at``.
    """
    if asked.content is not None and asked.path is not None:
        raise Contradiction("content", "path")
    if asked.path is not None:
        return content_at(service, by, asked.path, org=asked.org)
    if asked.content is None:
        return None
    try:
        return bounded(base64.b64decode(asked.content, validate=True))
    except (binascii.Error, ValueError):
        raise BadValue("content", asked.content[:20], "base64") from None
