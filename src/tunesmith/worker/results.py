"""What a finished training run leaves: the model as its users load it, what is known about it, and its charts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities import MODALITIES, task_of
from tunesmith.modalities.base import Family, family_of
from tunesmith.runs.durable import write_json
from tunesmith.runs.event_log import read
from tunesmith.spec.events import Evaluated, RunSummary, Started, Step
from tunesmith.spec.plan import settled
from tunesmith.worker.charts import draw_history
from tunesmith.worker.training_metadata import write_training_metadata

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.recipe import Recipe
    from tunesmith.training.loop import Loop


CONFUSION: Final = "confusion_matrix.json"
"""Name of the file with what the rows of each class were taken for: ``classes``, and ``counts`` with a line of each."""

LARGEST: Final = 1000
"""Classes of which it is written, at most."""


def write_results(run: RunFolder, plan: Plan, loop: Loop, summary: RunSummary) -> Path:
    """Write everything that is published into the run's ``artifacts/`` and return that folder."""
    folder = run.artifacts_dir
    loop.pieces.save(folder)
    if plan.spec.output.save_bin:
        _save_bin(folder)
    info = "adapter_info.json" if settled(plan.spec.recipe.method, "recipe.method").adapts else "model_info.json"
    write_json(folder / info, _info(run, plan, loop, summary))
    write_training_metadata(run, plan, summary, folder)
    _write_confusion(loop, folder)
    (folder / "README.md").write_text(_card(plan, summary, _measured(run, loop)))
    title = f"{run.header().name}: {plan.spec.recipe.method} of {Path(plan.model.source).name}"
    counts = task_of(plan.spec.task).counts
    draw_history(folder / "training_history.png", _step_losses(run), loop.progress.history, title, counts)
    _link(folder / "checkpoints", run.checkpoints_dir)
    if plan.spec.output.tensorboard:
        (folder / "logs").mkdir(exist_ok=True)
        _link(folder / "logs" / "training", run.logs_dir)
    return folder


def _write_confusion(loop: Loop, folder: Path) -> None:
    """Write what the validation rows of each class are taken for, where the result tells classes apart."""
    pieces: Any = loop.pieces
    objective: Any = getattr(pieces, "objective", None)
    classes = getattr(pieces, "about", {}).get("classes", ())
    if pieces.validation is None or not hasattr(objective, "confusion") or len(classes) > LARGEST:
        return
    was_training = pieces.model.training
    pieces.model.eval()
    found = objective.confusion(pieces.validation, loop.progress.micro_tokens)
    pieces.model.train(was_training)
    write_json(folder / CONFUSION, found)


def _save_bin(folder: Path) -> None:
    """Write ``adapter_model.bin`` (or ``pytorch_model.bin``) beside the safetensors, for tools that want it."""
    import torch
    from safetensors.torch import load_file

    for source in sorted(folder.glob("*.safetensors")):
        name = source.stem if source.stem == "adapter_model" else source.stem.replace("model", "pytorch_model", 1)
        torch.save(load_file(source), folder / f"{name}.bin")


def _info(run: RunFolder, plan: Plan, loop: Loop, summary: RunSummary) -> dict[str, Any]:
    progress = loop.progress
    best = progress.best_step is not None and loop.weights_of == progress.best_step
    return {
        "base_model": plan.model.source,
        "base_model_path": plan.model.path,
        "base_model_fingerprint": plan.model.fingerprint,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "run": run.id,
        "weights": f"best validation {loop.settings.judge.name}" if best else "last step",
        "weights_of_step": loop.weights_of,
        "task": plan.spec.task,
        **({"licence": licence} if (licence := _family(plan).licence) else {}),
        **getattr(loop.pieces, "about", {}),
        "training_config": plan.spec.model_dump(mode="json"),
        "final_metrics": {
            "start_validation_loss": progress.start_loss,
            "best_val_loss": progress.best_loss,
            **({} if summary.judged_by is None else {"judged_by": summary.judged_by, "best": progress.best}),
            "total_evaluations": progress.evaluations,
            "training_time": summary.seconds,
            "final_train_loss": progress.train_loss,
            "final_val_loss": progress.validation_loss,
            "test_loss": summary.test_loss,
            "test_metrics": summary.test_metrics,
        },
    }


