"""What an executor can do: three methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tunesmith.runs.exits import Exit
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle


class Executor(Protocol):
    """A place where workers run. A worker outlives the process that launched it."""

    def launch(self, run: RunFolder, *, env: Mapping[str, str], processes: int = 1) -> Handle:
        """Start the run's worker; ``processes`` of them share each step."""
        ...

    def poll(self, handle: Handle) -> Exit | None:
        """Return how the run ended; None while it goes on."""
        ...

    def stop(self, handle: Handle, *, force: bool) -> None:
        """Ask the worker to end, or with ``force`` end it and all its processes at once."""
        ...
