"""A job on the result of a finished run: ``run:ID`` as its model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.modalities import task_named
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.index import find
from tunesmith.settings import Settings
from tunesmith.spec.errors import ContinuationDiffers, NothingToContinue
from tunesmith.spec.job import Continue, JobSpec, ModelRef
from tunesmith.spec.plan import Plan, settled
from tunesmith.spec.states import RunState

PREFIX: Final = "run:"
ADAPTER: Final = (
    "method", "adapter.rank", "adapter.alpha", "adapter.targets", "adapter.dora", "adapter.rslora",
    "quantization.kind", "quantization.double",
)  # fmt: skip
"""Settings of a recipe that trained weights belong to."""
STATE: Final = ("optimizer",)
"""Further ones that an optimizer's state belongs to."""


TEMPLATE: Final = "chat_template"
"""The option by which conversations become tokens: the weights have learned to speak in it."""
TEMPLATED: Final = frozenset({"conversation", "preference"})
"""Kinds of example that a template renders."""
OPTIONS: Final = ("train_on",)
"""Options that hold on unless others are typed."""


@dataclass(frozen=True)
class Continued:
    """A job with what it takes over from another run."""

    job: JobSpec
    """With the other run's base as its model."""
    ref: ModelRef
    """The run, by its whole id, and what is taken over."""
    plan: Plan | None
    """That of the run, whose base and head are wanted; None where the run's result is the base."""

    def settled(self, plan: Plan) -> Plan:
        """Return the plan of the job, with the run named in it.

        Raises:
            ContinuationDiffers: base model or task are not those that the run's weights belong to.
        """
        if self.plan is not None:
            _refuse_strangers(self.ref.source.removeprefix(PREFIX), self.plan, plan)
        return plan.model_copy(update={"spec": plan.spec.model_copy(update={"model": self.ref})})


def continued_run(ref: ModelRef) -> str | None:
    """Return the id of the run whose weights a planned job begins with; None for a job that begins with a model."""
    begins = ref.source.startswith(PREFIX) and ref.continue_ is not Continue.NO
    return ref.source.removeprefix(PREFIX) if begins else None


def take_over(spec: JobSpec, settings: Settings) -> Continued | None:
    """Find the run that a job continues and fill in what follows from it; None for a job on a model.

    Raises:
        RunNotFound, RunAmbiguous: no run, or more than one, is called so.
        NothingToContinue: it has no result, or none that can be continued so.
        ContinuationDiffers: a typed setting, or a chat template, does not fit its weights.
    """
    if not spec.model.source.startswith(PREFIX):
        return None
    run = find(settings, spec.model.source.removeprefix(PREFIX))
    _refuse_unfinished(run)
    plan, how = run.plan(), spec.model.continue_ or Continue.WEIGHTS
    ref = ModelRef(source=PREFIX + run.id, continue_=how)
    if how is Continue.NO:
        return Continued(_on_result(spec, run, plan), ref, None)
    job = spec.model_copy(update={"model": ModelRef(source=_base(plan))})
    for path, value in _settings_of(plan, how):
        job = _with(job, path, value, run.id)
    job = job.model_copy(update={"options": _options(job, run, plan)})
    return Continued(job, ref, plan)


def _refuse_strangers(run: str, was: Plan, now: Plan) -> None:
    base, wanted = now.model.fingerprint, was.model.fingerprint
    if base != wanted:
        raise ContinuationDiffers(run, "the base model", wanted[:12], base[:12])
    tasks = [task_named(plan.spec.task) for plan in (was, now)]
    if was.spec.task != now.spec.task and not all(task is None or task.writes for task in tasks):
        todo = "Only tasks that write text share their weights; take the base model instead."
        raise ContinuationDiffers(run, "task", was.spec.task, now.spec.task, todo)


def _refuse_unfinished(run: RunFolder) -> None:
    if run.header().kind is not Kind.TRAIN:
        raise NothingToContinue(run.id, "it trained nothing")
    state = status(run).state
    if state is not RunState.SUCCEEDED:
        raise NothingToContinue(
            run.id, f"it is {state} and has no result; `tunesmith runs resume {run.id}` finishes it"
        )


def _on_result(spec: JobSpec, run: RunFolder, plan: Plan) -> JobSpec:
    """Take the run's result as a model like any other."""
    if settled(plan.spec.recipe.method, "recipe.method").adapts:
        why = (
            "its result is an adapter, which is no model by itself (merge it first: `tunesmith export merged`, or use "
        )
        raise NothingToContinue(run.id, why + "--continue weights)")
    return spec.model_copy(update={"model": ModelRef(source=str(run.artifacts_dir))})


def _base(plan: Plan) -> str:
    """Return how the base is found again: its folder if that is still there, else what the user had written."""
    return plan.model.path if Path(plan.model.path).is_dir() else plan.model.source


def _settings_of(plan: Plan, how: Continue) -> Iterator[tuple[str, Any]]:
    for path in (*ADAPTER, *(STATE if how is Continue.STATE else ())):
        value: Any = plan.spec.recipe
        for name in path.split("."):
            value = getattr(value, name)
        yield path, value


def _options(job: JobSpec, run: RunFolder, plan: Plan) -> dict[str, Any]:
    """Return the job's options with those that go on from the run: its chat template, as its result holds it."""
    was, typed = plan.spec.options, job.options
    options = {name: was[name] for name in OPTIONS if name in was} | typed
    if TEMPLATED.isdisjoint(plan.data.kinds):
        return options
    kept, wanted = run.artifacts_dir / f"{TEMPLATE}.jinja", typed.get(TEMPLATE)
    if wanted is not None:
        if Path(wanted).is_file() and not _same(Path(wanted), kept):
            raise ContinuationDiffers(run.id, f"options.{TEMPLATE}", was.get(TEMPLATE) or "the model's own", wanted)
    elif was.get(TEMPLATE) is not None and kept.is_file():
        options[TEMPLATE] = str(kept)
    return options


def _same(file: Path, other: Path) -> bool:
    return other.is_file() and file.read_bytes() == other.read_bytes()


def _with(job: JobSpec, path: str, value: Any, run: str) -> JobSpec:
    """Set a setting that follows from the run, unless another value was typed."""
    head, _, tail = path.partition(".")
    part: Any = getattr(job.recipe, head) if tail else job.recipe
    name = tail or head
    typed = getattr(part, name) if name in part.model_fields_set else None
    if typed is not None and typed != value:
        raise ContinuationDiffers(run, f"recipe.{path}", value, typed)
    part = part.model_copy(update={name: value})
    recipe = job.recipe.model_copy(update={head: part}) if tail else part
    return job.model_copy(update={"recipe": recipe})
