"""The adapter folder of a run: its result, or what its best checkpoint holds if it did not come to one."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities import task_of
from tunesmith.modalities.adapter_fit import shapes
from tunesmith.modalities.folders import PIPELINE, is_adapter
from tunesmith.modalities.text.builder import CARRIED
from tunesmith.runs.checkpoints import BEST, Checkpoint, at, newest_verified, pointed, verify
from tunesmith.runs.durable import write_json
from tunesmith.runs.output_lock import PRIVATE
from tunesmith.spec.errors import NothingToExport
from tunesmith.spec.plan import settled

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.spec.plan import Plan

NOT_THE_ADAPTERS: Final = shutil.ignore_patterns("checkpoints", "logs", "run.json", "parity.json", PRIVATE)


def write_adapter_of(run: RunFolder, target: Path) -> None:
    """Write the adapter of a training run into a folder.

    Raises:
        NothingToExport: it has neither a result nor a checkpoint that verifies.
    """
    shutil.rmtree(target, ignore_errors=True)
    if is_adapter(run.artifacts_dir):
        shutil.copytree(run.artifacts_dir, target, ignore=NOT_THE_ADAPTERS)
        return
    checkpoint = best_checkpoint(run)
    if checkpoint is None:
        raise NothingToExport(run.id, "it has neither a result nor a whole checkpoint")
    _from_checkpoint(run, checkpoint, target)


def write_adapter_at(run: RunFolder, checkpoint: Path, target: Path) -> None:
    """Write the adapter that a checkpoint of a training run holds into a folder, which is there when it is whole.

    Raises:
        NothingToExport: the checkpoint is not whole.
    """
    found = at(checkpoint)
    if found is None:
        raise NothingToExport(run.id, f"{checkpoint.name} is not whole")
    staging = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    _from_checkpoint(run, found, staging)
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def best_checkpoint(run: RunFolder) -> Checkpoint | None:
    """Return the best checkpoint, else the newest, of the run or of those that it resumes."""
    best = pointed(run, BEST)
    if best is not None and verify(best.path):
        return best
    parent = run.parent()
    return newest_verified(run) or (None if parent is None else best_checkpoint(parent))


def _from_checkpoint(run: RunFolder, checkpoint: Checkpoint, target: Path) -> None:
    from safetensors.torch import load_file

    from tunesmith.training.adapter_files import trained_modules, write_adapter

    plan, weights = run.plan(), load_file(checkpoint.path / "weights.safetensors")
    model = Path(plan.model.path)
    if (model / PIPELINE).is_file():
        from tunesmith.modalities.diffusion.builder import write_adapter_of as write_for_pictures

        write_for_pictures(plan, weights, target)
        return
    write_adapter(target, _config(plan, trained_modules(weights)), weights, str(model))
    for name in CARRIED:
        if (model / name).is_file():
            shutil.copyfile(model / name, target / name)
    template = plan.spec.options.get("chat_template")
    if template:
        shutil.copyfile(template, target / "chat_template.jinja")
    info = {
        "base_model": plan.model.source,
        "base_model_path": plan.model.path,
        "base_model_fingerprint": plan.model.fingerprint,
        "run": run.id,
        "weights": f"checkpoint of step {checkpoint.step}",
        "weights_of_step": checkpoint.step,
        "training_config": plan.spec.model_dump(mode="json"),
    }
    write_json(target / "adapter_info.json", info)


def _config(plan: Plan, trained: list[str]) -> Any:
    from tunesmith.training.adapters import lora_config, other_parts

    adapter = plan.spec.recipe.adapter
    files = sorted(Path(plan.model.path).glob("*.safetensors"))
    modules = (name.rpartition(".")[0] for file in files for name, _ in shapes(file))
    return lora_config(
        rank=settled(adapter.rank, "recipe.adapter.rank"),
        alpha=settled(adapter.alpha, "recipe.adapter.alpha"),
        dropout=adapter.dropout,
        targets=settled(adapter.targets, "recipe.adapter.targets"),
        dora=adapter.dora,
        rslora=adapter.rslora,
        task=task_of(plan.spec.task).peft,
        trained=trained,
        excluded=other_parts(modules),
    )
