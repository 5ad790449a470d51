"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

``unit_bytes`` of networks of convolutions were measured with pictures of 224 x 224 (``docs/planning.md``). Adapters sit
on linear layers, so networks of convolutions are trained whole.

Rates of detectors are their authors': 1e-4 for RT-DETR (https://github.com/lyuwenyu/RT-DETR, the backbone a tenth)
and for D-FINE, between the 2.5e-4 of its authors (https://github.com/Peterande/D-FINE) and the twentieth of that which
they give the backbone; 2.5e-5 for YOLOS (https://github.com/hustvl/YOLOS). YOLOs of ultralytics take what that package
gives AdamW for half a dozen classes, 0.01 / (4 + classes) (https://docs.ultralytics.com). The others take the task's.
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family

YOLO: Final = "ultralytics_yolo"
"""``model_type`` of YOLOs of the package ultralytics, which are no models of transformers."""
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
    Family(
        name="RT-DETR",
        model_types=("rt_detr", "rt_detr_v2"),
        kind="detector",
        targets=(),
        unit_bytes=400_000,
        whole_rate=1e-4,
    ),
    Family(name="D-FINE", model_types=("d_fine",), kind="detector", targets=(), unit_bytes=400_000, whole_rate=1e-4),
    Family(name="DETR", model_types=("detr", "conditional_detr"), kind="detector", targets=(), unit_bytes=600_000),
    Family(name="Deformable DETR", model_types=("deformable_detr",), kind="detector", targets=(), unit_bytes=900_000),
    Family(name="YOLOS", model_types=("yolos",), kind="detector", targets=(), whole_rate=2.5e-5),
    Family(
        name="YOLO (ultralytics)",
        model_types=(YOLO,),
        kind="detector",
        targets=(),
        unit_root=145,
        whole_rate=1e-3,
        licence="AGPL-3.0",
        use="Show it pictures with `tunesmith predict`; `tunesmith export ultralytics` writes it for that package.",
    ),
    Family(name="BEiT", model_types=("beit",), kind="picture", targets=("query", "value"), four_bit=True),
    Family(name="CLIP", model_types=("clip",), kind="picture", targets=("q_proj", "v_proj")),
)
