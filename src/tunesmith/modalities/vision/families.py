"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

``unit_bytes`` of networks of convolutions were measured with pictures of 224 x 224 (``docs/planning.md``). Adapters sit
on linear layers, so networks of convolutions are trained whole.
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family

FAMILIES: Final = (
    Family(
        name="ViT", model_types=("vit", "deit", "dinov2"), kind="picture", targets=("query", "value"), four_bit=True
    ),
    Family(name="Swin", model_types=("swin", "swinv2"), kind="picture", targets=("query", "value"), unit_bytes=900_000),
    Family(
        name="ConvNeXt",
        model_types=("convnext", "convnextv2"),
        kind="picture",
        targets=(),
        unit_bytes=1_000_000,
        whole_rate=1e-4,
    ),
    Family(name="ResNet", model_types=("resnet",), kind="picture", targets=(), unit_bytes=800_000, whole_rate=1e-4),
    Family(
        name="MobileNetV2",
        model_types=("mobilenet_v2",),
        kind="picture",
        targets=(),
        unit_bytes=600_000,
        whole_rate=1e-4,
    ),
    Family(
        name="EfficientNet",
        model_types=("efficientnet",),
        kind="picture",
        targets=(),
        unit_bytes=700_000,
        whole_rate=1e-4,
    ),
    Family(name="RT-DETR", model_types=("rt_detr", "rt_detr_v2"), kind="detector", targets=(), unit_bytes=400_000),
    Family(name="D-FINE", model_types=("d_fine",), kind="detector", targets=(), unit_bytes=400_000),
    Family(name="DETR", model_types=("detr", "conditional_detr"), kind="detector", targets=(), unit_bytes=600_000),
    Family(name="Deformable DETR", model_types=("deformable_detr",), kind="detector", targets=(), unit_bytes=900_000),
    Family(name="YOLOS", model_types=("yolos",), kind="detector", targets=()),
    Family(name="CLIP", model_types=("clip", "clip_vision_model"), kind="picture", targets=("q_proj", "v_proj")),
)
