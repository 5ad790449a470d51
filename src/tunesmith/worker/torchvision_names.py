"""torchvision's MobileNetV2 as transformers names its layers: the same network, and the same numbers come out of it.

torchvision pads pictures on both sides and divides by a variance plus 1e-5; transformers' defaults are TensorFlow's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.spec.errors import PullFailed

if TYPE_CHECKING:
    from torch import Tensor

SIZE: Final = 224
"""Pixels of a side of the pictures that it was trained on, ..."""
KEPT: Final = 256
"""... cut out of the middle of pictures scaled to so many."""
PREPROCESSOR: Final = {
    "image_processor_type": "MobileNetV2ImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": KEPT},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
LAST: Final = 18
"""Number of the convolution behind the blocks."""


def convert_mobilenet(file: Path, target: Path) -> int:
    """Write torchvision's MobileNetV2 as a model folder; return the number of parameters.

    Raises:
        PullFailed: the file holds other weights.
    """
    import torch
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    config = MobileNetV2Config(image_size=SIZE, tf_padding=False, layer_norm_eps=1e-5, classifier_dropout_prob=0.2)
    config.num_labels = 1000
    model = MobileNetV2ForImageClassification(config)
    result = model.load_state_dict(renamed(state), strict=False)
    if result.missing_keys or result.unexpected_keys:
        lacking = ", ".join([*result.missing_keys, *result.unexpected_keys][:3])
        raise PullFailed(file.name, f"its weights are not those of a MobileNetV2 ({lacking})")
    model.save_pretrained(target)
    (target / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n")
    return sum(weight.numel() for weight in model.parameters())


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under transformers' names."""
    return {_name(name): values for name, values in state.items()}


def _name(name: str) -> str:
    if name.startswith("classifier.1."):
        return name.replace("classifier.1.", "classifier.")
    found = re.fullmatch(r"features\.(\d+)\.(?:conv\.)?(.+)\.(\w+)", name)
    if found is None:
        return name
    block, place, value = int(found[1]), found[2], found[3]
    layer, kind = _stem(place) if block == 0 else _layer(block, place)
    return f"mobilenet_v2.{layer}.{kind}.{value}"


def _stem(place: str) -> tuple[str, str]:
    return "conv_stem.first_conv", _kind(place)


def _layer(block: int, place: str) -> tuple[str, str]:
    """Return layer and kind of what stands at a place of a block: the first block does not widen."""
    if block == LAST:
        return "conv_1x1", _kind(place)
    parts = ("conv_3x3", "reduce_1x1") if block == 1 else ("expand_1x1", "conv_3x3", "reduce_1x1")
    whole, _, within = place.partition(".")
    number = int(whole)
    part, kind = (parts[number], _kind(within)) if within else (parts[-1], _kind(str(number - len(parts) + 1)))
    return f"conv_stem.{part}" if block == 1 else f"layer.{block - 2}.{part}", kind


def _kind(place: str) -> str:
    return "convolution" if place == "0" else "normalization"
