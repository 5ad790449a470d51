"""What every endpoint is handed: the service, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from tunesmith.api.broadcast import Broadcast
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.spec.errors import Unauthenticated


def _service(connection: HTTPConnection) -> Service:
    service: Service = connection.app.state.service
    return service


def _principal(connection: HTTPConnection) -> Principal:
    principal: Principal | None = getattr(connection.state, "principal", None)
    if principal is None:
        raise Unauthenticated
    return principal


def _broadcast(connection: HTTPConnection) -> Broadcast:
    broadcast: Broadcast = connection.app.state.broadcast
    return broadcast


Serving = Annotated[Service, Depends(_service)]
"""The service."""
Asker = Annotated[Principal, Depends(_principal)]
"""Who asks; a request without a right to be here never reaches the endpoint."""
Broadcasting = Annotated[Broadcast, Depends(_broadcast)]
"""The events as they come."""
