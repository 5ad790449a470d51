"""An evaluation run: a model, and what it is compared with, measured on the same rows.

The run's request is an ``EvaluateRun``; the result is ``evaluation.json`` in its artifacts, and its summary.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.modalities.text.metrics import SCORES
from tunesmith.runs.durable import write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.evaluation import FILE, EvaluationResult, Group, Measurement, ModelSize, Verdict
from tunesmith.spec.job import Device
from tunesmith.spec.plan import settled
from tunesmith.spec.work import EvaluateRun, ModelFolders
from tunesmith.worker.bootstrap import FEWEST
from tunesmith.worker.evaluation_rows import material
from tunesmith.worker.language import measure_language
from tunesmith.worker.objectives import measure_objective
from tunesmith.worker.telling import Teller

if TYPE_CHECKING:
    from tunesmith.worker.reporting import Reporter


def run(run: RunFolder, reporter: Reporter) -> None:
    """Measure what the run's request names.

    Raises:
        NothingToEvaluate: there is nothing to measure on.
        Paused, Cancelled: it was asked to end; an evaluation that goes on begins again.
    """
    began = time.monotonic()
    request = EvaluateRun.model_validate(run.header().request)
    device = torch.device("cuda", 0) if request.device is Device.CUDA else torch.device("cpu")
    tell = Teller(run, reporter)
    own, other = run.path / "adapter", run.path / "baseline"
    try:
        result = _measured(run, request, own, other, device, tell, reporter)
    finally:
        for written in (own, other):
            shutil.rmtree(written, ignore_errors=True)
    result = result.model_copy(update={"seconds": time.monotonic() - began})
    write_json(run.artifacts_dir / FILE, result.model_dump(mode="json"))
    reporter.finish(result.model_dump(mode="json"), str(run.artifacts_dir))


def _measured(
    run: RunFolder, request: EvaluateRun, own: Path, other: Path, device: torch.device, tell: Teller, reporter: Reporter
) -> EvaluationResult:
    """Measure; adapters that lie in checkpoints alone are written into ``own`` and ``other`` first."""
    adapter = _adapter(request.model, own)
    found = material(run, request, adapter, reporter)
    if isinstance(found.encoder, TextEncoder) and found.task.writes and found.task.counts == "token":
        measured = measure_language(request, found, adapter, _baseline_adapter(request, other), device, tell)
    else:
        measured = measure_objective(run, request, found, adapter, device, tell)
    return _result(request, measured.groups, measured.size, [*found.notes, *measured.notes], found.task.name)


def _adapter(folders: ModelFolders, target: Path) -> Path | None:
    """Return the adapter of a model, written out of its run's checkpoint where it has to be; None for a whole model."""
    from tunesmith.worker.export.adapter import write_adapter_at, write_adapter_of

    if folders.adapter is not None or folders.run is None:
        return Path(folders.adapter) if folders.adapter is not None else None
    training = RunFolder(Path(folders.run))
    if not settled(training.plan().spec.recipe.method, "recipe.method").adapts:
        return None
    if folders.checkpoint is not None:
        write_adapter_at(training, Path(folders.checkpoint), target)
    else:
        write_adapter_of(training, target)
    return target


def _baseline_adapter(request: EvaluateRun, target: Path) -> Path | None:
    return None if request.baseline is None else _adapter(request.baseline, target)


def _result(
    request: EvaluateRun, groups: list[Group], size: ModelSize, notes: list[str], task: str
) -> EvaluationResult:
    baseline = request.baseline.name if request.baseline is not None else None
    decisive = next((each for group in groups for each in group.measurements if each.verdict is not None), None)
    return EvaluationResult(
        model=request.model.name,
        baseline=baseline,
        task=task,
        verdict=decisive.verdict if decisive is not None else None,
        verdict_by=decisive.metric if decisive is not None else None,
        why=_why(request, decisive, next((group for group in groups if group.measurements), None)),
        groups=groups,
        notes=notes,
        size=size,
        confidence=request.confidence,
        bootstrap=request.bootstrap,
        seed=request.seed,
        precision=str(request.precision or "fp32"),
        seconds=0.0,
    )


def _why(request: EvaluateRun, decisive: Measurement | None, group: Group | None) -> str:
    """Say the verdict in a sentence."""
    if decisive is None or group is None:
        return "There is nothing to compare with, so there is no verdict."
    name = decisive.metric.replace("_", " ")
    change = f"{name} {decisive.baseline:.4g} -> {decisive.model:.4g}"
    rows = group.answered if decisive.metric in SCORES else group.rows
    where = f"on {rows} {group.name}"
    if decisive.verdict is not Verdict.CANNOT_TELL:
        baseline = request.baseline.name if request.baseline is not None else "its baseline"
        return f"{request.model.name} is {decisive.verdict} than {baseline} {where}: {change}."
    if rows < FEWEST:
        return f"Too few to tell: {where}, and at least {FEWEST} are needed ({change})."
    return f"No difference that is more than the choice of rows could make: {change} {where}."
