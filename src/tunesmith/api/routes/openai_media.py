"""`/v1/audio/transcriptions` and `/v1/images/generations`: what OpenAI's clients ask models of sounds and pictures."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from tunesmith.api import answering
from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.drawing import DrawingRequest, DrawnPicture, DrawnPictures
from tunesmith.api.doors.openai import Acting
from tunesmith.api.doors.showing import Transcription, TranscriptionForm
from tunesmith.api.doors.subtitles import subtitles
from tunesmith.service.serving.pool import DRAW, TRANSCRIBE
from tunesmith.service.serving.showing import MOST_BYTES, bounded, sent
from tunesmith.service.serving.targets import find_target
from tunesmith.spec.errors import BadValue

router = APIRouter(prefix="/v1", tags=["openai"])
TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "What is said; as text with `response_format` text, srt or vtt.",
    }
}


@router.post("/audio/transcriptions", response_model=Transcription, responses=TEXT)
async def transcribe(
    form: Annotated[TranscriptionForm, Form(media_type="multipart/form-data")],
    request: Request,
    service: Serving,
    by: Asker,
    acting: Acting,
) -> Response:
    """Write down what is said in a recording: wav, flac, ogg or mp3."""
    content = bounded(await form.file.read(MOST_BYTES + 1))
    target = await run_sync(lambda: find_target(service, by, form.model, org=acting))
    timed = form.response_format in ("verbose_json", "srt", "vtt")
    body = sent(content, {"language": form.language, "times": timed or None})
    found = await answering.whole(request, service.serving.ask(target, TRANSCRIBE, body))
    match form.response_format:
        case "text":
            return PlainTextResponse(found["text"] + "\n")
        case "srt" | "vtt" as kind:
            if not found.get("segments"):
                raise BadValue("response_format", kind, "json, verbose_json or text: the model tells no times")
            return PlainTextResponse(subtitles(found["segments"], kind))
        case "verbose_json":
            known = {name: found[name] for name in ("language", "duration", "segments") if name in found}
            return JSONResponse({"task": "transcribe", "text": found["text"], **known})
    return JSONResponse({"text": found["text"]})


@router.post("/images/generations")
async def draw(asked: DrawingRequest, request: Request, service: Serving, by: Asker, acting: Acting) -> DrawnPictures:
    """Make pictures of a text."""
    target = await run_sync(lambda: find_target(service, by, asked.model, org=acting))
    names = {"prompt", "n", "negative_prompt", "steps", "guidance", "seed"}
    said = asked.model_dump(mode="json", include=names, exclude_none=True)
    if asked.size not in (None, "auto"):
        said["width"], said["height"] = map(int, str(asked.size).split("x"))
    found = await answering.whole(request, service.serving.ask(target, DRAW, said))
    return DrawnPictures(created=int(time.time()), data=[DrawnPicture(b64_json=one) for one in found["images"]])
