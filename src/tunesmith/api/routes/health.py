"""Whether the server is well: alive, and able to do its work."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response, status
from pydantic import Field

import tunesmith
from tunesmith.api.deps import Serving
from tunesmith.service.system import readiness
from tunesmith.spec.recipe import Part

router = APIRouter(tags=["health"])


class Alive(Part):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(tunesmith.__version__, examples=[tunesmith.__version__])


class Ready(Part):
    """What the work needs, and how it stands."""

    ready: bool
    database: str = Field(examples=["ok"])
    """ok, or why it cannot be used."""
    supervisor: str = Field(examples=["ok"])
    """ok, none (this server only answers), or why no job is taken on."""


@router.get("/healthz")
async def alive() -> Alive:
    """Say that the process answers; nothing else is looked at."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready, "description": "It cannot do its work."}})
def ready(request: Request, response: Response, service: Serving) -> Ready:
    """Say whether the database answers, and whether jobs are taken on."""
    database = readiness.of_database(service)
    supervisor = readiness.of_supervisor(getattr(request.app.state, "supervising", None))
    is_ready = database == "ok" and supervisor in ("ok", "none")
    response.status_code = status.HTTP_200_OK if is_ready else status.HTTP_503_SERVICE_UNAVAILABLE
    return Ready(ready=is_ready, database=database, supervisor=supervisor)
