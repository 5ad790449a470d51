"""What every endpoint is handed: the service, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from tunesmith.service.accounts.principal import OPERATOR, Principal
from tunesmith.service.context import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _principal(request: Request) -> Principal:
    return OPERATOR


Serving = Annotated[Service, Depends(_service)]
"""The service."""
Asker = Annotated[Principal, Depends(_principal)]
"""Who asks; a request without a right to be here never reaches the endpoint."""
