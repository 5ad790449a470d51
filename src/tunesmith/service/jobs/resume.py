"""Go on with a run: another run of the same plan, from the last checkpoint that verifies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from tunesmith.runs import checkpoints
from tunesmith.runs.folder import Kind, RunFolder, run_folders
from tunesmith.runs.handle import is_running
from tunesmith.runs.status import status
from tunesmith.service.jobs.continuation import PREFIX, continued_run
from tunesmith.service.jobs.index import find
from tunesmith.service.jobs.submit import start, with_data_found
from tunesmith.settings import Settings
from tunesmith.spec.errors import NothingToResume, ResumeDiffers, RunNotFound, WrongRunState
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import Device, JobSpec
from tunesmith.spec.modes import CIRCULAR
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Recipe
from tunesmith.spec.states import RunState

if TYPE_CHECKING:
    from tunesmith.store.jobs import Job

LIMITS: Final = ("recipe.epochs", "recipe.max_steps", "recipe.circular.cycles")
"""What may be larger than it was: it only decides where training ends."""
FREE: Final = frozenset({"name", "labels", "force"})
"""What nothing computed depends on."""
OFFERED: Final = "Larger --epochs or --max-steps (in mode circular: --max-circular-epochs) let it go on."


@dataclass(frozen=True)
class Resumable:
    """A run that can go on."""

    run: RunFolder
    checkpoint: Path | None = None
    """Where to start. None: the newest checkpoint that verifies."""


def find_resumable(settings: Settings, *, output: str | Path | None = None, reference: str | None = None) -> Resumable:
    """Return what to go on with: the run or checkpoint that ``reference`` names, else the newest run of an output.

    A reference is a checkpoint's folder, from the working folder or from the output, or a run. Without an unfinished
    run of the output its newest finished one is returned, which larger limits may continue.

    Raises:
        NothingToResume: there is no such run with a complete checkpoint.
        RunNotFound, RunAmbiguous: no run, or more than one, is called so.
        WrongRunState: the run is alive.
    """
    if reference is not None:
        return _by_reference(settings, reference, Path(output) if output is not None else None)
    if output is None:
        raise NothingToResume(settings.runs_dir)
    return Resumable(_newest_of(settings, Path(output)))


def resume(found: Resumable, settings: Settings, typed: Mapping[str, object] | None = None) -> RunFolder:
    """Start a run that goes on with another one, with the plan of that one.

    ``typed`` is what the user asks for, by dotted path in the job.

    Raises:
        ResumeDiffers: something typed is not what the run was started with, larger limits aside.
        WrongRunState: the run is alive, or finished and no limit is larger.
        OutputBusy: another run writes into the same output by now.
    """
    run = found.run
    stored = run.plan()
    plan = with_limits(stored, _changes(run, stored, typed or {}, settings))
    state = status(run).state
    if not state.is_over:
        raise _alive(run, state)
    if state is RunState.SUCCEEDED and plan is stored:
        raise WrongRunState(run.id, state, "resumed", OFFERED)
    _refuse_another_model(run, stored)
    return start(plan, settings, parent=run, checkpoint=found.checkpoint)


def changes_of(found: Resumable, settings: Settings, typed: Mapping[str, object]) -> dict[str, Any]:
    """Return the limits that were typed larger than the run has them.

    Raises:
        ResumeDiffers: something else is typed differently.
    """
    return _changes(found.run, found.run.plan(), typed, settings)


def raised(job: Job, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stored job says, by column, once its limits are larger.

    Raises:
        ResumeDiffers: a limit is not larger than it was.
    """
    spec = job.spec.model_copy(update={"recipe": _with_limits(job.spec.recipe, limits)})
    columns = {"spec": spec.model_dump(mode="json", exclude_unset=True)}
    JobSpec.model_validate(columns["spec"])  # What is stored can be read again, whoever asks for it.
    if job.plan is None:
        return columns  # Nothing was planned yet, so nothing is changed.
    for path, value in limits.items():
        was = _stored(job.plan, path)
        if value != was and not _is_larger(value, was):
            raise ResumeDiffers(job.run or job.id, path, _shown(was), _shown(value))
    return columns | {"plan": with_limits(job.plan, limits).model_dump(mode="json")}


def with_limits(plan: Plan, limits: Mapping[str, Any]) -> Plan:
    """Return the plan with other limits and as many steps as they make; without limits, the plan itself."""
    from tunesmith.planning.ending import distance, held_out

    if not limits:
        return plan
    recipe = _with_limits(plan.spec.recipe, limits)
    spec = plan.spec.model_copy(update={"recipe": recipe})
    steps = distance(plan.data, recipe, held_out(plan.spec.evaluation), plan.device.kind).steps
    seconds = None
    if steps is not None and plan.steps is not None and plan.seconds is not None:
        seconds = plan.seconds * steps / max(1, plan.steps)
    return plan.model_copy(update={"spec": spec, "steps": steps, "seconds": seconds})


def _with_limits(recipe: Recipe, limits: Mapping[str, Any]) -> Recipe:
    """Set the limits; the cycles of a circular run are its epochs."""
    fields = {path.removeprefix("recipe."): value for path, value in limits.items()}
    cycles = fields.pop("circular.cycles", None)
    if cycles is not None:
        fields["circular"] = recipe.circular.model_copy(update={"cycles": cycles})
        if recipe.mode == CIRCULAR:
            fields.setdefault("epochs", float(cycles))
    return recipe.model_copy(update=fields)


def _refuse_another_model(run: RunFolder, plan: Plan) -> None:
    from tunesmith.modalities import MODALITIES
    from tunesmith.planning.draft import facts_of_model

    modality = MODALITIES[plan.model.modality]
    now = facts_of_model(Path(plan.model.path), plan.model.source, modality)[0].fingerprint
    if now != plan.model.fingerprint:
        raise ResumeDiffers(run.id, f"the model in {plan.model.path}", plan.model.fingerprint[:12], now[:12])


