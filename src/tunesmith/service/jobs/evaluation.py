"""An evaluation without a server: its run is made, launched and followed here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.work_folders import evaluate_run
from tunesmith.service.supervisor.clearing import clear_away
from tunesmith.spec.errors import Relayed, RunCrashed
from tunesmith.spec.evaluation import EvaluationResult
from tunesmith.spec.events import Failed, Finished, Phase, Progress

if TYPE_CHECKING:
    from tunesmith.settings import Settings
    from tunesmith.spec.work import EvaluateSpec

Tell = Callable[[str, float | None], None]


def evaluate(spec: EvaluateSpec, settings: Settings, tell: Tell) -> EvaluationResult:
    """Measure a model in a process of its own; ``tell`` hears what is being done and the share that is done.

    The run and its ``evaluation.json`` stay; what was interrupted leaves nothing.

    Raises:
        TunesmithError: whatever keeps the model from being measured, in the run's own words.
    """
    request = evaluate_run(spec, settings)
    name = f"{request.model.name}-evaluate".replace("/", "-")
    run = RunFolder.create(
        settings.home, kind=Kind.EVALUATE, name=name, request=request.model_dump(mode="json", by_alias=True)
    )
    executor, handle = LocalExecutor(), None
    try:
        handle = executor.launch(run, env={"TUNESMITH_HOME": str(settings.home)})
        return _wait(run, tell)
    except BaseException as error:
        if handle is not None:
            executor.stop(handle, force=True)
        if not isinstance(error, Relayed | RunCrashed):
            shutil.rmtree(run.path, ignore_errors=True)
        else:
            clear_away(run)
        raise


def _wait(run: RunFolder, tell: Tell) -> EvaluationResult:
    for event in follow(run):
        match event.body:
            case Progress(message=message, done=done) | Phase(name=message, done=done):
                tell(message, done)
            case Failed(message=message, code=code, exit_code=exit_code):
                raise Relayed(message, code, exit_code)
            case Finished(summary=summary):
                return EvaluationResult.model_validate(summary)
    raise RunCrashed(run.id, "the evaluation ended without a word", f"Its log: {run.log}.")
