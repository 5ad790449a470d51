"""What a model sees of a picture is what its own image processor shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tunesmith.data.media import pictures
from tunesmith.modalities.parts.picture_batches import seen
from tunesmith.modalities.parts.picture_sizes import size_of

NORMAL = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.48, 0.47, 0.46], "do_normalize": True, "resample": 2}
SAID: dict[str, dict[str, Any]] = {
    "ViTImageProcessor": {"size": {"height": 32, "width": 24}},
    "CLIPImageProcessor": {
        "size": {"shortest_edge": 48}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True},
    "ConvNextImageProcessor": {"size": {"shortest_edge": 32}, "crop_pct": 0.5},
    "MobileNetV2ImageProcessor": {
        "size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True},
    "EfficientNetImageProcessor": {"size": {"height": 32, "width": 32}},
    "BeitImageProcessor": {"size": {"height": 32, "width": 32}, "crop_size": {"height": 32, "width": 32},
                           "do_center_crop": False},
}  # fmt: skip
"""What folders say of their image processors, of which some do more than is said."""


def wedge(width: int, height: int) -> Image.Image:
    """A picture of colours that change slowly, so that what scales it hardly matters."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 90)))


@pytest.mark.parametrize("kind", SAID)
def test_a_model_sees_what_its_own_processor_shows(kind: str, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    said = {"image_processor_type": kind, **NORMAL, **SAID[kind]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    picture, size = wedge(160, 120), size_of(tmp_path, None)
    found = seen([pictures.scaled(picture, size.kept).copy()], size, torch.device("cpu"))
    wanted = AutoImageProcessor.from_pretrained(tmp_path)(picture, return_tensors="pt")["pixel_values"]
    assert found.shape == wanted.shape
    assert (found - wanted).abs().mean() < 0.02


def test_convnext_sees_the_whole_of_what_is_large(tmp_path: Path) -> None:
    said = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}, "crop_pct": 1.0}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    size = size_of(tmp_path, None)
    assert (size.height, size.width, size.crops) == (384, 384, False)