def _card(plan: Plan, summary: RunSummary, measured: dict[str, float]) -> str:
    recipe = plan.spec.recipe
    lora = settled(recipe.method, "recipe.method").adapts
    task = plan.spec.task or ""
    rows = [
        ("Task", task),
        ("Base model", plan.model.source),
        ("Data", ", ".join(dataset.uri for dataset in plan.spec.datasets)),
        ("Method", _method(recipe)),
        ("Steps", f"{summary.steps} ({summary.epochs:.2f} epochs), {summary.stopped_because}"),
        ("Learning rate", f"{recipe.learning_rate:g}, {recipe.schedule}"),
        ("Validation loss", "none" if summary.best_validation_loss is None else f"{summary.best_validation_loss:.4f}"),
        *((name.replace("_", " ").capitalize(), _number(value)) for name, value in measured.items()),
        ("Run", summary.run),
    ]
    family = _family(plan)
    if family.licence:
        rows.append(("Licence", family.licence))
    library = "diffusers" if task_of(task).loader == "DiffusionPipeline" else "peft" if lora else None
    named = [] if library is None else [f"library_name: {library}"]
    named += [f"license: {family.licence.lower()}"] if family.licence else []
    head = ["---", f"base_model: {json.dumps(plan.model.source)}", *named, "---"]
    table = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    kind = "A LoRA adapter" if lora else "A model"
    use = family.use or how_it_is_used(task, lora=lora)
    text = [f"# {plan.spec.name}", "", f"{kind} trained with tunesmith. {use}", ""]
    return "\n".join([*head, "", *text, *table, ""])


def _family(plan: Plan) -> Family:
    return family_of(plan.model.model_type, MODALITIES[plan.model.modality].families)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"


def _measured(run: RunFolder, loop: Loop) -> dict[str, float]:
    """Return what the task measured when the weights of the result were evaluated."""
    from tunesmith.worker.keeping import lineage

    for part in lineage(run):
        if not part.events.exists():
            continue
        for event in reversed(read(part.events, 0)[0]):
            if isinstance(event.body, Evaluated) and event.body.step == loop.weights_of:
                return event.body.metrics
    return {}


def how_it_is_used(task: str, *, lora: bool) -> str:
    """Say how a result is used, from its folder."""
    known = task_of(task)
    if known.writes:
        return f"Talk to it from this folder: `tunesmith chat {'--adapter' if lora else '--model'} .`"
    if known.loader == "DiffusionPipeline":
        then = " and put the adapter on with `load_lora_weights`" if lora else ""
        return f"Load it with diffusers' `{known.loader}`{then}; `kohya_lora.safetensors` is for other programs."
    then = " and put the adapter on with `peft.PeftModel`" if lora else ""
    return f"Load it with transformers' `{known.loader}`{then}."


def _method(recipe: Recipe) -> str:
    """Say in words what was trained, and over what."""
    method, adapter = settled(recipe.method, "recipe.method"), recipe.adapter
    if not method.adapts:
        return "full"
    name = "".join([*(["rs"] if adapter.rslora else []), "DoRA" if adapter.dora else "LoRA"])
    over = {4: f", over a base in 4 bits ({recipe.quantization.kind})", 8: ", over a base in 8 bits"}
    return f"{name}, rank {adapter.rank}, on {', '.join(adapter.targets or [])}{over.get(method.bits or 16, '')}"


def _step_losses(run: RunFolder) -> list[tuple[int, float]]:
    """Training loss of each step, of this run and those it resumes; a step that was repeated counts once."""
    from tunesmith.worker.keeping import lineage

    losses: dict[int, float] = {}
    for part in reversed(lineage(run)):
        if not part.events.exists():
            continue
        for event in read(part.events, 0)[0]:
            if isinstance(event.body, Started):
                losses = {step: loss for step, loss in losses.items() if step <= event.body.step}
            elif isinstance(event.body, Step):
                losses[event.body.step] = event.body.loss
    return sorted(losses.items())


def _link(place: Path, target: Path) -> None:
    place.unlink(missing_ok=True)
    os.symlink(target.resolve(), place)
