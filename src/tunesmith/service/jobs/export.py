"""An export without a server: its run is made, launched and followed here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs import publish
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.work_folders import export_run
from tunesmith.service.supervisor.clearing import clear_away
from tunesmith.spec.errors import Relayed, RunCrashed
from tunesmith.spec.events import Failed, Finished, Progress

if TYPE_CHECKING:
    from tunesmith.settings import Settings
    from tunesmith.spec.work import ExportSpec

Tell = Callable[[str, float | None], None]


def export(spec: ExportSpec, output: Path, settings: Settings, tell: Tell) -> dict[str, Any]:
    """Write a model as files into ``output``; return the run's summary.

    Raises:
        OutputUnusable: there is something in the output already, or it cannot be written.
        OutputBusy: another run writes into it.
        DiskFull: there is no room for it.
        TunesmithError: whatever else keeps the model from being exported, in the run's own words.
    """
    request = export_run(spec, settings, output)
    name = f"{request.source.name}-{request.what}".replace("/", "-")
    run = RunFolder.create(
        settings.home,
        kind=Kind.EXPORT,
        name=name,
        request=request.model_dump(mode="json", by_alias=True),
        output=output,
    )
    executor, handle = LocalExecutor(), None
    try:
        publish.claim(output, run)
        handle = executor.launch(run, env={"TUNESMITH_HOME": str(settings.home)})
        return _wait(run, tell)
    except BaseException as error:
        if handle is not None:
            executor.stop(handle, force=True)
        publish.release(output, run)
        if handle is None or not isinstance(error, Relayed | RunCrashed):
            shutil.rmtree(run.path, ignore_errors=True)
        else:
            clear_away(run)
        raise


def _wait(run: RunFolder, tell: Tell) -> dict[str, Any]:
    for event in follow(run):
        match event.body:
            case Progress(message=message, done=done):
                tell(message, done)
            case Failed(message=message, code=code, exit_code=exit_code):
                raise Relayed(message, code, exit_code)
            case Finished(summary=summary):
                return {"run": run.id, **summary}
    raise RunCrashed(run.id, "the export ended without a word", f"Its log: {run.log}.")
