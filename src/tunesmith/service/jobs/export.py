"""From a run or an adapter folder to an export: what can be refused is refused before anything is computed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.executors.local import LocalExecutor
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, base_names, check_adapter, check_tokenizer
from tunesmith.planning.facts import model_facts
from tunesmith.runs import checkpoints, publish
from tunesmith.runs.durable import disk_full
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.handle import is_running
from tunesmith.runs.output_lock import PRIVATE
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.models.resolve import resolve_model
from tunesmith.spec.errors import (
    AdapterMismatch,
    ModelNotFound,
    NothingToExport,
    OutputUnusable,
    Relayed,
    RunCrashed,
    WrongRunState,
)
from tunesmith.spec.events import Failed, Finished, Progress
from tunesmith.spec.job import ModelRef
from tunesmith.spec.plan import settled

if TYPE_CHECKING:
    from tunesmith.settings import Settings

BYTES: Final = {"bf16": 2, "fp16": 2, "fp32": 4}
"""Bytes of a number, by format."""

Tell = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Source:
    """What is exported: the adapter of a run, or of a folder."""

    name: str
    run: RunFolder | None = None
    adapter: Path | None = None

    @classmethod
    def of_run(cls, run: RunFolder) -> Source:
        """Take a run's adapter.

        Raises:
            WrongRunState: the run goes on.
            NothingToExport: it has no adapter, or not yet.
        """
        if run.header().kind is not Kind.TRAIN:
            raise NothingToExport(run.id, "it is no training run")
        if not settled(run.plan().spec.recipe.method, "recipe.method").adapts:
            raise NothingToExport(run.id, "it trained every weight, so its result is a whole model already")
        if is_running(run) and not status(run).state.is_over:
            raise WrongRunState(run.id, status(run).state.value, "exported", "Wait for it, or pause it.")
        if not (run.artifacts_dir / ADAPTER_CONFIG).is_file() and checkpoints.start_of(run) is None:
            raise NothingToExport(run.id, "it has neither a result nor a whole checkpoint")
        return cls(run.header().name, run=run)

    @classmethod
    def of_folder(cls, adapter: Path) -> Source:
        """Take an adapter folder.

        Raises:
            ModelNotFound: it is none.
        """
        if not (adapter / ADAPTER_CONFIG).is_file():
            raise ModelNotFound(str(adapter), f"An adapter folder holds {ADAPTER_CONFIG}.")
        return cls(adapter.resolve().name, adapter=adapter.resolve())


def export_adapter(source: Source, output: Path, settings: Settings, tell: Tell, *, zipped: bool) -> dict[str, Any]:
    """Write an adapter folder, or an archive of it, into ``output``; return the run's summary.

    Raises:
        OutputUnusable: there is something in the output already, or it cannot be written.
        OutputBusy: another run writes into it.
    """
    _refuse_full(output)
    archive = f"{source.name}.zip" if zipped else None
    return _export({"what": "adapter", "base": None, "dtype": None, "zip": archive}, source, output, settings, tell)


def export_merged(
    source: Source, output: Path, settings: Settings, tell: Tell, *, model: str | None = None, dtype: str | None = None
) -> dict[str, Any]:
    """Merge an adapter into its base, at the base's full precision, and write the model; return the run's summary.

    ``model`` is the base where the adapter does not name it or it is elsewhere now; ``dtype`` the result's number
    format, that of the base if None.

    Raises:
        AdapterMismatch, TokenizerMismatch: base and adapter do not belong together.
        OutputUnusable: there is something in the output already, or it cannot be written.
        DiskFull: there is no room for the model.
    """
    base = _base(source, model, settings)
    facts = model_facts(base, str(base))
    _refuse_strangers(source, base, facts.fingerprint)
    _refuse_full(output)
    dtype = dtype or facts.dtype
    _refuse_without_room(facts.parameters * BYTES[dtype], output, settings)
    request = {"what": "merged", "base": str(base), "dtype": dtype, "zip": None}
    return _export(request, source, output, settings, tell)


def _export(request: dict[str, Any], source: Source, output: Path, settings: Settings, tell: Tell) -> dict[str, Any]:
    request = {
        **request,
        "run": str(source.run.path) if source.run else None,
        "adapter": str(source.adapter) if source.adapter else None,
    }
    run = RunFolder.create(
        settings.home, kind=Kind.EXPORT, name=f"{source.name}-{request['what']}", request=request, output=output
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


def _base(source: Source, model: str | None, settings: Settings) -> Path:
    if model is None and source.run is not None:
        model = source.run.plan().model.path
    if model is None and source.adapter is not None:
        names = base_names(source.adapter)
        model = next((name for name in names if (Path(name) / "config.json").is_file()), names[0] if names else None)
    if model is None:
        raise ModelNotFound(source.name, "The adapter does not name its base: give --model too.")
    return resolve_model(ModelRef(source=model), settings)


def _refuse_strangers(source: Source, base: Path, fingerprint: str) -> None:
    if source.run is not None:
        plan = source.run.plan()
        if plan.model.fingerprint != fingerprint:
            raise AdapterMismatch(source.run.id, plan.model.source, base.name)
    if source.adapter is not None:
        check_adapter(source.adapter, base)
        check_tokenizer(source.adapter, base)


def _refuse_full(output: Path) -> None:
    """An export goes into a folder of its own: nothing that lies there can be mistaken for a part of it."""
    try:
        held = [name for name in os.listdir(output) if name != PRIVATE]
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputUnusable(output, (error.strerror or str(error)).lower()) from error
    if held:
        raise OutputUnusable(output, f"'{sorted(held)[0]}' is there, and an export overwrites nothing")


def _refuse_without_room(needed: int, output: Path, settings: Settings) -> None:
    """The model is written in the run's folder first, then copied to where it goes."""
    places = [_existing(output), _existing(settings.home)]
    same = os.stat(places[0]).st_dev == os.stat(places[1]).st_dev
    for place in places:
        if shutil.disk_usage(place).free < needed * (2 if same else 1):
            raise disk_full(place, needed * (2 if same else 1))


def _existing(place: Path) -> Path:
    return next(part for part in (place, *place.absolute().parents) if part.is_dir())
