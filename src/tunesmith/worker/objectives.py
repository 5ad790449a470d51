"""Measures a model by what its task reports while it trains: classes, preferences, words misheard, things found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.base import load
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import BadValue, NotALanguageModel, NothingToEvaluate
from tunesmith.spec.evaluation import Confusion, Group, Measurement, ModelSize
from tunesmith.training.device import Ranks
from tunesmith.training.forward import inner
from tunesmith.training.pieces import Gathering, able
from tunesmith.worker.bootstrap import Difference, Statistic, Sums, difference, drawn_rows, within
from tunesmith.worker.evaluation_rows import Material, Rows, at_home
from tunesmith.worker.language import Measured, measure_language
from tunesmith.worker.serving.loading import take_weights
from tunesmith.worker.side_by_side import NO_DIFFERENCE

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.work import EvaluateRun, ModelFolders
    from tunesmith.worker.telling import Beat, Teller

LOWER: Final = frozenset({"loss", "perplexity", "wer", "cer"})
HIGHER: Final = (
    "accuracy", "macro_f1", "f1 of ", "reward_accuracy", "reward_margin", "map", "ap of ", "recall", "image_to_text",
    "text_to_image", "zero_shot", "token_accuracy", "exact_match", "rouge",
)  # fmt: skip
"""What the names of metrics begin with of which more is better."""
COMPARED: Final = (*sorted(LOWER), "reward_margin", "recall", "zero_shot", "token_accuracy", "exact_match", "rouge")
"""What the names of metrics begin with that say something of a base, which was not trained for the task, too."""
LARGEST: Final = 200
"""Classes of which it is counted what each was taken for, at most."""


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
    plan = _in_format(at_home(RunFolder(Path(request.model.run)).plan(), request), request)
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
    pieces.warm_up(run.path, [Path(str(request.model.run))], lambda: None, Ranks(0, 1))
    notes = list(pieces.warnings)
    comparable = request.baseline is not None and not pieces.about and not notes
    if request.baseline is not None and not comparable:
        notes.append("Its base has no head for the task, so there is nothing to compare with.")
    baseline = _sums(pieces, measurable, tell.doing(f"measuring {request.baseline.name}")) if comparable else None  # type: ignore[union-attr]
    _load_weights(pieces, request.model, adapter)
    model = _sums(pieces, measurable, tell.doing(f"measuring {request.model.name}"))
    judged_by = (material.task.judged_by or "").lstrip("-")
    found = _measurements(pieces, model, baseline, request)
    found.sort(key=lambda each: each.metric != judged_by)  # the metric that the verdict follows stands first
    group = Group(
        name="rows", source=rows.source, rows=len(measurable.lengths), found=rows.found, trained_on=rows.trained_on,
        per=material.task.counts, measurements=found,
        confusion=_confusion(pieces, model),
    )  # fmt: skip
    return group, notes, _size(pieces.model, adapter is not None)


def _in_format(plan: Plan, request: EvaluateRun) -> Plan:
    """Return the plan with the number format that the evaluation computes in."""
    recipe = plan.spec.recipe.model_copy(update={"precision": request.precision or plan.spec.recipe.precision})
    return plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe})})


def _with_labels(rows: Rows, known: list[str]) -> tuple[list[str], TokenRows]:
    """Return the classes of training and rows, and the rows with places among them."""
    if rows.tokens.labels is None:
        return known, rows.tokens
    names = [*known, *(name for name in rows.labels if name not in known)]
    places = np.array([names.index(name) for name in rows.labels], np.int64)
    return names, replace(rows.tokens, labels=places[rows.tokens.labels])


def _load_weights(pieces: Any, folders: ModelFolders, adapter: Path | None) -> None:
    """Replace what was trained by the values of a result.

    Raises:
        NothingToEvaluate: the result lacks some of it.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    model, read = pieces.model, getattr(pieces, "read", None)
    if adapter is None and folders.checkpoint is not None:
        take_weights(model if read is not None else inner(model), Path(folders.checkpoint))
        return
    if read is not None:
        missing = _take(model, read(adapter or Path(folders.model)))
    elif adapter is not None:
        set_peft_model_state_dict(model, load_file(adapter / "adapter_model.safetensors"))
        return
    else:
        missing = _take(inner(model), _whole(inner(model), Path(folders.model)))
    if missing:
        raise NothingToEvaluate(folders.name, f"its files lack '{missing[0]}', which was trained")


