"""From a plan to what the training loop runs on: a UNet with its adapter, what it is to learn, its rows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.diffusion.options import DiffusionOptions
from tunesmith.modalities.diffusion.predictor import Drawing
from tunesmith.modalities.parts.asking import Silent
from tunesmith.modalities.parts.building import Pieces, of_cut_captions
from tunesmith.spec.errors import BadValue
from tunesmith.spec.plan import Plan, settled
from tunesmith.spec.recipe import AdapterRecipe
from tunesmith.training.adapters import add_adapter, trained_copy
from tunesmith.training.denoising import Denoiser, Denoising, NoisyRows
from tunesmith.training.forward import speed_up_adapters
from tunesmith.training.latents import Keeping
from tunesmith.training.lora_names import DIFFUSERS_FILE, lora_of, weights_of, write_lora
from tunesmith.training.pipelines import encoders_of, load_noise, load_text_encoder, load_unet, variant_of
from tunesmith.training.quantization import load_base

PARTS: Final = ("unet.", "encoders.")
"""What the names of trained weights begin with."""
TEXT_TARGETS: Final = ("q_proj", "k_proj", "v_proj", "out_proj")
"""Layers of a text encoder that get an adapter, where it trains."""


def build(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a pipeline learn pictures by their captions.

    Raises:
        BadValue: the text encoders are to train with a UNet that is trained whole.
    """
    options, folder = DiffusionOptions.model_validate(plan.spec.options), Path(plan.model.path)
    recipe, adapts = plan.spec.recipe, settled(plan.spec.recipe.method, "recipe.method").adapts
    if options.train_text_encoder and not adapts:
        raise BadValue("--train-text-encoder", True, "left out with --method full, which trains the UNet alone")
    noise, large = load_noise(folder), len(encoders_of(folder)) > 1
    model = _denoiser(plan, folder, device, text=options.train_text_encoder)
    keeping = Keeping(
        folder, device, precision=settled(recipe.precision, "recipe.precision"), base=plan.model.fingerprint,
        read=not options.train_text_encoder,
    )  # fmt: skip
    objective = Denoising(
        model, noise, keeping, training=train, gamma=options.min_snr_gamma, mirror=options.mirror,
        make=partial(NoisyRows, levels=len(noise.kept), seed=plan.spec.seed, device=device, large=large),
    )  # fmt: skip
    objective.warnings += of_cut_captions(keeping.too_long(train), keeping.limit)
    return Pieces(
        plan, model, objective, (train, validation), load=partial(_anew, plan, folder), respondent=Silent(), carried={},
        write=partial(_write_adapter if adapts else _write_pipeline, plan, model),
        read=partial(_read_adapter if adapts else _read_pipeline, plan, model),
        artist=Drawing(folder, model, device, settled(recipe.precision, "recipe.precision")),
    )  # fmt: skip


