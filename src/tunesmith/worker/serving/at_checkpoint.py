"""The result of a finished run on pictures or sounds as it was at one of its checkpoints.

A checkpoint holds the trained weights alone. What else such a model needs to answer, such as its classes and the way
pictures are made ready, the result of its run has.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file

from tunesmith.modalities.adapter_fit import ADAPTER_WEIGHTS
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.folders import CONFIG, PIPELINE, PIPELINE_ADAPTER
from tunesmith.runs.checkpoints import at
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import CheckpointSilent, NothingToExport
from tunesmith.spec.plan import settled
from tunesmith.training.adapter_files import saved_name
from tunesmith.worker.export.adapter import NOT_THE_ADAPTERS
from tunesmith.worker.serving.loading import take_weights

WEIGHTS: Final = shutil.ignore_patterns("*.safetensors", "*.safetensors.index.json", "*.bin")


def result_at(result: Path, checkpoint: Path, target: Path, *, does: str) -> Path:
    """Write a result, with the weights of a checkpoint of its run, into a folder; ``does`` is what the model does.

    Raises:
        NothingToExport: the checkpoint is not whole.
        CheckpointSilent: only its makers' package could put the weights into the model.
    """
    run = RunFolder(checkpoint.parents[1])
    if at(checkpoint) is None:
        raise NothingToExport(run.id, f"{checkpoint.name} is not whole")
    shutil.rmtree(target, ignore_errors=True)
    if (result / PIPELINE).is_file():
        _write_pipeline(result, checkpoint, target)
    elif settled(run.plan().spec.recipe.method, "recipe.method").adapts:
        _write_adapter(run, result, checkpoint, target)
    else:
        _write_model(result, checkpoint, target, does)
    return target


def _write_adapter(run: RunFolder, result: Path, checkpoint: Path, target: Path) -> None:
    weights = load_file(checkpoint / "weights.safetensors")
    _copy_all_but_weights(result, target)
    if (result / PIPELINE_ADAPTER).is_file():
        from tunesmith.modalities.diffusion.builder import write_adapter_of

        write_adapter_of(run.plan(), weights, target)
        return
    named = {saved_name(name): weight.contiguous() for name, weight in weights.items()}
    save_file(named, target / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def _write_pipeline(result: Path, checkpoint: Path, target: Path) -> None:
    from tunesmith.training.denoising import Denoiser
    from tunesmith.training.pipelines import load_unet

    shutil.copytree(result, target, ignore=NOT_THE_ADAPTERS)
    unet = load_unet(result, "fp32")
    take_weights(Denoiser(unet), checkpoint)
    unet.save_pretrained(target / "unet")


def _write_model(result: Path, checkpoint: Path, target: Path, does: str) -> None:
    import transformers

    architecture = str(next(iter(read_json(result / CONFIG).get("architectures") or []), ""))
    kind: Any = getattr(transformers, architecture, None)
    if kind is None:
        raise CheckpointSilent(f"{checkpoint.parents[1].name}:{checkpoint.name}", does)
    model = kind.from_pretrained(str(result), local_files_only=True)
    take_weights(model, checkpoint)
    _copy_all_but_weights(result, target)
    model.save_pretrained(target)


def _copy_all_but_weights(result: Path, target: Path) -> None:
    shutil.copytree(result, target, ignore=lambda at, names: {*NOT_THE_ADAPTERS(at, names), *WEIGHTS(at, names)})
