"""The data of a run: read, checked, encoded and divided, before any memory is spent on the model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data.prepare import PreparedData, prepare
from tunesmith.modalities import MODALITIES, measured_in
from tunesmith.modalities.base import Modality, Task
from tunesmith.settings import load_settings
from tunesmith.spec.errors import Cancelled
from tunesmith.spec.events import Phase, Prepared, Warned
from tunesmith.spec.plan import Plan
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter


@dataclass(frozen=True)
class Data:
    """Prepared rows, what encoded them, and what a resume compares."""

    prepared: PreparedData
    encoder: Any
    task: Task
    fingerprint: str
    """Of data, template, length, split and base weights."""


def prepare_data(run: RunFolder, plan: Plan, reporter: Reporter) -> Data:
    """Prepare the data of a plan; a second call finds the tokens in the cache.

    Raises:
        DataError: the data cannot be used as it is.
        Cancelled: nobody wants it any more.
    """
    modality, task = find_task(plan)
    spec, options = plan.spec, modality.options.model_validate(plan.spec.options)
    encoder = modality.encoder(Path(plan.model.path), options)
    home = run.path.parent.parent
    reporter.say(Phase(name="reading the data"))
    prepared = prepare(
        spec.datasets,
        encoder,
        cache_dir=home / "cache" / "tokens",
        cache_limit=load_settings(home=home).cache_limit_gb * 1e9,
        length=limit_of(plan, task),
        split=spec.evaluation.validation_split or 0.0,
        split_typed=not plan.split_chosen,
        test_split=spec.evaluation.test_split,
        seed=spec.seed,
        strict=spec.strict,
        drop_duplicates=bool(getattr(options, "drop_duplicates", False)),
        length_chosen=plan.length_chosen,
        progress=lambda name, done: _tell(run, reporter, Phase(name=name, done=done)),
    )
    fingerprint = _fingerprint(plan, prepared)
    reporter.say(
        Prepared(
            rows=prepared.rows,
            faults=prepared.faults.count,
            ledger=prepared.ledger.as_dict(),
            counts=measured_in(plan),
            cached=prepared.cached,
            fingerprint=fingerprint,
        )
    )
    for sentence in prepared.warnings:
        reporter.say(Warned(message=sentence))
    if prepared.faults.count:
        first = prepared.faults.first[0].message
        reporter.say(Warned(message=f"{prepared.faults.count} rows were left out. First: {first}"))
    return Data(prepared, encoder, task, fingerprint)


def _tell(run: RunFolder, reporter: Reporter, phase: Phase) -> None:
    """Tell how far it is. A cancelled run need not prepare to the end; a paused one must, to save its state."""
    reporter.say(phase)
    if reporter.request() is Request.CANCEL:
        reporter.acknowledge(Request.CANCEL, 0)
        raise Cancelled(run.id)


def limit_of(plan: Plan, task: Task) -> int | None:
    """Return the length at which rows are cut: none where they stay whole and nobody typed a limit."""
    return None if plan.length_chosen and not task.cuts else plan.spec.recipe.length


def find_task(plan: Plan) -> tuple[Modality, Task]:
    """Return the modality and the task that a plan names."""
    for modality in MODALITIES.values():
        for task in modality.tasks:
            if task.name == plan.spec.task:
                return modality, task
    raise LookupError(f"the plan names a task that no modality has: {plan.spec.task}")


def _fingerprint(plan: Plan, prepared: PreparedData) -> str:
    spec = plan.spec
    parts = (
        prepared.fingerprint,
        plan.model.fingerprint,
        spec.recipe.length,
        spec.evaluation.validation_split,
        spec.evaluation.test_split,
        spec.seed,
        spec.options,
        len(prepared.train),
        prepared.train.tokens,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
