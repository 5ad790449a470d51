"""Measures a model by what its task reports while it trains: classes, preferences, covered words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.base import load
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import BadValue, NotALanguageModel, NothingToEvaluate
from tunesmith.spec.evaluation import Group, Measurement, ModelSize
from tunesmith.training.device import Ranks
from tunesmith.training.forward import inner
from tunesmith.worker.bootstrap import Statistic, Sums, difference
from tunesmith.worker.evaluation_rows import Material, Rows, at_home
from tunesmith.worker.language import Measured, measure_language
from tunesmith.worker.serving.loading import take_weights
from tunesmith.worker.side_by_side import NO_DIFFERENCE

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.work import EvaluateRun, ModelFolders
    from tunesmith.worker.telling import Beat, Teller

HIGHER: Final = frozenset({"accuracy", "macro_f1", "reward_accuracy", "reward_margin"})
LOWER: Final = frozenset({"loss", "perplexity"})
COMPARED: Final = LOWER | {"reward_margin"}
"""What also says something of a base that was not trained for the task."""


def measure_objective(
    run: RunFolder, request: EvaluateRun, material: Material, adapter: Path | None, device: torch.device, tell: Teller
) -> Measured:
    """Measure a model on rows as its training read them; prompts are answered, where the model writes.

    Raises:
        NothingToEvaluate: its training is not known.
        NotALanguageModel: there are prompts, and it writes nothing.
        BadValue: metrics are chosen, or it is to be compared with another model than its base.
    """
    task, prompts = material.task, [group for group in material.groups if group.name == "prompts"]
    if material.data is None or request.model.run is None:
        raise NothingToEvaluate(
            request.model.name, f"it {task.does}, which only the run of its training knows to measure"
        )
    if request.prompts and not task.writes:
        raise NotALanguageModel(request.model.name, f"it {task.does} and answers no prompts")
    if request.metrics is not None:
        what = f"no choice for a model that was trained for {task.name}: it is measured as its training measures it"
        raise BadValue("metrics", ", ".join(request.metrics), what)
    plan = at_home(RunFolder(Path(request.model.run)).plan(), request)
    other = request.baseline
    if other is not None and (other.adapter or other.run or other.model != plan.model.path):
        raise BadValue("baseline", other.name, f"base or none for a model that was trained for {task.name}")
    groups: list[Group] = []
    notes: list[str] = []
    size: ModelSize | None = None
    for rows in material.groups:
        if rows.name == "rows":
            group, notes, size = _measured(run, request, material, rows, plan, adapter, device, tell)
            groups.append(group)
    if material.asked:
        said = measure_language(request, replace(material, groups=prompts), adapter, None, device, tell)
        groups, notes, size = [*groups, *said.groups], [*notes, *said.notes], size or said.size
    assert size is not None
    return Measured(groups, size, notes)


def _measured(
    run: RunFolder,
    request: EvaluateRun,
    material: Material,
    rows: Rows,
    plan: Plan,
    adapter: Path | None,
    device: torch.device,
    tell: Teller,
) -> tuple[Group, list[str], ModelSize]:
    assert material.data is not None
    prepared = material.data.prepared
    names, tokens = _with_labels(rows, prepared.labels)
    pieces = load(material.task.builder)(plan, prepared.train, prepared.validation, device, labels=names)
    measurable = pieces.rows(tokens)
    if measurable is None:
        raise NothingToEvaluate(request.model.name, "none of the rows is of a class that it knows")
    pieces.warm_up(run.path, [], lambda: None, Ranks(0, 1))
    notes = list(pieces.warnings)
    comparable = request.baseline is not None and not pieces.about and not notes
    if request.baseline is not None and not comparable:
        notes.append("Its base has no head for the task, so there is nothing to compare with.")
    baseline = _sums(pieces, measurable, tell.doing(f"measuring {request.baseline.name}")) if comparable else None  # type: ignore[union-attr]
    _load_weights(pieces.model, request.model, adapter)
    model = _sums(pieces, measurable, tell.doing(f"measuring {request.model.name}"))
    group = Group(
        name="rows", source=rows.source, rows=len(measurable.lengths), found=rows.found, trained_on=rows.trained_on,
        per=material.task.counts, measurements=_measurements(pieces, model, baseline, request),
    )  # fmt: skip
    return group, notes, _size(pieces.model, adapter is not None)


def _with_labels(rows: Rows, known: list[str]) -> tuple[list[str], TokenRows]:
    """Return the classes of training and rows, and the rows with places among them."""
    if rows.tokens.labels is None:
        return known, rows.tokens
    names = [*known, *(name for name in rows.labels if name not in known)]
    places = np.array([names.index(name) for name in rows.labels], np.int64)
    return names, replace(rows.tokens, labels=places[rows.tokens.labels])


def _load_weights(model: Any, folders: ModelFolders, adapter: Path | None) -> None:
    """Replace what was trained by the values of a result."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if adapter is not None:
        set_peft_model_state_dict(model, load_file(adapter / "adapter_model.safetensors"))
        return
    if folders.checkpoint is not None:
        take_weights(inner(model), Path(folders.checkpoint))
        return
    for file in sorted(Path(folders.model).glob("*.safetensors")):
        inner(model).load_state_dict(load_file(file), strict=False)


def _sums(pieces: Any, rows: Any, beat: Beat) -> tuple[list[str], Sums]:
    """Measure each row alone: the names of the columns, and (rows, columns) of them; the last is what is counted."""
    found: list[list[float]] = []
    names: list[str] = []
    pieces.model.eval()
    with torch.no_grad():
        for row in range(len(rows.lengths)):
            sums = pieces.measure(rows.batch([row], 0))
            names = list(sums)
            found.append([*(sums[name] for name in names), float(rows.labels([row], 0))])
            beat((row + 1) / len(rows.lengths))
    return [*names, "counted"], np.array(found, np.float64)


def _measurements(
    pieces: Any, model: tuple[list[str], Sums], baseline: tuple[list[str], Sums] | None, request: EvaluateRun
) -> list[Measurement]:
    columns, sums = model

    def values(total: Sums) -> dict[str, float]:
        held = dict(zip(columns, (float(each) for each in total), strict=True))
        counted = max(held["counted"], 1.0)
        return {"loss": held["loss"] / counted, **pieces.metrics(held, counted)}

    def statistic(name: str) -> Statistic:
        return lambda draws: np.array([values(draw)[name] for draw in draws])

    found = []
    for name, value in values(sums.sum(0)).items():
        higher = True if name in HIGHER else False if name in LOWER else None
        if baseline is None or name not in COMPARED:
            found.append(Measurement(metric=name, model=value, higher_is_better=higher))
            continue
        other = values(baseline[1].sum(0))[name]
        change = difference(
            sums, baseline[1], statistic(name),
            resamples=request.bootstrap, confidence=request.confidence, seed=request.seed,
        )  # fmt: skip
        verdict = change.verdict(len(sums), higher_is_better=bool(higher), smallest=NO_DIFFERENCE * abs(other))
        found.append(
            Measurement(
                metric=name, model=value, baseline=other, higher_is_better=higher,
                difference=change.value, low=change.low, high=change.high, verdict=verdict,
            )
        )  # fmt: skip
    return found


def _size(model: Any, adapted: bool) -> ModelSize:
    parameters = list(model.parameters())
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    held = sum(each.numel() * each.element_size() for each in [*parameters, *model.buffers()])
    total = sum(each.numel() for each in parameters)
    return ModelSize(
        total_parameters=total, trainable_parameters=trained if adapted else total, model_size_mb=held / 2**20
    )
