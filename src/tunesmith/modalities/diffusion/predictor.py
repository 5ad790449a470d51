"""Pipelines that make pictures: loaded from their folders to answer, or put together of what is being trained."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor

from tunesmith.modalities.chat_template import read_json
from tunesmith.spec.errors import AdapterMismatch, BadValue, ModelNotFound
from tunesmith.training.denoising import Denoiser
from tunesmith.training.device import release_memory
from tunesmith.training.lora_names import DIFFUSERS_FILE
from tunesmith.training.pipelines import (
    encoders_of,
    load_autoencoder,
    load_text_encoder,
    load_tokenizers,
    load_unet,
)

GUIDANCE: Final = 7.5
"""How strictly a picture follows its text, as Stable Diffusion's authors drew theirs."""
LARGEST: Final = 4096
"""Most pixels of a side of a picture."""


class PicturePredictor:
    """A pipeline that makes pictures; the same seed makes the same picture on the same machine."""

    def __init__(self, pipeline: Any, autoencoder: Any, side: int, factor: int) -> None:
        self._pipeline = pipeline
        self._autoencoder = autoencoder
        self.side = side
        """Pixels of a side of the pictures that it was made for."""
        self._factor = factor

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        steps: int = 30,
        guidance: float = GUIDANCE,
        size: tuple[int, int] | None = None,
        seed: int = 0,
        n: int = 1,
    ) -> list[bytes]:
        """Return ``n`` pictures as PNG; ``size`` is width and height in pixels, and each picture has its own seed.

        Raises:
            BadValue: the size is no multiple of what the autoencoder makes one latent of, or far too large.
        """
        width, height = size or (self.side, self.side)
        for pixels in (width, height):
            if pixels % self._factor or not self._factor <= pixels <= LARGEST:
                raise BadValue("size", f"{width}x{height}", f"multiples of {self._factor}, {LARGEST} at most")
        made = []
        for number in range(n):
            with torch.no_grad():
                latents = self._pipeline(
                    prompt, negative_prompt=negative_prompt, num_inference_steps=steps, guidance_scale=guidance,
                    height=height, width=width, generator=torch.Generator().manual_seed(seed + number),
                    output_type="latent",
                ).images  # fmt: skip
                made.append(_png(self._autoencoder, latents))
        return made


def load_predictor(
    model_dir: Path, adapter: Path | None = None, device: str = "cpu", precision: str = "fp32"
) -> PicturePredictor:
    """Load a pipeline's folder, and an adapter on it.

    Raises:
        ModelNotFound: the folder of the adapter holds none.
        AdapterMismatch: the adapter is for another pipeline.
        NotALanguageModel: a part of the pipeline cannot be read.
    """
    place = torch.device(device)
    unet = load_unet(model_dir, precision).to(place).eval()
    encoders = [load_text_encoder(model_dir, precision, each).to(place).eval() for each in encoders_of(model_dir)]
    autoencoder = load_autoencoder(model_dir, place)
    pipeline = _pipeline(model_dir, unet, encoders, autoencoder)
    if adapter is not None:
        if not (adapter / DIFFUSERS_FILE).is_file():
            raise ModelNotFound(str(adapter), f"An adapter for pictures holds {DIFFUSERS_FILE}.")
        try:
            pipeline.load_lora_weights(str(adapter), weight_name=DIFFUSERS_FILE, local_files_only=True)
        except (RuntimeError, ValueError, KeyError) as error:
            raise AdapterMismatch(str(adapter), "a pipeline of other sizes", str(model_dir)) from error
    return _predictor(model_dir, pipeline, autoencoder)


class Drawing:
    """Draws with what is being trained; the parts that training does without are loaded for each drawing."""

    def __init__(self, folder: Path, model: Denoiser, device: torch.device, precision: str) -> None:
        self._folder = folder
        self._model = model
        self._device = device
        self._precision = precision

    def draw(self, prompts: Sequence[str], *, seeds: Sequence[int], steps: int, base: bool = False) -> list[bytes]:
        """Return a picture of each prompt as PNG; ``base`` draws without what was trained, where it is an adapter."""
        with self._still(base=base) as (unet, encoders), torch.no_grad():
            autoencoder = load_autoencoder(self._folder, self._device)
            predictor = _predictor(self._folder, _pipeline(self._folder, unet, encoders, autoencoder), autoencoder)
            made = [
                predictor.generate(prompt, steps=steps, seed=seed)[0]
                for prompt, seed in zip(prompts, seeds, strict=True)
            ]
        del predictor, autoencoder, encoders
        release_memory(self._device)
        return made

    @contextmanager
    def _still(self, *, base: bool) -> Iterator[tuple[Any, list[Any]]]:
        """Lend the networks without their adapters' dropout, or without adapters; random states stay as they are."""
        model, was_training = self._model, self._model.training
        parts = [model.unet, *model.encoders]
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng([] if self._device.type == "cpu" else None))
            for part in parts:
                if base and hasattr(part, "disable_adapter"):
                    stack.enter_context(part.disable_adapter())
            model.eval()
            try:
                unet, *own = (part.get_base_model() if hasattr(part, "peft_config") else part for part in parts)
                encoders = own or [
                    load_text_encoder(self._folder, self._precision, place).to(self._device).eval()
                    for place in encoders_of(self._folder)
                ]
                yield unet, encoders
            finally:
                model.train(was_training)


def _pipeline(folder: Path, unet: Any, encoders: Sequence[Any], autoencoder: Any) -> Any:
    """Put a pipeline together, without the safety checker: nobody has it while training, and its verdicts vary."""
    import diffusers

    kinds: Any = diffusers
    tokenizers = load_tokenizers(folder)
    name = read_json(folder / "model_index.json").get("scheduler", ["diffusers", "DDIMScheduler"])[1]
    scheduler = getattr(kinds, name, kinds.DDIMScheduler).from_pretrained(str(folder / "scheduler"))
    parts: dict[str, Any] = {"vae": autoencoder, "unet": unet, "scheduler": scheduler}
    parts |= {"text_encoder": encoders[0], "tokenizer": tokenizers[0]}
    made: Any
    if len(encoders) > 1:
        zeros = bool(read_json(folder / "model_index.json").get("force_zeros_for_empty_prompt", True))
        made = kinds.StableDiffusionXLPipeline(
            **parts, text_encoder_2=encoders[1], tokenizer_2=tokenizers[1], force_zeros_for_empty_prompt=zeros,
            add_watermarker=False,
        )  # fmt: skip
    else:
        made = kinds.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    made.set_progress_bar_config(disable=True)
    return made


def _predictor(folder: Path, pipeline: Any, autoencoder: Any) -> PicturePredictor:
    from tunesmith.modalities.diffusion.encode import own_side, scale_factor

    return PicturePredictor(pipeline, autoencoder, own_side(folder), scale_factor(folder))


def _png(autoencoder: Any, latents: Tensor) -> bytes:
    """Decode a latent in 32 bits, whatever it was made in."""
    config = autoencoder.config
    unscaled = latents.float() / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    pixels = autoencoder.decode(unscaled, return_dict=False)[0][0]
    values = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()
