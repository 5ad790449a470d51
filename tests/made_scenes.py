"""Scenes for detectors: shapes on a restless ground with known boxes, in YOLO's layout; and tiny detectors."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

SHAPES: Final = ("circle", "square", "triangle")
Shape = tuple[int, int, int, int]
"""Class, left, top and side in pixels."""


def scene(random: random.Random, size: int = 128) -> tuple[Image.Image, list[Shape]]:
    """Draw one to four shapes that do not touch."""
    picture = Image.new("RGB", (size, size), tuple(random.randrange(90) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        ends = tuple(random.randrange(size) for _ in range(4))
        draw.line(ends, fill=tuple(random.randrange(110) for _ in range(3)), width=2)
    shapes: list[Shape] = []
    for _ in range(random.randint(1, 4)):
        for _ in range(30):
            side = random.randint(size // 6, size // 3)
            x, y = random.randint(1, size - side - 2), random.randint(1, size - side - 2)
            if all(x + side < a or a + c < x or y + side < b or b + c < y for _, a, b, c in shapes):
                break
        else:
            continue
        kind, colour = random.randrange(3), tuple(random.randint(120, 255) for _ in range(3))
        if kind == 0:
            draw.ellipse((x, y, x + side, y + side), fill=colour)
        elif kind == 1:
            draw.rectangle((x, y, x + side, y + side), fill=colour)
        else:
            draw.polygon((x, y + side, x + side, y + side, x + side // 2, y), fill=colour)
        shapes.append((kind, x, y, side))
    return picture, shapes


PROCESSORS = {
    "yolos": "YolosImageProcessor", "detr": "DetrImageProcessor", "conditional_detr": "ConditionalDetrImageProcessor",
    "deformable_detr": "DeformableDetrImageProcessor",
}  # fmt: skip


def write_scenes(folder: Path, *, train: int, val: int, size: int = 128, seed: int = 0) -> Path:
    """Write scenes in YOLO's layout."""
    chance = random.Random(seed)
    for side, count in (("train", train), ("val", val)):
        for kind in ("images", "labels"):
            (folder / kind / side).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture, shapes = scene(chance, size)
            picture.save(folder / f"images/{side}/{number}.png")
            lines = [
                f"{kind} {(x + s / 2) / size:.6f} {(y + s / 2) / size:.6f} {s / size:.6f} {s / size:.6f}\n"
                for kind, x, y, s in shapes
            ]
            (folder / f"labels/{side}/{number}.txt").write_text("".join(lines))
    (folder / "data.yaml").write_text(f"names: {json.dumps(SHAPES)}\nnc: 3\ntrain: images/train\nval: images/val\n")
    return folder


BACKBONE: Final[dict[str, Any]] = {
    "embedding_size": 8, "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "layer_type": "basic",
    "out_features": ["stage2", "stage3", "stage4"],
}  # fmt: skip
SMALL: Final[dict[str, Any]] = {
    "encoder_in_channels": [16, 16, 16], "d_model": 16, "encoder_hidden_dim": 16, "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2, "decoder_ffn_dim": 32, "decoder_attention_heads": 2,
    "decoder_in_channels": [16, 16, 16], "decoder_layers": 2, "num_queries": 12, "num_denoising": 8,
    "freeze_backbone_batch_norms": False, "hidden_expansion": 0.5,
}  # fmt: skip
ABLE: Final[dict[str, Any]] = {
    **SMALL, "encoder_in_channels": [32, 64, 96], "d_model": 64, "encoder_hidden_dim": 64, "encoder_ffn_dim": 128,
    "encoder_attention_heads": 4, "decoder_ffn_dim": 128, "decoder_attention_heads": 4,
    "decoder_in_channels": [64, 64, 64], "num_queries": 20, "num_denoising": 20,
}  # fmt: skip
"""Enough to find the shapes."""


def make_detector(folder: Path, kind: str = "rt_detr", *, able: bool = False, size: int = 64, seed: int = 0) -> Path:
    """Write a tiny detector with random weights, and at what size it sees pictures."""
    import torch
    from transformers import AutoConfig, AutoModelForObjectDetection

    torch.manual_seed(seed)
    hidden = {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 96]} if able else {}
    if kind in ("rt_detr", "rt_detr_v2"):
        backbone = AutoConfig.for_model("rt_detr_resnet", **BACKBONE | hidden)
        config = AutoConfig.for_model(kind, backbone_config=backbone, num_labels=3, **(ABLE if able else SMALL))
    elif kind == "d_fine":
        backbone = AutoConfig.for_model(
            "hgnet_v2", stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 16, 16], stage_mid_channels=[8, 8, 8, 8],
            stage_out_channels=[16, 16, 16, 16], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[1, 1, 1, 1],
            out_features=["stage2", "stage3", "stage4"], hidden_sizes=[16, 16, 16, 16], depths=[1, 1, 1, 1],
        )  # fmt: skip
        config = AutoConfig.for_model(
            kind, backbone_config=backbone, num_labels=3, max_num_bins=8, depth_mult=0.34, **SMALL
        )
    elif kind == "yolos":
        config = AutoConfig.for_model(
            kind, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=3,
            image_size=[size, size], num_detection_tokens=8,
        )  # fmt: skip
    else:
        backbone = AutoConfig.for_model(
            "resnet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
            out_features=["stage2"] if kind != "deformable_detr" else ["stage1", "stage2"],
        )  # fmt: skip
        more = {"num_feature_levels": 2} if kind == "deformable_detr" else {}
        config = AutoConfig.for_model(
            kind, backbone_config=backbone, use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
            num_labels=3, num_queries=8, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32,
            decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2, **more,
        )  # fmt: skip
    AutoModelForObjectDetection.from_config(config).save_pretrained(folder)
    processor = PROCESSORS.get(kind, "RTDetrImageProcessor")
    said = {"size": {"height": size, "width": size}, "image_processor_type": processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder
