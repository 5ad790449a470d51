"""Which runs there are."""

from __future__ import annotations

from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.runs.status import RunStatus, status
from tunesmith.settings import Settings
from tunesmith.spec.errors import RunAmbiguous, RunNotFound


def runs(settings: Settings) -> list[RunStatus]:
    """Return how all runs stand, the newest first."""
    return [status(run) for run in run_folders(settings.runs_dir)]


def find(settings: Settings, name: str) -> RunFolder:
    """Return the run with this id, with an id that begins so, or with this name.

    Raises:
        RunNotFound: there is none.
        RunAmbiguous: there are several.
    """
    folders = run_folders(settings.runs_dir)
    for fits in (lambda id: id == name, lambda id: id.startswith(name), lambda id: _name(id) == name):
        found = [run for run in folders if name and fits(run.id)]
        if len(found) > 1:
            raise RunAmbiguous(name, [run.id for run in found])
        if found:
            return found[0]
    raise RunNotFound(name, [run.id for run in folders])


def _name(id: str) -> str:
    """Return the name inside an id: what stands between the time and the last four digits."""
    return "-".join(id.split("-")[2:-1])
