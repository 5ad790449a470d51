"""Plans without jobs: what would be done, and why, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Body

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.jobs import preview
from tunesmith.spec.errors import Forbidden
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/plans", tags=["plans"])

EXAMPLE: Final = {
    "spec": {"model": {"source": "smollm2-135m-instruct"}, "datasets": [{"uri": "chatterbot-corpus"}]},
}


class Wanted(Part):
    """A job to be planned."""

    spec: JobSpec
    org: str | None = None
    """Whose data and models it may name. Open: the key's organisation, or default."""
    folder: str | None = None
    """What relative paths start from; for the operator alone."""


@router.post("")
def plan(wanted: Annotated[Wanted, Body(examples=[EXAMPLE])], service: Serving, by: Asker) -> Plan:
    """Plan a job by its model, its data and this machine; a model that was not fetched yet is not fetched for it."""
    if wanted.folder is not None and not by.is_operator:
        raise Forbidden("only the server's operator chooses the folder that a job starts in")
    return preview.plan(service, wanted.spec, by, org=wanted.org, folder=Path(wanted.folder) if wanted.folder else None)
