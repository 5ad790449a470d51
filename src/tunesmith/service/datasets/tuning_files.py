"""Files to train on that were uploaded: each is looked into once, so that what nobody can read is known at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tunesmith.service.accounts.principal import Principal
from tunesmith.service.datasets import files
from tunesmith.service.datasets.counting import count_rows
from tunesmith.spec.errors import BadValue, DataError, Relayed, SubtaskDied, SubtaskTooSlow
from tunesmith.store import files as stored

if TYPE_CHECKING:
    from tunesmith.service.context import Service

TUNING: Final = "fine-tune"
"""Purpose of files that are trained on."""
UNREADABLE: Final = "error"
"""Status of a file that cannot be trained on."""


def store_tuning_file(
    service: Service, by: Principal, *, org: str | None, name: str, chunks: Iterable[bytes], expires_after: float | None
) -> files.File:
    """Store a file to train on; one without any usable row is kept with the status ``error`` and the reason.

    Raises: as ``files.store_file``.
    """
    file = files.store_file(
        service, by, org=org, name=name, purpose=TUNING, chunks=chunks, expires_after=expires_after
    )  # fmt: skip
    try:
        count_rows(service, file.path, file.name)
    except (SubtaskDied, SubtaskTooSlow):
        return file  # The job that trains on it reads it with more time and memory.
    except (DataError, Relayed) as error:
        return _unreadable(service, file, error.message.replace(file.path, file.name))
    return file


def usable_file(service: Service, by: Principal, field: str, id: str) -> files.File:
    """Return a file that a job may train on.

    Raises:
        NotFound: there is none.
        BadValue: it is for something else, or cannot be read.
    """
    file = files.get_file(service, by, id)
    if file.purpose != TUNING:
        raise BadValue(field, id, f"a file uploaded with the purpose '{TUNING}' (this one is for '{file.purpose}')")
    if file.status == UNREADABLE:
        raise BadValue(field, id, f"a file that can be read ({str(file.status_details).rstrip('.')})")
    return file


def _unreadable(service: Service, file: files.File, why: str) -> files.File:
    with service.database.write() as connection:
        stored.change(connection, file.id, status=UNREADABLE, status_details=why)
    return replace(file, status=UNREADABLE, status_details=why)
