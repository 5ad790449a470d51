"""What was trained, wherever it lies: a run's result, one of its checkpoints, an adapter folder, a whole model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities import task_of
from tunesmith.modalities.adapter_fit import shapes
from tunesmith.modalities.chat_template import load
from tunesmith.modalities.text.builder import CARRIED
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.modalities.text.options import TextOptions
from tunesmith.runs.durable import read_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import NothingToExport
from tunesmith.training.loading import load_model
from tunesmith.training.merge import with_adapter
from tunesmith.worker.export.adapter import best_checkpoint, write_adapter_at, write_adapter_of
from tunesmith.worker.export.merged import loader
from tunesmith.worker.serving.loading import take_weights

if TYPE_CHECKING:
    from tunesmith.spec.work import ModelFolders

WHOLE: Final = 4_000_000_000
"""Parameters up to which a model is computed and merged in 32 bits; a larger one in its own format, for its memory."""


@dataclass(frozen=True)
class Taught:
    """A trained model, and what encoded its training."""

    name: str
    model: Path
    """The base, or the whole model."""
    adapter: Path | None
    run: RunFolder | None
    """The training run."""
    encoder: TextEncoder
    task: str
    classes: list[str] | None
    precision: str
    """The number format that it is compared in."""

    @property
    def writes(self) -> bool:
        """Whether it is a model that writes text."""
        return task_of(self.task).writes

    def load(self) -> Any:
        """Load it as training does, ready to answer."""
        if self.adapter is None:
            return load_model(self.model, self.precision).eval()
        return with_adapter(loader(self.adapter, self.model)(self.precision), self.adapter)


def taught(source: ModelFolders, scratch: Path) -> Taught:
    """Find what was trained; an adapter that lies in a checkpoint alone is written into ``scratch`` first.

    Raises:
        NothingToExport: its run has neither a result nor a whole checkpoint.
    """
    run = None if source.run is None else RunFolder(Path(source.run))
    model, adapter = Path(source.model), None if source.adapter is None else Path(source.adapter)
    if run is not None and adapter is None and _adapts(run):
        adapter = scratch / "adapter"
        if source.checkpoint is None:
            write_adapter_of(run, adapter)
        else:
            write_adapter_at(run, Path(source.checkpoint), adapter)
    elif run is not None and adapter is None and (checkpoint := _checkpoint(source, run)) is not None:
        model = _with_weights(model, checkpoint, run, scratch / "model")
    info = _info(adapter or model)
    trained_with = info.get("training_config") or {}
    return Taught(
        name=source.name,
        model=model,
        adapter=adapter,
        run=run,
        encoder=_encoder(model, adapter, run, scratch),
        task=str(info.get("task") or trained_with.get("task") or "chat"),
        classes=info.get("classes"),
        precision=_precision(model),
    )


def complete(folder: Path, source: Taught) -> None:
    """Put into an export what its users need to ask as training did: the template, and the tokens that end an answer.

    A base model often has no template, or one end of text alone; what was trained ends its answers with the turn.
    """
    if not source.writes:
        return
    if load(folder) is None:
        (folder / "chat_template.jinja").write_text(source.encoder.template.source, encoding="utf-8")
    file = folder / "generation_config.json"
    config = read_json(file)
    config = dict(config) if isinstance(config, Mapping) else {}
    ends = config.get("eos_token_id")
    known = set(ends if isinstance(ends, list) else [] if ends is None else [ends])
    if not source.encoder.stop_ids <= known:
        from transformers import GenerationConfig

        config["eos_token_id"] = sorted(source.encoder.stop_ids | known)
        GenerationConfig(**config).save_pretrained(folder)  # type: ignore[no-untyped-call]


def _adapts(run: RunFolder) -> bool:
    method = run.plan().spec.recipe.method
    return method is not None and method.adapts


def _checkpoint(source: ModelFolders, run: RunFolder) -> Path | None:
    """Return the checkpoint of a full training that is meant; None where its result is."""
    if source.checkpoint is not None:
        return Path(source.checkpoint)
    if (run.artifacts_dir / "config.json").is_file():
        return None
    found = best_checkpoint(run)
    if found is None:
        raise NothingToExport(run.id, "it has neither a result nor a whole checkpoint")
    return found.path


def _with_weights(base: Path, checkpoint: Path, run: RunFolder, target: Path) -> Path:
    """Write the whole model that a checkpoint of a full training holds."""
    model = load_model(base, str(run.plan().model.dtype))
    take_weights(model, checkpoint)
    model.save_pretrained(target)
    for name in CARRIED:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)
    return target


def _info(folder: Path) -> Mapping[str, Any]:
    found = read_json(folder / "adapter_info.json") or read_json(folder / "model_info.json")
    return found if isinstance(found, Mapping) else {}


def _encoder(model: Path, adapter: Path | None, run: RunFolder | None, scratch: Path) -> TextEncoder:
    """Return what encoded the training; where that is not known, what the model's own files say."""
    if run is None:
        return TextEncoder(model, chat_template=_own_template(adapter, scratch), today=None)
    plan = run.plan()
    options = TextOptions.model_validate(plan.spec.options)
    base = Path(plan.model.path)
    template = None if options.chat_template is None else Path(run.header().folder) / options.chat_template
    if template is not None and not template.is_file():
        template = run.artifacts_dir / "chat_template.jinja"
    folder = base if (base / "tokenizer.json").is_file() else model
    return TextEncoder(folder, train_on=options.train_on, chat_template=template, today=None)


def _own_template(adapter: Path | None, scratch: Path) -> Path | None:
    """Return a file with the template that an adapter folder carries, if it carries one."""
    carried = None if adapter is None else load(adapter)
    if carried is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "carried.jinja"
    file.write_text(carried.source, encoding="utf-8")
    return file


def _precision(model: Path) -> str:
    count = sum(math.prod(shape) for file in model.glob("*.safetensors") for _, shape in shapes(file))
    if count <= WHOLE:
        return "fp32"
    stored = str((read_json(model / "config.json") or {}).get("dtype"))
    return {"float16": "fp16", "float32": "fp32"}.get(stored, "bf16")
