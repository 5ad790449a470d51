"""`POST /api/llm-finetuning/test`: ask what a task made."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.tasks import Refusal
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import NotYet
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/llm-finetuning", tags=["llm-finetuning"])


class TestRequest(Part):
    """A question to what a task made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "prompt": "Hello!"}]})

    task_id: str = Field(max_length=128)
    prompt: str = Field(max_length=100_000)
    max_tokens: int = Field(100, ge=1, le=4096)


@router.post("/test", status_code=501)
def test(request: TestRequest, service: Serving, by: Asker) -> Refusal:
    """Ask what a task made."""
    queue.get(service, request.task_id, by)
    raise NotYet("Answering by this API")
