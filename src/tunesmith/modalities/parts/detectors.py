"""What detectors of all families need around their training: parts, preprocessor, pictures of what they find."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.picture_sizes import PictureSize
from tunesmith.training.detection import BoxedBatch, Detection
from tunesmith.training.forward import inner
from tunesmith.training.pieces import Rows

SAMPLES: Final = "samples"
"""Folder of a result with pictures that validated, and what was found in them."""
DRAWN: Final = 8
"""Pictures in it, at most."""
SURE: Final = 0.4
"""Score from which a thing is drawn."""
SMALLEST: Final = 320
"""Pixels of the longer side of a drawing, at least, so that names can be read."""
COLOURS: Final = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
PROCESSORS: Final = {
    "detr": "DetrImageProcessor",
    "conditional_detr": "ConditionalDetrImageProcessor",
    "deformable_detr": "DeformableDetrImageProcessor",
    "yolos": "YolosImageProcessor",
}
"""By ``model_type``; the others are read as RT-DETR is."""


def backbones(model: Any) -> Iterator[nn.Module]:
    """Yield what makes features of pictures, below what finds things in them."""
    if hasattr(inner(model), "backbones"):
        yield from inner(model).backbones()
        return
    for name, part in inner(model).named_modules():
        if name in ("model.backbone", "vit"):
            yield part


def stay_alone() -> None:
    """Have DETR's and YOLOS' loss divided by the things of one batch, as the others' is.

    In several processes it would wait for the others at each batch, and they need not have as many.
    """
    from transformers.loss import loss_for_object_detection

    vars(loss_for_object_detection)["is_accelerate_available"] = lambda: False


def write_detector_preprocessor(model_dir: Path, size: PictureSize, model_type: str, folder: Path) -> None:
    """Write how pictures are made ready for the result, so that ``transformers.pipeline`` sees what training saw."""
    kind = PROCESSORS.get(model_type, "RTDetrImageProcessor")
    said = read_json(model_dir / "preprocessor_config.json") or {"image_processor_type": kind}
    ready = {
        "do_resize": True,
        "size": {"height": size.height, "width": size.width},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(size.mean),
        "image_std": list(size.deviation),
        "do_pad": False,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps({**said, **ready}, indent=2))


def draw_samples(detection: Detection, rows: Rows, size: PictureSize, classes: Sequence[str], folder: Path) -> None:
    """Draw what is found in the first pictures that validated; what should be is drawn white, below it."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in range(min(DRAWN, len(rows.lengths))):
        batch: BoxedBatch = rows.batch([row], 0)  # type: ignore[assignment]
        [seen] = detection.gather(batch)[1]
        height, width = batch.sizes[0]
        scale = max(1.0, SMALLEST / max(height, width))
        picture = _picture(batch.pixels[0], size).resize((round(width * scale), round(height * scale)))
        draw = ImageDraw.Draw(picture)
        for left, top, wide, high in (seen.boxes * scale).tolist():
            draw.rectangle((left, top, left + wide, top + high), outline="white", width=3)
        found = zip(seen.found.tolist(), (seen.found_boxes * scale).tolist(), seen.scores.tolist(), strict=True)
        for label, (left, top, wide, high), score in found:
            if score >= SURE:
                colour = COLOURS[label % len(COLOURS)]
                draw.rectangle((left, top, left + wide, top + high), outline=colour, width=1)
                draw.text((left + 2, top + 1), f"{classes[label]} {score:.2f}", fill=colour, stroke_width=1,
                          stroke_fill="black")  # fmt: skip
        picture.save(folder / f"validation-{row + 1}.png")


def _picture(pixels: torch.Tensor, size: PictureSize) -> Image.Image:
    mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (size.mean, size.deviation))
    values = (pixels.float().cpu() * deviation + mean).clamp(0, 1) * 255
    return Image.fromarray(values.round().permute(1, 2, 0).numpy().astype(np.uint8))