def _denoiser(plan: Plan, folder: Path, device: torch.device, *, text: bool) -> Denoiser:
    """Load the UNet, and the text encoders where they train, with the plan's adapters."""
    recipe = plan.spec.recipe
    unet = load_base(partial(load_unet, folder), plan, device)
    if recipe.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    if not settled(recipe.method, "recipe.method").adapts:
        return Denoiser(unet)
    adapter, rank = recipe.adapter, settled(recipe.adapter.rank, "recipe.adapter.rank")
    targets = settled(adapter.targets, "recipe.adapter.targets")
    adapted = _with_adapter(unet, adapter, rank=rank, targets=targets, seed=plan.spec.seed)
    encoders = []
    for place in encoders_of(folder) if text else []:
        encoder = load_base(partial(_text_encoder, folder, place), plan, device)
        if recipe.gradient_checkpointing:
            encoder.gradient_checkpointing_enable({"use_reentrant": False})
        half = max(1, rank // 2)
        encoders.append(_with_adapter(encoder, adapter, rank=half, targets=TEXT_TARGETS, seed=plan.spec.seed))
    return Denoiser(adapted, encoders)


def _text_encoder(folder: Path, place: int, precision: str) -> Any:
    return load_text_encoder(folder, precision, place)


def _with_adapter(model: Any, adapter: AdapterRecipe, *, rank: int, targets: Sequence[str], seed: int) -> Any:
    """Put an adapter on; one of half the rank has half the alpha, so that all are scaled alike."""
    alpha = settled(adapter.alpha, "recipe.adapter.alpha") * rank / settled(adapter.rank, "recipe.adapter.rank")
    made = add_adapter(
        model, rank=rank, alpha=alpha, dropout=adapter.dropout, targets=targets, seed=seed, dora=adapter.dora,
        rslora=adapter.rslora, task=None, whole=True,
    )  # fmt: skip
    speed_up_adapters(made)
    return made


def _anew(plan: Plan, folder: Path, precision: str) -> Denoiser:
    return Denoiser(load_unet(folder, precision))


def _write_adapter(plan: Plan, model: Denoiser, folder: Path) -> None:
    """Write the adapter as diffusers opens it, and with kohya's names."""
    write_adapter_of(plan, trained_copy(model), folder)


def write_adapter_of(plan: Plan, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write the adapter that these trained weights are, which a checkpoint may hold."""
    adapter, base = plan.spec.recipe.adapter, Path(plan.model.path)
    rank, alpha = settled(adapter.rank, "recipe.adapter.rank"), settled(adapter.alpha, "recipe.adapter.alpha")
    lora: dict[str, torch.Tensor] = {}
    for part in PARTS:
        own = {name: weight for name, weight in weights.items() if name.startswith(part)}
        lora |= lora_of(own, _scale(part, rank, alpha, rslora=adapter.rslora))
    large = len(encoders_of(base)) > 1
    layers = int(read_json(base / "unet" / "config.json").get("layers_per_block", 2)) if large else None
    write_lora(folder, lora, layers)


def _read_adapter(plan: Plan, model: Denoiser, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights that ``_write_adapter`` made files of."""
    adapter, lora = plan.spec.recipe.adapter, load_file(folder / DIFFUSERS_FILE)
    rank, alpha = settled(adapter.rank, "recipe.adapter.rank"), settled(adapter.alpha, "recipe.adapter.alpha")
    found: dict[str, torch.Tensor] = {}
    for part in PARTS:
        names = [name for name, each in model.named_parameters() if each.requires_grad and name.startswith(part)]
        found |= weights_of(lora, names, _scale(part, rank, alpha, rslora=adapter.rslora))
    return found


def _read_pipeline(plan: Plan, model: Denoiser, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights that ``_write_pipeline`` made files of."""
    files = sorted((folder / "unet").glob("*.safetensors"))
    return {f"unet.{name}": weight for file in files for name, weight in load_file(file).items()}


def _scale(part: str, rank: int, alpha: float, *, rslora: bool) -> float:
    own = rank if part == "unet." else max(1, rank // 2)
    return alpha * own / rank / (math.sqrt(own) if rslora else own)


def _write_pipeline(plan: Plan, model: Denoiser, folder: Path) -> None:
    """Write the whole pipeline, with the UNet that was trained."""
    base = Path(plan.model.path)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("model_index.json", "scheduler", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "vae"):
        if (base / name).is_dir():
            shutil.copytree(base / name, folder / name, dirs_exist_ok=True)
            _name_plainly(folder / name)
        elif (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    model.unet.save_pretrained(folder / "unet")


def _name_plainly(part: Path) -> None:
    """Take fp16 and the like out of the names of weights, as the UNet beside them is written without."""
    variant = variant_of(part)
    for file in sorted(part.glob(f"*.{variant}*")) if variant else ():
        if file.suffix == ".json":
            file.write_text(file.read_text().replace(f".{variant}", ""))
        file.rename(part / file.name.replace(f".{variant}", ""))
