"""What a run takes over from the finished run that it continues on other data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.runs import checkpoints
from tunesmith.runs.durable import read_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import ContinuationDiffers, NothingToContinue
from tunesmith.spec.job import Continue
from tunesmith.training.loop_settings import Origin
from tunesmith.worker.keeping import checkpoint_in, lineage

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan


def origin_of(run: RunFolder, plan: Plan) -> Origin | None:
    """Return where a run's first weights (and its optimizer's state) come from, if it continues another one.

    ``weights`` are those of the other run's result, in the 32 bits that they were trained in; ``state`` is where its
    training stood at the end, so that the count of steps never goes back.

    Raises:
        NothingToContinue: no checkpoint of the other run holds them any more.
    """
    name = first_of(run).header().continues
    if name is None:
        return None
    other = RunFolder(run.path.parent / name)
    state = plan.spec.model.continue_ is Continue.STATE
    folder = _last(other) if state else _result(other)
    if folder is None:
        raise NothingToContinue(name, "no complete checkpoint of it is left")
    return Origin(folder, state)


def refuse_other_classes(run: RunFolder, about: Mapping[str, Any]) -> None:
    """Refuse a continued run whose data has other classes than the head that it goes on with.

    Raises:
        ContinuationDiffers: it has.
    """
    name, classes = first_of(run).header().continues, about.get("classes")
    if name is None or classes is None:
        return
    was = _info(RunFolder(run.path.parent / name)).get("classes", classes)
    if was != classes:
        todo = "Use rows of the same classes, or train from the base model."
        raise ContinuationDiffers(name, "the classes", ", ".join(was), ", ".join(classes), todo)


def first_of(run: RunFolder) -> RunFolder:
    """Return the run that a chain of resumed runs began with."""
    return lineage(run)[-1]


def _last(run: RunFolder) -> Path | None:
    found = checkpoints.start_of(run) if run.exists() else None
    return found.path if found else None


def _result(run: RunFolder) -> Path | None:
    """Return the checkpoint whose weights are the run's result."""
    match _info(run):
        case {"weights_of_step": int(step)} if run.exists():
            return checkpoint_in(run, step)
    return None


def _info(run: RunFolder) -> dict[str, Any]:
    """Return what a run's result says of itself."""
    found = (read_json(run.artifacts_dir / name) for name in ("adapter_info.json", "model_info.json"))
    return next((info for info in found if isinstance(info, dict)), {})