def _whole(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a whole model's folder, as models of this class call them in memory.

    Files of transformers may have other names; the class itself knows what becomes of them.
    """
    from safetensors.torch import load_file

    if hasattr(model, "from_pretrained"):
        loaded, info = type(model).from_pretrained(
            str(folder), local_files_only=True, dtype=next(model.parameters()).dtype, output_loading_info=True
        )
        return {name: each for name, each in loaded.state_dict().items() if name not in info["missing_keys"]}
    return {name: each for file in sorted(folder.glob("*.safetensors")) for name, each in load_file(file).items()}


def _take(model: Any, weights: dict[str, torch.Tensor]) -> list[str]:
    """Put weights into a model; return the names of trained ones that are not among them, under any of their names."""
    found = model.load_state_dict(weights, strict=False)
    absent = set(found.missing_keys)
    there = {each.data_ptr() for name, each in model.named_parameters(remove_duplicate=False) if name not in absent}
    trained = ((name, each) for name, each in model.named_parameters() if each.requires_grad)
    return [name for name, each in trained if each.data_ptr() not in there]


@dataclass(frozen=True)
class _Found:
    """What a model made of rows."""

    names: list[str]
    """Of the columns; the last is what is counted."""
    sums: Sums
    """(rows, columns)"""
    said: list[Any] | None
    """What each row says, for figures of all rows together that are no sums; None where the task has none."""


def _sums(pieces: Any, rows: Any, beat: Beat) -> _Found:
    """Measure each row alone."""
    found: list[list[float]] = []
    names: list[str] = []
    gathering, said = able(pieces, Gathering), []
    pieces.model.eval()
    with torch.no_grad():
        for row in range(len(rows.lengths)):
            batch = rows.batch([row], 0)
            if gathering is None:
                sums = pieces.measure(batch)
            else:
                sums, own = gathering.gather(batch)
                said += own
            names = list(sums)
            found.append([*(sums[name] for name in names), float(rows.labels([row], 0))])
            beat((row + 1) / len(rows.lengths))
    return _Found([*names, "counted"], np.array(found, np.float64), None if gathering is None else said)


def _values(pieces: Any, found: _Found, rows: NDArray[np.int64] | None = None) -> dict[str, float]:
    """Return the metrics of all rows, or of some of them, each as often as it is named."""
    sums = (found.sums if rows is None else found.sums[rows]).sum(0)
    values = _of_sums(pieces, found.names, sums)
    if found.said is not None:
        said = found.said if rows is None else [found.said[row] for row in rows]
        values |= pieces.objective.figures(said)
    return values


def _of_sums(pieces: Any, names: list[str], sums: Sums) -> dict[str, float]:
    held = dict(zip(names, (float(each) for each in sums), strict=True))
    counted = max(held["counted"], 1.0)
    return {"loss": held["loss"] / counted, **pieces.metrics(held, counted)}


def _measurements(pieces: Any, model: _Found, baseline: _Found | None, request: EvaluateRun) -> list[Measurement]:
    own = _values(pieces, model)
    other = _values(pieces, baseline) if baseline is not None else {}
    compared = [name for name in own if name in other and name.startswith(COMPARED)]
    changes = _changes(pieces, model, baseline, compared, request) if baseline is not None else {}
    found = []
    for name, value in own.items():
        higher = False if name in LOWER else True if name.startswith(HIGHER) else None
        change = changes.get(name)
        if change is None:
            found.append(Measurement(metric=name, model=value, higher_is_better=higher))
            continue
        smallest = NO_DIFFERENCE * abs(other[name])
        verdict = change.verdict(len(model.sums), higher_is_better=bool(higher), smallest=smallest)
        found.append(
            Measurement(
                metric=name, model=value, baseline=other[name], higher_is_better=higher,
                difference=change.value, low=change.low, high=change.high, verdict=verdict,
            )
        )  # fmt: skip
    return found


def _changes(
    pieces: Any, model: _Found, baseline: _Found, names: list[str], request: EvaluateRun
) -> dict[str, Difference]:
    """Compare the metrics of two models, each with the interval that the choice of rows leaves open."""
    if model.said is None:

        def statistic(name: str) -> Statistic:
            return lambda draws: np.array([_of_sums(pieces, model.names, draw).get(name, np.nan) for draw in draws])

        return {
            name: difference(
                model.sums, baseline.sums, statistic(name),
                resamples=request.bootstrap, confidence=request.confidence, seed=request.seed,
            )
            for name in names
        }  # fmt: skip
    drawn: dict[str, list[float]] = {name: [] for name in names}
    for rows in drawn_rows(len(model.sums), request.bootstrap, request.seed):
        own, other = _values(pieces, model, rows), _values(pieces, baseline, rows)
        for name in names:
            if name in own and name in other:
                drawn[name].append(own[name] - other[name])
    own, other = _values(pieces, model), _values(pieces, baseline)
    return {
        name: within(own[name] - other[name], np.array(values), request.confidence)
        for name, values in drawn.items()
        if values
    }


def _confusion(pieces: Any, found: _Found) -> Confusion | None:
    """Count, for each class, what its rows were taken for; None where the task tells no classes apart."""
    classes = pieces.about.get("classes")
    if not classes or "taken 0" not in found.names or len(classes) > LARGEST:
        return None
    columns = [[found.names.index(f"{what} {number}") for number in range(len(classes))] for what in ("rows", "taken")]
    true, taken = (found.sums[:, places].astype(np.int64) for places in columns)
    return Confusion(classes=list(classes), counts=(true.T @ taken).tolist())


def _size(model: Any, adapted: bool) -> ModelSize:
    parameters = list(model.parameters())
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    held = sum(each.numel() * each.element_size() for each in [*parameters, *model.buffers()])
    total = sum(each.numel() for each in parameters)
    return ModelSize(
        total_parameters=total, trainable_parameters=trained if adapted else total, model_size_mb=held / 2**20
    )
