"""At what size a model sees pictures, from its ``preprocessor_config.json``; light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.modalities.chat_template import read_json

MEAN: Final = (0.485, 0.456, 0.406)
DEVIATION: Final = (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, which models without a configuration of their own are taken to expect."""
USUAL: Final = 224
USUAL_WHOLE: Final = 640
"""Pixels of the sides of what detectors see, where nothing says it; those of others (800 to 1333) vary by picture."""
WARPED: Final = 384
"""Pixels of a side from which ConvNeXt's processor cuts nothing off, whatever its ``crop_pct``."""
STEP: Final = 32
"""Detectors halve a picture five times, and double the parts again to add them up."""


@dataclass(frozen=True)
class PictureSize:
    """How a picture is scaled and shifted before a model sees it."""

    height: int
    width: int
    """Pixels that the model sees."""
    kept: int
    """Pixels of the shorter side of what is kept of a picture, from which parts are cut."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    """Of each colour, subtracted and divided by."""
    crops: bool
    """Whether the model sees the middle of a picture; else the whole of it, squeezed."""

    def as_list(self) -> list[Any]:
        """Return what decides how a picture is kept."""
        return [self.height, self.width, self.kept]


def size_of(model_dir: Path, image_size: int | None) -> PictureSize:
    """Return the size for a model folder; ``image_size`` replaces its own."""
    said = read_json(model_dir / "preprocessor_config.json")
    config = read_json(model_dir / "config.json")
    height, width = _sides(said.get("crop_size")) or _sides(said.get("size")) or _square(config)
    if image_size is not None:
        height = width = image_size
    shortest = said.get("size", {}).get("shortest_edge") if isinstance(said.get("size"), dict) else None
    share = said.get("crop_pct") if max(height, width) < WARPED else None
    crops = bool(said.get("do_center_crop")) or share is not None
    kept = max(height, width, shortest if crops and isinstance(shortest, int) and image_size is None else 0)
    kept = max(kept, int(max(height, width) / share) if share else round(max(height, width) * 8 / 7))
    deviation = tuple(said.get("image_std") or DEVIATION)
    if _divides_twice(said):
        deviation = tuple(each * each for each in deviation)
    return PictureSize(height, width, kept, tuple(said.get("image_mean") or MEAN), deviation, crops)


def whole_size(model_dir: Path, image_size: int | None) -> PictureSize:
    """Return the size at which a detector sees a whole picture, squeezed; its sides are multiples of ``STEP``."""
    said = read_json(model_dir / "preprocessor_config.json")
    size = said.get("size")
    longest = isinstance(size, dict) and "longest_edge" in size
    found = None if longest else _sides(size) or _sides(read_json(model_dir / "config.json").get("image_size"))
    sides = found or (USUAL_WHOLE, USUAL_WHOLE)
    if image_size is not None:
        sides = image_size, image_size
    height, width = (max(STEP, round(side / STEP) * STEP) for side in sides)
    shifted = said.get("do_normalize") is not False
    mean = tuple(said.get("image_mean") or MEAN) if shifted else (0.0, 0.0, 0.0)
    deviation = tuple(said.get("image_std") or DEVIATION) if shifted else (1.0, 1.0, 1.0)
    return PictureSize(height, width, max(height, width), mean, deviation, crops=False)


def _divides_twice(said: dict[str, Any]) -> bool:
    """Whether an image processor divides by the deviation once more, as EfficientNet's does unless told otherwise."""
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type"))
    return kind.startswith("EfficientNet") and said.get("include_top") is not False


def _sides(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return value[0], value[1]
    if isinstance(value, dict):
        if "height" in value and "width" in value:
            return int(value["height"]), int(value["width"])
        if "shortest_edge" in value:
            return int(value["shortest_edge"]), int(value["shortest_edge"])
    return None


def _square(config: dict[str, Any]) -> tuple[int, int]:
    part = config.get("vision_config")
    found = config.get("image_size") or (part.get("image_size") if isinstance(part, dict) else None)
    return _sides(found) or (USUAL, USUAL)
