"""Parts of a pipeline of diffusers, each from its own folder: what denoises, what reads texts, what reads pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.spec.errors import NotALanguageModel
from tunesmith.training.precision import DTYPES

ENCODERS: Final = ("text_encoder", "text_encoder_2")
TOKENIZERS: Final = ("tokenizer", "tokenizer_2")
"""Folders of a pipeline; the second of each only in that of SDXL."""
LONGEST: Final = 77
"""Tokens that the text encoders of CLIP read."""


@dataclass(frozen=True)
class Noise:
    """How a pipeline's pictures are made noisy, and what its UNet says of them."""

    kept: Tensor
    """(levels,) share of the picture's variance that is left at each noise level, in 32 bits."""
    velocity: bool
    """Whether the UNet predicts the velocity of https://arxiv.org/abs/2202.00512; else the noise."""

    def ratio(self, levels: Tensor) -> Tensor:
        """Return the signal-to-noise ratio at these levels."""
        kept = self.kept.to(levels.device)[levels]
        return kept / (1 - kept)


def load_unet(folder: Path, precision: str) -> Any:
    """Load what denoises."""
    from diffusers import UNet2DConditionModel

    return _load(UNet2DConditionModel, folder / "unet", DTYPES[precision], torch_dtype=True)


def load_autoencoder(folder: Path, device: torch.device) -> Any:
    """Load what makes latents of pictures and pictures of latents, in 32 bits: fewer overflow in that of SDXL."""
    from diffusers import AutoencoderKL

    found = _load(AutoencoderKL, folder / "vae", torch.float32, torch_dtype=True)
    return found.to(device).eval().requires_grad_(False)


def load_text_encoder(folder: Path, precision: str, place: int) -> Any:
    """Load what reads texts, the first or the second; the last one of SDXL sums a text up too."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    kind: Any = CLIPTextModelWithProjection if place else CLIPTextModel
    return _load(kind, folder / ENCODERS[place], DTYPES[precision])


def encoders_of(folder: Path) -> list[int]:
    """Return the places of the text encoders that a pipeline has."""
    return [place for place, name in enumerate(ENCODERS) if (folder / name / "config.json").is_file()]


def load_tokenizers(folder: Path) -> list[Any]:
    """Load what makes tokens of texts, one for each text encoder."""
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    return [CLIPTokenizer.from_pretrained(str(folder / TOKENIZERS[place])) for place in encoders_of(folder)]


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Return (texts, longest) tokens, padded to what the text encoder reads, which is where long texts end."""
    made = tokenizer(
        list(texts), padding="max_length", max_length=longest_of(tokenizer), truncation=True, return_tensors="pt"
    )
    ids: Tensor = made.input_ids
    return ids


def longest_of(tokenizer: Any) -> int:
    """Return the tokens that a text encoder reads at most."""
    return min(int(tokenizer.model_max_length), LONGEST)


def load_noise(folder: Path) -> Noise:
    """Read how a pipeline's pictures are made noisy.

    Raises:
        NotALanguageModel: its UNet predicts neither the noise nor the velocity.
    """
    from diffusers import DDPMScheduler

    kind_of: Any = DDPMScheduler
    scheduler = kind_of.from_pretrained(str(folder / "scheduler"))
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise NotALanguageModel(str(folder), f"its scheduler says '{kind}'; epsilon and v_prediction can be trained")
    return Noise(scheduler.alphas_cumprod.float(), kind == "v_prediction")


def read_texts(encoders: Sequence[Any], ids: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return what a UNet reads of texts, (texts, tokens, width), and the sums that SDXL reads beside it.

    ``ids`` are (texts, tokens) for each of the encoders.
    """
    if len(encoders) == 1:
        states: Tensor = encoders[0](ids[0])[0]
        return states, None
    read = [encoder(tokens, output_hidden_states=True) for encoder, tokens in zip(encoders, ids, strict=True)]
    return torch.cat([each.hidden_states[-2] for each in read], -1), read[-1][0]


def _load(kind: Any, folder: Path, dtype: torch.dtype, *, torch_dtype: bool = False) -> Any:
    """Load a part; of a folder that has only files of another variant (fp16), these."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    named = {"torch_dtype" if torch_dtype else "dtype": dtype}
    try:
        return kind.from_pretrained(
            str(folder), variant=variant_of(folder), local_files_only=True, use_safetensors=True, **named
        )
    except (OSError, ValueError, KeyError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise NotALanguageModel(str(folder), why) from error


def variant_of(folder: Path) -> str | None:
    """Return the variant that a folder's weights are stored as, such as fp16; None where there are plain ones."""
    stems = sorted(file.name.removesuffix(".safetensors") for file in folder.glob("*.safetensors"))
    if not stems or any("." not in stem for stem in stems):
        return None
    return stems[0].split(".")[1].split("-")[0]
