"""Have a child process convert a fetched model: that needs torch, which this side never loads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.models.aliases import card
from tunesmith.service.models.fetching import Progress
from tunesmith.spec.errors import PullFailed
from tunesmith.spec.events import Failed, Finished
from tunesmith.spec.events import Progress as Told

if TYPE_CHECKING:
    from tunesmith.service.models.readers import Fetched
    from tunesmith.settings import Settings


def converted(fetched: Fetched, result: Path, weights: Path, kept: Sequence[str]) -> str:
    """Turn a file of weights into a model folder; files whose names are ``kept`` stay.

    Raises:
        PullFailed: the run failed; the message is its own sentence.
    """
    alias = fetched.alias
    request = {"source": str(weights.parent), "file": weights.name, "keep": list(kept), "card": card(alias)}
    convert(alias.name, request, result, fetched.settings, fetched.progress)
    return "converted"


def convert(name: str, request: Mapping[str, Any], result: Path, settings: Settings, progress: Progress) -> None:
    """Make a model folder in a convert run of its own, which is told the ``request``.

    Raises:
        PullFailed: the run failed; the message is its own sentence.
    """
    run = RunFolder.create(settings.home, kind="convert", name=name, request=request)
    executor = LocalExecutor()
    handle = executor.launch(run, env={})
    try:
        _wait(run, name, progress)
    except BaseException:
        executor.stop(handle, force=True)
        raise
    os.rename(run.artifacts_dir, result)


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
