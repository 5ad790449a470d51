"""The application: every way in on one port."""

from __future__ import annotations

from fastapi import FastAPI

import tunesmith
from tunesmith.api import errors
from tunesmith.api.routes import routers
from tunesmith.service.context import Service


def create_app(service: Service) -> FastAPI:
    """Make the application that answers for a service."""
    app = FastAPI(title="tunesmith", version=tunesmith.__version__)
    app.state.service = service
    errors.install(app)
    for router in routers():
        app.include_router(router)
    return app
