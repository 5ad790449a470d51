"""The registry of models: what a finished run made, and what that was made of, so that it can be made again."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

import tunesmith
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import published_run
from tunesmith.service.jobs.continuation import continued_run
from tunesmith.spec.events import Finished, Prepared, Tested
from tunesmith.spec.ids import new_id
from tunesmith.spec.plan import Plan, settled
from tunesmith.store import models as stored
from tunesmith.store.jobs import Job, NewJob
from tunesmith.store.models import Model

PACKAGES: Final = ("torch", "transformers", "peft", "safetensors", "tokenizers", "accelerate", "bitsandbytes", "numpy")
"""Libraries on which the numbers in a model depend."""
_NAME_LENGTH: Final = 240
"""Longest name before a number that tells it from an earlier one of the same name."""


@dataclass(frozen=True)
class NewModel:
    """What is known of a result from the files of its run."""

    org: str
    name: str
    kind: str
    path: str
    artifacts: str
    """The result inside the run's folder, which stays when a later run publishes over ``path``."""
    job: str
    run: str
    base: str
    base_fingerprint: str
    parent_run: str | None
    recipe: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]
    metrics: dict[str, Any]
    bytes: int


def gather(job: Job | NewJob, run: RunFolder) -> NewModel:
    """Read what a succeeded training run made from its folder; no database is asked.

    Raises:
        RunNotFound, UnreadableFile: the folder is not that of a run, or a file of it cannot be read.
    """
    plan = run.plan()
    method = settled(plan.spec.recipe.method, "recipe.method")
    told = [event.body for event in read(run.events)[0]]
    return NewModel(
        org=job.org,
        name=str(job.extra.get("model_name") or job.name)[:_NAME_LENGTH],
        kind="adapter" if method.adapts else "full",
        path=str(_place(run)),
        artifacts=str(run.artifacts_dir),
        job=job.id,
        run=run.id,
        base=plan.model.source,
        base_fingerprint=plan.model.fingerprint,
        parent_run=continued_run(plan.spec.model),
        recipe=plan.spec.model_dump(mode="json", include={"task", "recipe", "options", "seed"}),
        data=_data(plan, next((body for body in told if isinstance(body, Prepared)), None)),
        versions=_versions(),
        metrics=_metrics(told),
        bytes=size_of(run.artifacts_dir),
    )


def add(connection: Connection, new: NewModel, now: float) -> Model:
    """Store a result and return it; asked again for the same run, return what is stored.

    An earlier result that was published in the same folder is now found where its run left it.
    """
    there = stored.of_run(connection, new.run)
    if there is not None:
        return there
    for replaced in stored.at(connection, new.path):
        own = Path(new.artifacts).parent.parent / str(replaced.run) / "artifacts"
        stored.change(connection, replaced.id, path=str(own))
    parent = stored.of_run(connection, new.parent_run) if new.parent_run else None
    values = {name: value for name, value in vars(new).items() if name not in ("artifacts", "parent_run", "name")}
    model = Model(
        id=new_id("model-"),
        name=_free_name(connection, new.org, new.name),
        parent=parent.id if parent else None,
        created_at=now,
        **values,
    )
    stored.add(connection, model)
    return model


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; what links lead to is not its own."""
    total = 0
    for file in folder.rglob("*"):
        if not file.is_symlink() and file.is_file():
            total += file.stat().st_size
    return total


def _place(run: RunFolder) -> Path:
    """Return where the result is published, if this run's lies there; else where the run left it."""
    output = run.header().output
    published = output is not None and published_run(Path(output)) == run.id
    return Path(output) if output is not None and published else run.artifacts_dir


def _data(plan: Plan, prepared: Prepared | None) -> dict[str, Any]:
    sets = [
        dataset.model_dump(mode="json", include={"uri", "format", "limit", "validation", "test"})
        for dataset in plan.spec.datasets
    ]
    facts = {"rows": prepared.rows, "fingerprint": prepared.fingerprint} if prepared is not None else {}
    return {"sets": sets, **facts}


def _versions() -> dict[str, str]:
    found = {"tunesmith": tunesmith.__version__, "python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _metrics(told: list[Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for body in told:
        if isinstance(body, Finished):
            metrics |= {name: value for name, value in body.summary.items() if name not in ("run", "output", "state")}
        elif isinstance(body, Tested):
            metrics |= {"test_loss": body.loss, "test_metrics": dict(body.metrics)}
    return metrics


def _free_name(connection: Connection, org: str, name: str) -> str:
    """Return a name that no model of the organisation has: the one that is wanted, else with the first free number."""
    free, number = name, 1
    while stored.named(connection, org, free) is not None:
        number += 1
        free = f"{name}-{number}"
    return free
