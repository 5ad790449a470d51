"""Who has launched a run, or given it up: ``launched.json``, made once and by one process only.

The worker's parent process makes it before it starts the worker. Whoever makes it first decides: a run that was given
up is never launched, and one that was launched cannot be given up.
"""

from __future__ import annotations

import errno
import os
import uuid
from typing import Final

from pydantic import ValidationError

from tunesmith.runs.durable import read_json, sync_folder, write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.liveness import Process, boot, is_alive
from tunesmith.spec.recipe import Part

MARKER: Final = "launched.json"


class Launch(Part):
    """What became of the launch of a run."""

    parent: Process | None = None
    """The process that starts the worker and waits for it; None: the run was given up, nobody ever starts it."""

    @property
    def goes_on(self) -> bool:
        """Whether the process that launches it lives."""
        return self.parent is not None and is_alive(self.parent)


def launch_of(run: RunFolder) -> Launch | None:
    """Return what became of the launch of a run; None before anybody has decided."""
    content = read_json(run.path / MARKER)
    try:
        return Launch.model_validate(content) if content is not None else None
    except ValidationError:
        return None


def given_up(run: RunFolder) -> bool:
    """Whether somebody has given a run up; whoever was about to launch it may still be clearing its folder away."""
    launch = launch_of(run)
    return launch is not None and launch.parent is None


def abandon(run: RunFolder) -> bool:
    """Give a run up; return whether it was never launched and never will be. Its folder need not exist yet.

    A launch that broke off before the worker was let go counts as none, if it broke off on this start of this machine:
    of another machine's processes nothing is known here.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    if _decided(run):
        return True
    launch = launch_of(run)
    if launch is None or launch.parent is None:
        return launch is not None
    broke_off = launch.parent.boot == boot() and not launch.goes_on
    # Life first: the parent may have written the handle and died between two looks.
    return broke_off and not (run.path / "handle.json").exists()


def _decided(run: RunFolder) -> bool:
    """Make the marker, whole and on the disk, unless it is there; return whether it was made."""
    draft = run.path / f".{MARKER}.{uuid.uuid4().hex[:8]}"
    write_json(draft, Launch().model_dump(mode="json"))
    try:
        os.link(draft, run.path / MARKER)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        return _made_without_links(run)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(run.path)
    return True


def _made_without_links(run: RunFolder) -> bool:
    """Make the marker on a file system where a file has one name only; for a moment it is there and empty."""
    try:
        with (run.path / MARKER).open("xb") as file:
            file.write(b"{}")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True
