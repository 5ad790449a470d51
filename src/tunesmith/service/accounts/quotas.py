"""How much an organisation may have: queued and running jobs, device-hours, bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from tunesmith.service.context import Service


def admit(connection: Connection, org: str, service: Service) -> None:
    """Let one more job in.

    Raises:
        QuotaExceeded: the organisation has as many queued jobs as it may have, or has used up its device-hours.
    """
