"""Have a child process convert a fetched model: that needs torch, which this side never loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.models.aliases import Alias, Wheel, card
from tunesmith.service.models.wheel import Progress
from tunesmith.spec.errors import PullFailed
from tunesmith.spec.events import Failed, Finished
from tunesmith.spec.events import Progress as Told

if TYPE_CHECKING:
    from tunesmith.settings import Settings


def convert(alias: Alias, source: Path, target: Path, settings: Settings, progress: Progress) -> None:
    """Turn the files in ``source`` into a model folder at ``target``, in a convert run of its own.

    Raises:
        PullFailed: the run failed; the message is its own sentence.
    """
    assert isinstance(alias.source, Wheel)
    names = [Path(member).name for member in alias.source.members]
    request = {
        "source": str(source),
        "file": names[0],
        "keep": names[1:],
        "card": card(alias),
    }
    run = RunFolder.create(settings.home, kind="convert", name=alias.name, request=request)
    executor = LocalExecutor()
    handle = executor.launch(run, env={})
    try:
        _wait(run, alias.name, progress)
    except BaseException:
        executor.stop(handle, force=True)
        raise
    os.rename(run.artifacts_dir, target)


def _wait(run: RunFolder, name: str, progress: Progress) -> None:
    progress("starting the conversion", 0.0)
    last: object = None
    for event in follow(run):
        last = event.body
        if isinstance(last, Told):
            progress(last.message, last.done)
    if isinstance(last, Failed):
        raise PullFailed(name, last.message.rstrip("."))
    if not isinstance(last, Finished):
        raise PullFailed(name, f"the conversion ended without a last word; see {run.path / 'output.log'}")
