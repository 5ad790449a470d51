"""Pipelines of diffusers made from configurations: tiny ones that a test trains in seconds, with random weights."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

WORDS = ("red", "blue", "green", "circle", "square", "cross", "a", "on", "white")
SIDE = 32
"""Pixels of a side of what the tiny pipelines make."""


def write_tokenizer(folder: Path) -> None:
    """Write a CLIP tokenizer that knows letters alone, in the two files that pipelines bring."""
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789,.'-")
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: place for place, name in enumerate(names)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    config = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    CLIPTokenizer.from_pretrained(folder)


def text_encoder(width: int, *, projected: bool = False, layers: int = 2) -> Any:
    """Make a tiny CLIP text encoder."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=82, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=4,
        projection_dim=width, bos_token_id=80, eos_token_id=81, pad_token_id=81,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def autoencoder() -> Any:
    """Make a tiny VAE that halves the sides of a picture twice."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 16), norm_num_groups=4, latent_channels=4, sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip


def scheduler(prediction: str = "epsilon") -> Any:
    """Make the scheduler of Stable Diffusion 1.5."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type=prediction,
    )  # fmt: skip


def write_sd(folder: Path, *, prediction: str = "epsilon", variant: str | None = None) -> Path:
    """Write a tiny pipeline laid out like Stable Diffusion 1.5."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIDE // 4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        cross_attention_dim=32, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    write_tokenizer(folder / "tokenizer")
    pipeline = StableDiffusionPipeline(
        vae=autoencoder(), text_encoder=text_encoder(32), unet=unet, scheduler=scheduler(prediction),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder, variant=variant)
    return folder


def write_sdxl(folder: Path) -> Path:
    """Write a tiny pipeline laid out like Stable Diffusion XL."""
    import torch
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIDE // 4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        cross_attention_dim=48, attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 2), projection_class_embeddings_input_dim=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    for name in ("tokenizer", "tokenizer_2"):
        write_tokenizer(folder / name)
    pipeline = StableDiffusionXLPipeline(
        vae=autoencoder(), text_encoder=text_encoder(32), text_encoder_2=text_encoder(16, projected=True), unet=unet,
        scheduler=scheduler(), tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def draw_shapes(folder: Path, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Draw pictures of coloured shapes into a folder; return file names and what they show."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    random_ = random.Random(seed)
    made = []
    for number in range(count):
        colour, shape = random_.choice(("red", "blue", "green")), random_.choice(("circle", "square"))
        picture = Image.new("RGB", (40, 36), "white")
        pen, left, top = ImageDraw.Draw(picture), random_.randrange(4, 14), random_.randrange(2, 10)
        outline = (left, top, left + 18, top + 18)
        (pen.ellipse if shape == "circle" else pen.rectangle)(outline, fill=colour)
        name = f"{number:03}.png"
        picture.save(folder / name)
        made.append((name, f"a {colour} {shape} on white"))
    return made


def write_full_sd(folder: Path) -> Path:
    """Write a pipeline of the sizes of Stable Diffusion 1.5 with random weights in bf16 (2.1 GB)."""
    import torch
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        config = CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768
        )
        text = CLIPTextModel(config)
    finally:
        torch.set_default_dtype(was)
    write_tokenizer(folder / "tokenizer")
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text, unet=unet, scheduler=scheduler(),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder
