"""From names to folders: what the run of an evaluation or an export is told. What can be refused is refused here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tunesmith.modalities import task_of
from tunesmith.modalities.adapter_fit import base_names, check_adapter, check_tokenizer
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.folders import Use, is_adapter, is_model, use_of
from tunesmith.modalities.vision.families import YOLO
from tunesmith.planning.facts import device_facts, model_facts
from tunesmith.runs import checkpoints
from tunesmith.runs.durable import disk_full
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.handle import is_running
from tunesmith.runs.output_lock import PRIVATE
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.continuation import PREFIX
from tunesmith.service.jobs.index import find
from tunesmith.service.models.resolve import WORKING_FOLDER, resolve_datasets, resolve_model
from tunesmith.spec.errors import (
    AdapterMismatch,
    BadValue,
    ModelNotFound,
    NotForGguf,
    NothingToExport,
    OutputUnusable,
    RunNotFound,
    WrongRunState,
)
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import DatasetRef, Device, ModelRef, Resources
from tunesmith.spec.plan import DeviceFacts, settled
from tunesmith.spec.recipe import Precision
from tunesmith.spec.work import EvaluateRun, EvaluateSpec, Export, ExportRun, ExportSpec, ModelFolders

if TYPE_CHECKING:
    from tunesmith.settings import Settings

BASE: Final = "base"
"""Stands for the model that another was tuned from."""
NONE: Final = "none"
"""Stands for no baseline."""
ONNX: Final = frozenset({"picture", "detector"})
"""Kinds of model that are written as ONNX."""
_BITS: Final = {"f32": 32, "bf16": 16, "f16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5}
"""Bits of a weight in a GGUF file, with its share of the scales (ggml's blocks of 32 weights)."""
_BYTES: Final = {Precision.BF16: 2, Precision.FP16: 2, Precision.FP32: 4}


def export_run(
    spec: ExportSpec, settings: Settings, output: Path, *, start: Path = WORKING_FOLDER, mine: Collection[str] = ()
) -> ExportRun:
    """Return what the run of an export is told; relative paths begin at ``start``.

    ``mine`` are earlier attempts at the same export: what they published is replaced, anything else is in the way.

    Raises:
        NothingToExport: there is nothing of the kind that is asked for.
        WrongRunState: the run goes on.
        AdapterMismatch, TokenizerMismatch: base and adapter do not belong together.
        ModelNotFound, RunNotFound, RunAmbiguous: the source or its base is not there.
        OutputUnusable: there is something in the output already.
        DiskFull: there is no room for it.
    """
    source = model_folders(spec.source, settings, start=start, base=spec.base)
    use = use_of(Path(source.model), Path(source.adapter) if source.adapter else None)
    if spec.what is Export.ONNX and (use is None or use.kind not in ONNX):
        does = "writes text" if use is None else use.does
        raise NothingToExport(source.name, f"it {does}, and ONNX is for models that name what pictures show or find it")
    _refuse_other_packages(spec.what, source)
    if spec.what in (Export.ADAPTER, Export.MERGED) and not adapts(source):
        raise NothingToExport(source.name, "it trained every weight, so its result is a whole model already")
    if published_run(output) not in mine:
        _refuse_full(output)
    if use is not None:
        return _of_pictures_or_sounds(spec, source, use, output, settings)
    facts = model_facts(Path(source.model), source.name)
    if source.run is not None and adapts(source):
        plan = RunFolder(Path(source.run)).plan()
        if plan.model.fingerprint != facts.fingerprint:
            raise AdapterMismatch(Path(source.run).name, plan.model.source, Path(source.model).name)
    dtype = (spec.dtype or Precision(facts.dtype)) if spec.what is Export.MERGED else None
    if dtype is not None:
        _refuse_without_room(facts.parameters * _BYTES[dtype], output, settings)
    if spec.what is Export.GGUF:
        merged = _BYTES[Precision.FP32] if adapts(source) else 0  # An adapter is merged into its base first.
        needed = int(facts.parameters * (merged + _BITS[spec.quantization] / 8))
        _refuse_without_room(needed, output, settings)
    archive = f"{source.name}.zip" if spec.zip and spec.what is Export.ADAPTER else None
    return ExportRun(
        what=spec.what, source=source, dtype=dtype, quantization=spec.quantization, zip=archive, replay=spec.replay
    )


def _refuse_other_packages(what: Export, source: ModelFolders) -> None:
    """Refuse what only the package of a model writes, and what is written only for the models of a package."""
    is_yolo = read_json(Path(source.model) / "config.json").get("model_type") == YOLO
    if what is Export.ULTRALYTICS and not is_yolo:
        raise NothingToExport(source.name, "it is no YOLO of the package ultralytics, which opens nothing else")
    if what is Export.ONNX and is_yolo:
        why = "the package ultralytics writes ONNX of its YOLOs: `tunesmith export ultralytics`, then `yolo export`"
        raise NothingToExport(source.name, why)


def _of_pictures_or_sounds(
    spec: ExportSpec, source: ModelFolders, use: Use, output: Path, settings: Settings
) -> ExportRun:
    """Return what the run of an export of such a model is told.

    Raises:
        NotForGguf: that is for models that write text.
        DiskFull: there is no room for it.
    """
    if spec.what is Export.GGUF:
        raise NotForGguf(f"it {use.does}, and llama.cpp writes text")
    held = sum(file.stat().st_size for file in Path(source.model).rglob("*.safetensors"))
    if spec.what is not Export.ADAPTER:
        _refuse_without_room(2 * held, output, settings)  # in 32 bits, whatever it was stored in
    archive = f"{source.name}.zip" if spec.zip and spec.what is Export.ADAPTER else None
    return ExportRun(what=spec.what, source=source, dtype=spec.dtype, zip=archive, replay=spec.replay)


def evaluate_run(
    spec: EvaluateSpec,
    settings: Settings,
    *,
    device: Literal[Device.CPU, Device.CUDA] | None = None,
    start: Path = WORKING_FOLDER,
) -> EvaluateRun:
    """Return what the run of an evaluation is told; relative paths begin at ``start``.

    ``device`` is what the run gets; None leaves it to the machine, within what ``spec`` asks for.

    Raises:
        ModelNotFound, RunNotFound, RunAmbiguous: a model is not there.
        WrongRunState: the run of one goes on.
        DataNotFound: the data is not there.
        NoSuchDevice: a GPU is asked for, and none can be used.
        BadValue: there is nothing to measure on, or no base to compare with.
    """
    model = model_folders(spec.model, settings, start=start)
    if spec.data is None and model.run is None and not spec.prompts:
        raise BadValue("data", None, f"rows or prompts to measure on: no training of '{model.name}' held any out")
    facts = device_facts(Resources(device=device or spec.device))
    return EvaluateRun(
        model=model,
        baseline=_baseline(spec, model, settings, start),
        data=None if spec.data is None else _measured(resolve_datasets(spec.data, settings, start).datasets),
        **{name: getattr(spec, name) for name in _SAME},
        device=Device.CUDA if facts.kind == Device.CUDA else Device.CPU,
        precision=spec.precision or _trained_in(model, facts) or (Precision.BF16 if facts.bf16 else Precision.FP32),
    )


def _trained_in(model: ModelFolders, facts: DeviceFacts) -> Precision | None:
    """Return the number format that the training of a model computed in, where it is measured as its training measures.

    Networks of convolutions, for one, compute in 32 bits on processors that are fast with 16.
    """
    if model.run is None:
        return None
    plan = RunFolder(Path(model.run)).plan()
    task = task_of(plan.spec.task)
    as_texts = plan.model.modality == "text" and task.writes and task.counts == "token"
    return None if as_texts or plan.execution.device != facts.kind else plan.spec.recipe.precision


_SAME: Final = ("prompts", "rows", "answered", "metrics", "sampling", "bootstrap", "confidence", "seed")


def model_folders(
    source: str, settings: Settings, *, start: Path = WORKING_FOLDER, base: str | None = None
) -> ModelFolders:
    """Return where a model is: ``run:ID``, the folder of an adapter, of a checkpoint or of a model, or a name.

    A name is one that was pulled, a hub id, or that of a run, in this order. ``base`` is the model that an adapter
    belongs to, where the adapter names none or it has moved.

    Raises:
        ModelNotFound, RunNotFound, RunAmbiguous: there is none.
        WrongRunState: its run goes on.
        NothingToExport: its run has neither a result nor a whole checkpoint.
        AdapterMismatch, TokenizerMismatch: base and adapter do not belong together.
    """
    if source.startswith(PREFIX):
        return _of_run(find(settings, source.removeprefix(PREFIX)), settings, base)
    folder = Path(os.path.join(start, expanded(source)))
    if _is_checkpoint(folder, settings):
        run = RunFolder(folder.parent.parent)
        found = _of_run(run, settings, base)
        return found.model_copy(update={"adapter": None, "checkpoint": str(folder), "name": f"{run.id}:{folder.name}"})
    if is_adapter(folder):
        return _of_adapter(folder.resolve(), settings, base, start)
    try:
        model = resolve_model(ModelRef(source=source), settings, start)
    except ModelNotFound:
        if (run_ := _named(source, settings)) is None:
            raise
        return _of_run(run_, settings, base)
    made_by = _trained_by(model, settings) if folder.is_dir() else None
    return ModelFolders(name=model.name if folder.is_dir() else source, model=str(model), run=made_by)


def adapts(folders: ModelFolders) -> bool:
    """Whether a model is an adapter on a base."""
    if folders.adapter is not None or folders.run is None:
        return folders.adapter is not None
    return settled(RunFolder(Path(folders.run)).plan().spec.recipe.method, "recipe.method").adapts


def _of_run(run: RunFolder, settings: Settings, base: str | None) -> ModelFolders:
    header = run.header()
    if header.kind is not Kind.TRAIN:
        raise NothingToExport(run.id, "it is no training run")
    if is_running(run) and not status(run).state.is_over:
        raise WrongRunState(run.id, status(run).state.value, "used", "Wait for it, or pause it.")
    plan = run.plan()
    adapts = settled(plan.spec.recipe.method, "recipe.method").adapts
    is_finished = (is_adapter if adapts else is_model)(run.artifacts_dir)
    if not is_finished and checkpoints.start_of(run) is None:
        raise NothingToExport(run.id, "it has neither a result nor a whole checkpoint")
    model = str(resolve_model(ModelRef(source=base), settings)) if base else plan.model.path
    if not adapts and is_finished:
        return ModelFolders(name=header.name, model=str(run.artifacts_dir), run=str(run.path))
    adapter = str(run.artifacts_dir) if is_finished else None
    return ModelFolders(name=header.name, model=model, adapter=adapter, run=str(run.path))


def _of_adapter(adapter: Path, settings: Settings, base: str | None, start: Path) -> ModelFolders:
    names = [base] if base else base_names(adapter)
    if not names:
        raise ModelNotFound(str(adapter), "The adapter does not name its base: give --model too.")
    written = next((name for name in names if is_model(Path(name))), names[0])
    model = resolve_model(ModelRef(source=written), settings, start)
    if use_of(model, adapter) is None:  # What others were trained on their predictors see for themselves.
        check_adapter(adapter, model)
        check_tokenizer(adapter, model)
    run = _trained_by(adapter, settings)
    return ModelFolders(name=adapter.name, model=str(model), adapter=str(adapter), run=run)


def _trained_by(result: Path, settings: Settings) -> str | None:
    """Return the folder of the training run that a published result is of; None where it is not here."""
    id = published_run(result)
    run = RunFolder(settings.runs_dir / (id or ""))
    is_here = id is not None and run.exists() and run.header().kind is Kind.TRAIN
    return str(run.path) if is_here else None


def _is_checkpoint(folder: Path, settings: Settings) -> bool:
    below = folder.parent.name == "checkpoints" and folder.parent.parent.parent == settings.runs_dir
    return below and RunFolder(folder.parent.parent).exists()


def _named(name: str, settings: Settings) -> RunFolder | None:
    try:
        return find(settings, name)
    except RunNotFound:
        return None


def _baseline(spec: EvaluateSpec, model: ModelFolders, settings: Settings, start: Path) -> ModelFolders | None:
    """Return what a model is compared with; a tuned one with what it was tuned from, unless it is told otherwise."""
    if spec.baseline == NONE:
        return None
    if spec.baseline not in (None, BASE):
        return model_folders(spec.baseline, settings, start=start)
    if adapts(model):
        return ModelFolders(name=BASE, model=model.model)
    if model.run is not None:
        plan = RunFolder(Path(model.run)).plan()
        if is_model(Path(plan.model.path)):
            return ModelFolders(name=BASE, model=plan.model.path)
    if spec.baseline == BASE:
        raise BadValue("baseline", BASE, f"a model: what '{model.name}' was tuned from is not there")
    return None


def _measured(datasets: list[DatasetRef]) -> list[DatasetRef]:
    """Return the data sets to measure on: those kept for a test, else those that validate, else all."""
    kept = [each for each in datasets if each.test] or [each for each in datasets if each.validation] or datasets
    return [each.model_copy(update={"test": False, "validation": False}) for each in kept]


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
