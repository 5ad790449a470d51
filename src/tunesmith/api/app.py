"""The application: every way in on one port."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, FastAPI
from fastapi.params import Form
from fastapi.routing import APIRoute

import tunesmith
from tunesmith.api import errors, reference
from tunesmith.api.broadcast import Broadcast
from tunesmith.api.middleware.access import Access
from tunesmith.api.middleware.answers import Answers
from tunesmith.api.middleware.bodies import Bodies
from tunesmith.api.middleware.headers import SafeHeaders
from tunesmith.api.middleware.hosts import Hosts
from tunesmith.api.middleware.once import Once
from tunesmith.api.middleware.timing import Timing
from tunesmith.api.query_names import refuse_unknown_names
from tunesmith.api.routes import routers
from tunesmith.service.context import Service
from tunesmith.service.system.tidying import tidy

log = logging.getLogger("tunesmith.api")
CHUNKED: Final = re.compile(r"/api/uploads(/|$)")
"""Where uploads come in as plain bytes."""
SHOWN: Final = re.compile(r"/(api/predict|v1/audio/transcriptions)/?$")
"""Where files come in that models are shown."""
TIDY_SECONDS: Final = 3600.0
"""How often what nobody needs is removed."""
SETTLED_SECONDS: Final = 60.0
"""Seconds after its start in which a server has better things to do."""


def create_app(service: Service, token: str | None = None) -> FastAPI:
    """Make the application that answers for a service; ``token`` is what the commands of its home send."""
    app = FastAPI(
        title="tunesmith",
        version=tunesmith.__version__,
        description="Turn data into better models on your own machines.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_names)],
    )
    app.state.service = service
    app.state.broadcast = Broadcast(service)
    found = routers()
    # What is added last is passed first.
    app.add_middleware(Once, service=service)
    app.add_middleware(Bodies, settings=service.settings, uploads=[CHUNKED, *_taking_files(found)], shown=SHOWN)
    app.add_middleware(Access, service=service, token=token)
    app.add_middleware(Hosts, settings=service.settings)
    app.add_middleware(Answers)
    app.add_middleware(Timing)
    app.add_middleware(SafeHeaders)
    errors.install(app)
    reference.install(app)
    for router in found:
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    tidying = asyncio.create_task(_tidy(app.state.service))
    yield
    tidying.cancel()
    with suppress(asyncio.CancelledError):
        await tidying
    await app.state.broadcast.close()


async def _tidy(service: Service) -> None:
    await asyncio.sleep(SETTLED_SECONDS)
    while True:
        try:
            await run_sync(tidy, service)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next hour is another try.
            log.warning("what nobody needs could not be removed: %s", error)
        await asyncio.sleep(TIDY_SECONDS)


def _taking_files(found: Iterable[APIRouter]) -> list[re.Pattern[str]]:
    """Return the paths of the routes that take forms, and with them files."""
    routes = [route for router in found for route in router.routes if isinstance(route, APIRoute)]
    return [route.path_regex for route in routes if route.body_field and isinstance(route.body_field.field_info, Form)]
