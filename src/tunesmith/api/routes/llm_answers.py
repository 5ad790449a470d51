"""`POST /api/llm-finetuning/test`: ask what a task made."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from tunesmith.api import answering
from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.tasks_answers import Envelope
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.queue import Job
from tunesmith.service.serving.pool import CHAT, COMPLETIONS
from tunesmith.service.serving.targets import find_target
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/llm-finetuning", tags=["llm-finetuning"])


class TestRequest(Part):
    """A question to what a task made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "prompt": "Hello!"}]})

    task_id: str = Field(min_length=1, max_length=128)
    prompt: str = Field(min_length=1, max_length=100_000)
    max_tokens: int = Field(100, ge=1, le=4096)
    """Longest answer, in tokens."""


class Tested(Envelope):
    """What it answers: the same each time, as the likeliest token is taken."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"success": True, "message": "", "error": None, "response": "Hello! How can I help?"}]
        }
    )

    response: str


@router.post("/test")
async def test(asked: TestRequest, request: Request, service: Serving, by: Asker) -> Tested:
    """Ask what a task made, in the words that it was trained with: as a chat, or as a text to go on with."""
    job = await run_sync(lambda: queue.get(service, asked.task_id, by, with_plan=True))
    target = await run_sync(lambda: find_target(service, by, job.id, org=job.org))
    drawn = {"max_tokens": asked.max_tokens, "temperature": 0}
    if _chats(job):
        body: dict[str, Any] = {"messages": [{"role": "user", "content": asked.prompt}], **drawn}
        answer = await answering.whole(request, service.serving.ask(target, CHAT, body))
        return Tested(response=answer["choices"][0]["message"]["content"] or "")
    answer = await answering.whole(request, service.serving.ask(target, COMPLETIONS, {"prompt": asked.prompt, **drawn}))
    return Tested(response=answer["choices"][0]["text"])


def _chats(job: Job) -> bool:
    spec = job.plan.spec if job.plan else job.spec
    return spec.task != "pretraining"
