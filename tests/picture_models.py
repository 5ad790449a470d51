"""Tiny models that read pictures and texts, from configurations, with their processors; and pictures to show them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tiny import CHATML, make_tokenizer

TOWER: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
TEXT: dict[str, Any] = {
    **TOWER, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "bos_token_id": None,
    "eos_token_id": 258, "pad_token_id": 256,
}  # fmt: skip
SPECIAL: dict[str, list[str]] = {
    "llava": ["<image>"],
    "qwen2_vl": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"],
    "qwen2_5_vl": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"],
    "smolvlm": ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"],
    "idefics3": ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"],
    "gemma3": ["<image_soft_token>", "<start_of_image>", "<end_of_image>"],
    "llama4": ["<|patch|>", "<|image|>", "<|image_start|>", "<|image_end|>"],
}
FIRST = 259
"""Number of the first token beside bytes and those of the template."""
PARTS = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""A template that takes turns in parts."""
SHAPES = ("circle", "square", "triangle")
COLOURS = {
    "red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 70, 230), "yellow": (230, 210, 40),
    "white": (240, 240, 240), "purple": (150, 40, 180),
}  # fmt: skip


def make_talker(
    folder: Path, kind: str, *, in_parts: bool = True, side: int | None = None, patch: int = 14, **text: Any
) -> Path:
    """Write a tiny model that writes about pictures, with its tokenizer and image processor.

    ``side`` and ``patch`` are pixels of what a LLaVA sees, and ``text`` goes to both of its parts.
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    template = PARTS.replace("IMAGE", _placeholder(kind)) if in_parts else CHATML
    size = make_tokenizer(folder, template=template, special=SPECIAL[kind])
    torch.manual_seed(0)
    parts = _config(kind, size, {**TEXT, "vocab_size": size, **text})
    processor = PROCESSORS[kind]
    if side is not None:
        parts["vision_config"] |= {
            "image_size": side,
            "patch_size": patch,
            "hidden_size": parts["text_config"]["hidden_size"],
        }
        processor = {**processor, "size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    config = CONFIG_MAPPING[kind](**parts)
    config.architectures = None
    model = AutoModelForImageTextToText.from_config(config)
    model.generation_config.eos_token_id = 258
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def make_pair(folder: Path, kind: str = "clip", *, side: int = 32, **tower: Any) -> Path:
    """Write a tiny CLIP, SigLIP or SigLIP 2 with its tokenizer and image processor."""
    import torch
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    size = make_tokenizer(folder, template=None, ending="<|im_end|>")
    torch.manual_seed(0)
    seen = {"num_patches": (side // 8) ** 2} if kind == "siglip2" else {"image_size": side}
    parts: dict[str, Any] = {
        "text_config": {
            **TOWER, "vocab_size": size, "max_position_embeddings": 64, "eos_token_id": 258, "bos_token_id": 257,
            "pad_token_id": 258, "projection_size": 32, **tower,
        },
        "vision_config": {**TOWER, **seen, "patch_size": 8, **tower},
    }  # fmt: skip
    model = AutoModel.from_config(CONFIG_MAPPING[kind](**parts, **({"projection_dim": 32} if kind == "clip" else {})))
    model.save_pretrained(folder)
    processors = {
        "clip": {
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": side},
            "crop_size": {"height": side, "width": side},
        },
        "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": side, "width": side}},
        "siglip2": {
            "image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": (side // 8) ** 2,
        },
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processors[kind]))
    return folder


def draw(file: Path, shape: str, colour: str, *, seed: int = 0, side: int = 32) -> Path:
    """Draw one thing, somewhere in a dark picture."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (side, side), tuple(chance.randrange(40) for _ in range(3)))
    size = chance.randrange(side // 2, side * 3 // 4)
    left, top = chance.randrange(side - size), chance.randrange(side - size)
    pen, box = ImageDraw.Draw(picture), (left, top, left + size, top + size)
    if shape == "circle":
        pen.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, fill=COLOURS[colour])
    else:
        pen.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill=COLOURS[colour])
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return file


PROCESSORS: dict[str, dict[str, Any]] = {
    "llava": {
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 28},
        "crop_size": {"height": 28, "width": 28},
    },
    "qwen2_vl": {
        "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 784, "max_pixels": 3136, "patch_size": 14,
    },
    "qwen2_5_vl": {
        "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 784, "max_pixels": 3136, "patch_size": 14,
    },
    "smolvlm": {
        "image_processor_type": "SmolVLMImageProcessor", "size": {"longest_edge": 56},
        "max_image_size": {"longest_edge": 28},
    },
    "idefics3": {
        "image_processor_type": "Idefics3ImageProcessor", "size": {"longest_edge": 56},
        "max_image_size": {"longest_edge": 28},
    },
    "gemma3": {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 28, "width": 28}},
    "llama4": {"image_processor_type": "Llama4ImageProcessor", "size": {"height": 28, "width": 28}},
}  # fmt: skip
"""What the image processors' files of the tiny models say: pictures of 28 pixels, in patches of 14 or 7."""


def _placeholder(kind: str) -> str:
    if kind.startswith("qwen"):
        return "<|vision_start|><|image_pad|><|vision_end|>"
    return {"gemma3": "<start_of_image>", "llama4": "<|image|>"}.get(kind, "<image>")


def _config(kind: str, size: int, text: dict[str, Any]) -> dict[str, Any]:
    vision: dict[str, Any] = {**TOWER, "image_size": 28, "patch_size": 14}
    if kind == "llava":
        return {
            "text_config": {"model_type": "llama", **text},
            "vision_config": {"model_type": "clip_vision_model", **vision},
            "image_token_index": FIRST, "vision_feature_layer": -1,
        }  # fmt: skip
    if kind == "qwen2_vl":
        tower = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 14}
    elif kind == "qwen2_5_vl":
        tower = {
            "depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 4, "intermediate_size": 64,
            "patch_size": 14, "fullatt_block_indexes": [1],
        }  # fmt: skip
    if kind.startswith("qwen"):
        text = {**text, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}}
        text.pop("head_dim")
        ids = {"image_token_id": FIRST, "vision_start_token_id": FIRST + 1, "vision_end_token_id": FIRST + 2}
        return {"text_config": text, "vision_config": tower, **ids, "video_token_id": FIRST + 3}
    if kind in ("smolvlm", "idefics3"):
        return {
            "text_config": {"model_type": "llama", **text}, "vision_config": {**vision, "patch_size": 7},
            "image_token_id": FIRST, "scale_factor": 2, "pad_token_id": 256,
        }  # fmt: skip
    if kind == "gemma3":
        return {
            "text_config": text, "vision_config": {**vision, "patch_size": 7}, "mm_tokens_per_image": 4,
            "image_token_index": FIRST, "boi_token_index": FIRST + 1, "eoi_token_index": FIRST + 2,
        }  # fmt: skip
    experts = {"intermediate_size_mlp": 64, "num_local_experts": 2, "num_experts_per_tok": 1}
    return {
        "text_config": {**text, **experts, "interleave_moe_layer_step": 2},
        "vision_config": {
            **vision, "patch_size": 7, "intermediate_size": 128, "vision_output_dim": 32,
            "projector_input_dim": 32, "projector_output_dim": 32, "pixel_shuffle_ratio": 0.5,
        },
        "image_token_index": FIRST, "boi_token_index": FIRST + 2, "eoi_token_index": FIRST + 3,
    }  # fmt: skip
