"""Training speed on pictures beside transformers' Trainer: same model, rows, order, batch and settings, in one run.

    python -m benchmarks.vision_speed                      # all cases
    python -m benchmarks.vision_speed --only vit-lora --steps 6

How both sides are measured: ``benchmarks/beside_trainer.py``. The models have random weights: a ViT of DeiT-tiny's size
(Touvron et al. 2021, arXiv:2012.12877, table 1), ResNet-18 and MobileNetV2; pictures are 224 pixels wide and high.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.beside_trainer import Bench, main

SIDE = 224


def write(case: str, folder: Path, rows: int) -> None:
    """Write the rows and the model of a case."""
    from PIL import Image

    random, records = np.random.default_rng(0), []
    (folder / "data").mkdir()
    for number in range(rows):
        coarse = Image.fromarray(random.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        coarse.resize((SIDE, SIDE)).save(folder / "data" / f"{number}.jpg")
        records.append({"image": f"{number}.jpg", "label": f"c{number % 4}"})
    (folder / "data" / "vision_data.jsonl").write_text("\n".join(map(json.dumps, records)))
    backbone(case).save_pretrained(folder / "model")
    shown = {"height": SIDE, "width": SIDE}
    said = {"image_processor_type": "ViTImageProcessor", "size": shown, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(said))


def backbone(case: str) -> Any:
    import transformers as hf

    if case.startswith("vit"):
        config = hf.ViTConfig(
            hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, image_size=SIDE,
        )  # fmt: skip
        return hf.ViTModel(config)
    if case == "resnet":
        sizes = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]}
        return hf.ResNetModel(hf.ResNetConfig(embedding_size=64, layer_type="basic", **sizes))
    return hf.MobileNetV2Model(hf.MobileNetV2Config(image_size=SIDE, classifier_dropout_prob=0.0))


def pieces(case: str, plan: Any, data: Any) -> Any:
    """Return what the loop runs on."""
    import torch

    from tunesmith.modalities.vision.builder import build_classifier

    return build_classifier(plan, data.train, data.validation, torch.device("cpu"), labels=data.labels)


def joined(case: str, some: list[Any]) -> dict[str, Any]:
    """Put single rows together."""
    import torch

    inputs = {name: torch.cat([each.inputs[name] for each in some]) for name in some[0].inputs}
    return {**inputs, "labels": torch.cat([each.classes for each in some])}


BENCH = Bench(
    module="benchmarks.vision_speed",
    cases={"vit-full": "full", "vit-lora": "lora", "resnet": "full", "mobilenet": "full"},
    rows="pictures", write=write, pieces=pieces, joined=joined,
    options={"random_crop": False, "flip": False, "colour": 0.0},
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(BENCH, __doc__))