def _by_reference(settings: Settings, reference: str, output: Path | None) -> Resumable:
    if folder := _checkpoint_folder(settings, reference, output):
        return _by_checkpoint(folder)
    try:
        run = find(settings, reference)
    except RunNotFound:
        if os.sep in reference:
            raise NothingToResume(reference) from None
        raise
    _refuse_if_alive(run)
    if run.header().kind is not Kind.TRAIN or not has_start(run):
        raise NothingToResume(run.id)
    return Resumable(run)


def _checkpoint_folder(settings: Settings, reference: str, output: Path | None) -> Path | None:
    """Return the checkpoint that a path means from the working folder, the output, or a run into that output.

    Where several are called so, one of a run that is not finished is meant: it alone has more to do.
    """
    bases = [Path.cwd()]
    if output is not None:
        runs = _trained_into(settings, os.path.realpath(expanded(output)))
        bases += [expanded(output), *(run.path for run in runs)]
    folders = [(base / expanded(reference)).resolve() for base in bases]
    found = [folder for folder in folders if (folder / checkpoints.MANIFEST).is_file()]
    return next((folder for folder in found if not _is_finished(folder)), found[0] if found else None)


def _is_finished(checkpoint: Path) -> bool:
    run = RunFolder(checkpoint.parent.parent)
    return run.exists() and status(run).state is RunState.SUCCEEDED


def _by_checkpoint(folder: Path) -> Resumable:
    run = RunFolder(folder.parent.parent)
    if not run.exists() or checkpoints.at(folder) is None:
        raise NothingToResume(folder)
    _refuse_if_alive(run)
    return Resumable(run, folder)


def _newest_of(settings: Settings, output: Path) -> RunFolder:
    """Return the newest unfinished run of an output, else its newest finished one, that has a checkpoint."""
    wanted = os.path.realpath(expanded(output))
    finished = None
    runs = list(_trained_into(settings, wanted))
    # A run that another one went on with is that one's past, however it ended.
    past = {run.header().parent for run in runs}
    for run in [run for run in runs if run.id not in past]:
        _refuse_if_alive(run)
        if not has_start(run):
            continue
        if status(run).state is not RunState.SUCCEEDED:
            return run
        finished = finished or run
    if finished is None:
        raise NothingToResume(output)
    return finished


def has_start(run: RunFolder) -> bool:
    """Whether a run has a checkpoint to go on from, after putting back one that was just being replaced."""
    if not is_running(run):  # Nobody else writes there.
        checkpoints.sweep(run)
    return checkpoints.start_of(run) is not None


def _trained_into(settings: Settings, output: str) -> Iterator[RunFolder]:
    for run in run_folders(settings.runs_dir):
        header = run.header()
        if header.kind is Kind.TRAIN and header.output is not None and os.path.realpath(header.output) == output:
            yield run


def _refuse_if_alive(run: RunFolder) -> None:
    state = status(run).state
    if not state.is_over:
        raise _alive(run, state)


def _alive(run: RunFolder, state: RunState) -> WrongRunState:
    return WrongRunState(
        run.id, state, "resumed", f"Follow it with `tunesmith runs follow {run.id}`, or pause it first."
    )


def _changes(run: RunFolder, plan: Plan, typed: Mapping[str, object], settings: Settings) -> dict[str, Any]:
    """Return the limits that were typed larger; refuse whatever else was typed differently."""
    changes: dict[str, Any] = {}
    for path, value in typed.items():
        was, now = _stored(plan, path), value
        if path in FREE or _is_same(path, was, now, run, plan, settings):
            continue
        if path in LIMITS and _is_larger(now, was):
            changes[path] = now
        else:
            raise ResumeDiffers(run.id, path, _shown(was), _shown(now))
    return changes


def _stored(plan: Plan, path: str) -> Any:
    found: Any = plan.spec
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name)
    return found


def _is_same(path: str, was: object, now: object, run: RunFolder, plan: Plan, settings: Settings) -> bool:
    if _plain(was) == _plain(now):
        return True
    started_in = Path(run.header().folder)
    if path == "resources.device":
        return now == Device.AUTO  # Whichever was chosen.
    if path == "output.dir":
        return os.path.realpath(str(now)) == os.path.realpath(run.header().output or "")
    if path == "model.source" and plan.spec.model.source.startswith(PREFIX):
        return str(now).startswith(PREFIX) and find(settings, str(now).removeprefix(PREFIX)).id == continued_run(
            plan.spec.model
        )
    if path == "model.source":
        return os.path.realpath(str(now)) == os.path.realpath(plan.model.path)
    if path == "datasets":
        asked = with_data_found(plan.spec.model_copy(update={"datasets": now}), settings).datasets
        return _located(asked, Path.cwd()) == _located(plan.spec.datasets, started_in)
    return False


def _located(datasets: Any, folder: Path) -> list[Any]:
    """Write data sets so that the same files read the same, wherever they are named from."""
    return [
        {**_plain(data), "uri": [os.path.realpath(folder / expanded(part)) for part in data.uri.split(",")]}
        for data in datasets
    ]


def _is_larger(now: object, was: object) -> bool:
    """Whether a limit leaves more room than it did; none leaves the most."""
    if was is None:
        return False
    return now is None or (isinstance(now, int | float) and isinstance(was, int | float) and now > was)


def _plain(value: object) -> Any:
    return TypeAdapter(Any).dump_python(value, mode="json")


def _shown(value: object) -> str:
    plain = _plain(value)
    return "not set" if plain is None else str(plain)
