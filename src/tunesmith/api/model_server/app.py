"""The application of a model's server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastapi import Depends, FastAPI

import tunesmith
from tunesmith.api import errors, reference
from tunesmith.api.middleware.answers import Answers
from tunesmith.api.middleware.bodies import GIGABYTE, MEGABYTE, Bodies
from tunesmith.api.middleware.headers import SafeHeaders
from tunesmith.api.middleware.hosts import Hosts
from tunesmith.api.model_server.allowance import Allowance
from tunesmith.api.model_server.keyed import Keyed
from tunesmith.api.model_server.routes import ROUTERS
from tunesmith.api.query_names import refuse_unknown_names
from tunesmith.spec.errors import TooLarge

if TYPE_CHECKING:
    from tunesmith.api.model_server.model import ServedModel
    from tunesmith.service.context import Service
    from tunesmith.settings import Settings

LARGEST: Final = 10 * 2**20
"""Bytes of a body, files too."""
UPLOAD: Final = re.compile(r"/upload$")


def create_app(model: ServedModel, settings: Settings, keys: Service | None = None) -> FastAPI:
    """Make the application; ``keys`` is the service whose keys are asked for, None where everybody may call."""
    app = FastAPI(
        title=model.target.name,
        version=tunesmith.__version__,
        description="One model that answers.",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_names)],
    )
    app.state.model = model
    # What is added last is passed first.
    limits = settings.model_copy(update={"max_body_mb": LARGEST / MEGABYTE, "upload_limit_gb": LARGEST / GIGABYTE})
    app.add_middleware(Bodies, settings=limits, uploads=[UPLOAD], too_large=lambda limit: TooLarge(limit, "Send less."))
    if keys is not None:
        app.add_middleware(Keyed, service=keys)
    app.add_middleware(Hosts, settings=settings)
    app.add_middleware(Answers)
    app.add_middleware(Allowance, limit=settings.rate_limit)
    app.add_middleware(SafeHeaders)
    errors.install(app)
    reference.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
