"""Runs side by side: what was set differently, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.runs.event_log import read
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.status import RunStatus, status
from tunesmith.spec.errors import WrongRunState
from tunesmith.spec.events import Evaluated, Finished, Prepared, Tested

OF_NO_MATTER: Final = frozenset({"name", "labels", "force", "output.dir", "schema_version"})
"""Fields of a job that change nothing computed."""


@dataclass(frozen=True)
class Compared:
    """Runs side by side; every list has one entry for each run, in the order asked for."""

    runs: list[RunStatus]
    settings: dict[str, list[Any]]
    """The settings that are not the same in all runs, by dotted path."""
    results: dict[str, list[Any]]
    best: dict[str, int]
    """Place of the best run of each result where one can be called so."""
    warnings: list[str]
    """Why the results may not be compared."""


LOWER: Final = ("perplexity", "wer", "cer")
HIGHER: Final = (
    "accuracy", "macro_f1", "map", "map_50", "recall_at_1", "recall_at_5", "zero_shot_accuracy", "token_accuracy",
    "exact_match", "rougeL", "reward_accuracy", "reward_margin",
)  # fmt: skip
MEASURES: Final = (*HIGHER, *LOWER)
"""What tasks measure at an evaluation beside the loss; the last one of a run is shown."""
COUNTED: Final = ("token", "text", "picture", "sound", "pair")
"""What speed is told in, by the task."""


def compare(runs: Sequence[RunFolder]) -> Compared:
    """Put training runs side by side.

    Raises:
        WrongRunState: one of them is no training run.
    """
    for run in runs:
        if run.header().kind is not Kind.TRAIN:
            raise WrongRunState(run.id, run.header().kind, "compared", "Only training runs can be.")
    found = [status(run) for run in runs]
    told = [_told(run) for run in runs]
    results = {name: [facts.get(name) for facts in map(_results, found, told)] for name in _RESULTS}
    results = {name: values for name, values in results.items() if any(value is not None for value in values)}
    return Compared(found, _different(runs), results, dict(_best(results)), list(_warnings(runs, told)))


@dataclass(frozen=True)
class _Told:
    """What a run's events say beyond its status."""

    summary: Mapping[str, Any]
    measured: Mapping[str, float]
    tested: Tested | None
    fingerprint: str | None


def _told(run: RunFolder) -> _Told:
    summary: Mapping[str, Any] = {}
    measured: Mapping[str, float] = {}
    tested = fingerprint = None
    for event in read(run.events, 0)[0] if run.events.exists() else ():
        if isinstance(event.body, Finished):
            summary = event.body.summary
        elif isinstance(event.body, Evaluated):
            measured = event.body.metrics
        elif isinstance(event.body, Tested):
            tested = event.body
        elif isinstance(event.body, Prepared):
            fingerprint = event.body.fingerprint
    return _Told(summary, measured, tested, fingerprint)


def _shown(measure: str) -> str:
    return measure.replace("_", " ")


def _speed_of(counts: str) -> str:
    return f"{counts}s per second"


_RESULTS: Final = (
    "state", "steps", "epochs", "train loss", "validation loss", "best validation loss",
    *map(_shown, MEASURES), "test loss", *map(_speed_of, COUNTED), "seconds", "peak memory bytes", "stopped because",
)  # fmt: skip
LOWER_IS_BETTER: Final = {"best validation loss", "test loss", "seconds", "peak memory bytes", *map(_shown, LOWER)}
HIGHER_IS_BETTER: Final = {*map(_shown, HIGHER), *map(_speed_of, COUNTED)}


def _results(now: RunStatus, told: _Told) -> dict[str, Any]:
    return {
        "state": str(now.state),
        "steps": now.step,
        "epochs": now.epoch,
        "train loss": now.train_loss,
        "validation loss": now.validation_loss,
        "best validation loss": now.best_validation_loss,
        **{_shown(name): told.measured.get(name) for name in MEASURES},
        "test loss": told.tested.loss if told.tested else None,
        **_speed(told.summary),
        "seconds": told.summary.get("seconds"),
        "peak memory bytes": told.summary.get("peak_memory_bytes"),
        "stopped because": told.summary.get("stopped_because") or now.reason,
    }


def _speed(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return how fast a run was, in what it counts."""
    counts = str(summary.get("counts", "token"))
    return {_speed_of(counts): summary.get("tokens_per_second" if counts == "token" else "rows_per_second")}


def _different(runs: Sequence[RunFolder]) -> dict[str, list[Any]]:
    """Return the settings in which the plans of the runs differ."""
    flat = [dict(_flat(run.plan().spec.model_dump(mode="json"))) for run in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    rows = {name: [one.get(name) for one in flat] for name in names if name not in OF_NO_MATTER}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _best(results: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, int]]:
    """Yield each result that can be better or worse, and the place of the best run, if one stands out."""
    for name, values in results.items():
        known = [value for value in values if isinstance(value, int | float)]
        if name not in LOWER_IS_BETTER | HIGHER_IS_BETTER or len(known) < 2:
            continue
        best = max(known) if name in HIGHER_IS_BETTER else min(known)
        if known.count(best) == 1:
            yield name, list(values).index(best)


def _warnings(runs: Sequence[RunFolder], told: Sequence[_Told]) -> Iterator[str]:
    prints = {facts.fingerprint for facts in told}
    if len(prints) > 1:
        counts = {str(facts.summary.get("counts", "token")) for facts in told if facts.summary} or {"token"}
        what = "tokens" if counts == {"token"} else "rows"
        yield f"Data, template, length or base model differ: the losses are of different {what}."
    for run, facts in zip(runs, told, strict=True):
        if not facts.summary:
            yield f"Run {run.id} has not finished."
