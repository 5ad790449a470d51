"""The processes of a run: the worker and the parent that waits for it. ``handle.json``, written by the parent."""

from __future__ import annotations

from pydantic import ValidationError

from tunesmith.runs.durable import read_json
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.launch import launch_of
from tunesmith.runs.liveness import Process, is_alive
from tunesmith.spec.recipe import Part


class Handle(Part):
    """What is needed to find a run's processes again, also after the service was restarted."""

    folder: str
    """The run folder."""
    parent: Process
    """Waits for the worker and writes ``exit.json``."""
    worker: Process
    """Leads a process group of its own."""

    @property
    def is_alive(self) -> bool:
        """Whether the run still has a process: until ``exit.json`` is written, if the parent lives."""
        return is_alive(self.parent) or is_alive(self.worker)


def handle_of(run: RunFolder) -> Handle | None:
    """Return the processes of a run; None if it was never launched."""
    content = read_json(run.path / "handle.json")
    try:
        return Handle.model_validate(content) if content is not None else None
    except ValidationError:
        return None


def is_running(run: RunFolder) -> bool:
    """Whether somebody works on the run, or will: before the launch that is the process that made the folder."""
    handle = handle_of(run)
    if handle is not None:
        return handle.is_alive
    launch = launch_of(run)
    if launch is None:
        return not (run.path / "exit.json").exists() and is_alive(run.header().creator)
    if launch.goes_on:
        return True
    # The launch may have come to its end between the two looks.
    handle = handle_of(run)
    return handle is not None and handle.is_alive
