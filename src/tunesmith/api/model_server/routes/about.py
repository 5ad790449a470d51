"""`/`, `/health`, `/info`: the page, whether the model is there, and which one it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from tunesmith.api.model_server.model import Model

router = APIRouter(tags=["model"])


@router.get("/", response_class=HTMLResponse)
def page(model: Model) -> HTMLResponse:
    """Show a page to talk to the model, which needs nothing from anywhere else."""
    headers = {"Content-Security-Policy": model.page.policy, "Cache-Control": "no-cache"}
    return HTMLResponse(model.page.html, headers=headers)


@router.get("/health")
async def health(model: Model, response: Response) -> dict[str, Any]:
    """Say whether the model is loaded; 503 while it is not, as after its process has died, until it is asked again."""
    loaded = await run_sync(model.is_loaded)
    response.status_code = 200 if loaded else 503
    status = "healthy" if loaded else "loading"
    return {"status": status, "model_loaded": loaded, "timestamp": datetime.now(UTC).isoformat()}


@router.get("/info")
def info(model: Model) -> dict[str, Any]:
    """Say which model this is, what was trained on it, and where it computes."""
    return model.described()
