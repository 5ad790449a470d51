"""How the image processors of models that read texts too make pictures ready: the same pixels, without torch.

What is kept of a picture is bytes, (height, width, 3), at the very size that the model sees; ``normalised`` makes its
numbers of them. Rules and defaults are those of the families' own image processors in transformers
(``image_processing_pil_*.py``), whose results they equal; of Llama 4 and SmolVLM the way without splitting is taken,
one tile for each picture, and a result says so to its own processor (``as_processor``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tunesmith.data.media.pictures import MAX_PIXELS
from tunesmith.modalities.chat_template import read_json

Pixels = NDArray[np.uint8]
"""(height, width, 3)"""
CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
HALF: Final = (0.5, 0.5, 0.5)
BILINEAR, BICUBIC, LANCZOS = 2, 3, 1
LONGEST: Final = 4096
"""Pixels of a side beyond which SmolVLM scales nothing up."""
FINEST: Final = 1e-5
GROWTH: Final = 100.0
"""Difference and end of the scales among which SigLIP 2's is sought."""
FLATTEST: Final = 200
"""Times as long as wide that a picture may be for Qwen2-VL."""
WHOLE: Final = 2**16
"""Pixels of a side beyond which only what is cut out of the middle is scaled: thin pictures would be gigabytes."""
MOST_SQUARED: Final = 2 * MAX_PIXELS
"""Pixels of a picture that is filled up to a square, at most."""


@dataclass(frozen=True)
class PictureRule:
    """How a picture becomes what a model sees."""

    way: Literal["middle", "squeezed", "grid", "patches", "twice", "tile"]
    """middle: the shorter side scaled, the middle cut out (CLIP); squeezed: to one size (SigLIP, Gemma 3); grid: to
    whole patches, near its own size (Qwen2-VL); patches: to as many whole ones as the model reads, in its own shape
    (SigLIP 2 of many shapes); twice: the longer side scaled, then squeezed (SmolVLM); tile: scaled to fit, the rest
    black (Llama 4)."""
    height: int
    width: int
    """Pixels that the model sees; of a square picture where the way is patches; nothing where it is grid."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    resample: int
    """Pillow's number of the filter."""
    factor: float = 1 / 255
    shortest: int = 0
    """Pixels that the shorter side is scaled to before the middle is cut out."""
    longest: int = 0
    """Pixels that the longer side is scaled to first."""
    least: int = 0
    most: int = 0
    """Pixels of the whole picture, where the way is grid; the most are patches, where it is patches."""
    patch: int = 14
    merge: int = 2
    """Patches of a side that become one token, where the way is grid."""
    temporal: int = 2
    """Times that a picture stands in a patch, where the way is grid: it is a film that stands still."""
    squared: bool = False
    """Whether it is filled up to a square with the mean colour first."""

    def fit(self, picture: Image.Image) -> Pixels:
        """Return what the model sees of a picture.

        Raises:
            ValueError: it is far too thin; the sentence says so.
        """
        if self.squared:
            picture = _squared(picture, tuple(int(part * 255) for part in self.mean))
        width, height = picture.size
        if self.way == "middle":
            return _middle(self._shorter_scaled(picture), self.height, self.width)
        if self.way == "grid":
            return self._scaled(picture, self.grid_size(width, height))
        if self.way == "patches":
            return self._scaled(picture, self.patches_size(width, height))
        if self.way == "twice":
            picture = Image.fromarray(self._scaled(picture, _longest(width, height, self.longest)))
        if self.way == "tile":
            return self._tile(picture)
        return self._scaled(picture, (self.width, self.height))

    def grid_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) of whole patches nearest to a picture's own, within its number of pixels."""
        if max(width, height) > FLATTEST * min(width, height):
            raise ValueError(f"it is more than {FLATTEST} times as long as wide")
        side = self.patch * self.merge
        high, wide = round(height / side) * side, round(width / side) * side
        if high * wide > self.most:
            by = math.sqrt(height * width / self.most)
            high, wide = (max(side, math.floor(each / by / side) * side) for each in (height, width))
        elif high * wide < self.least:
            by = math.sqrt(self.least / (height * width))
            high, wide = (math.ceil(each * by / side) * side for each in (height, width))
        return wide, high

    def patches_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) of as many patches as the model reads, in the shape of the picture.

        The scale is found by halving a span, as transformers does it, so that rounding falls the same way.
        """

        def sides(scale: float) -> tuple[int, int]:
            wide, high = (max(1, math.ceil(side * scale / self.patch)) for side in (width, height))
            return wide, high

        low, high = FINEST / 10, GROWTH
        while high - low >= FINEST:
            middle = (low + high) / 2
            low, high = (middle, high) if math.prod(sides(middle)) <= self.most else (low, middle)
        wide, tall = sides(low)
        return wide * self.patch, tall * self.patch

    def as_list(self) -> list[Any]:
        """Return what decides how a picture is kept."""
        return [str(value) for value in self.__dict__.values()]

    def as_processor(self) -> dict[str, Any]:
        """Return what a result's image processor must be told, so that it sees what training saw."""
        if self.way == "twice":
            return {"do_image_splitting": False}
        return {"max_patches": 1} if self.way == "tile" else {}

    def _scaled(self, picture: Image.Image, size: tuple[int, int]) -> Pixels:
        return np.array(picture.resize(size, Image.Resampling(self.resample)), np.uint8)

    def _shorter_scaled(self, picture: Image.Image) -> Pixels:
        """Scale the shorter side; of a very long picture only the middle that is cut out."""
        width, height = picture.size
        long = int(self.shortest * max(width, height) / min(width, height))
        upright = width <= height
        kept = self.height if upright else self.width
        if long <= max(WHOLE, kept):
            return self._scaled(picture, (self.shortest, long) if upright else (long, self.shortest))
        first, share = (long - kept) // 2, max(width, height) / long
        begin, end = first * share, (first + kept) * share
        size, box = (self.shortest, kept), (0.0, begin, float(width), end)
        if not upright:
            size, box = (kept, self.shortest), (begin, 0.0, end, float(height))
        return np.array(picture.resize(size, Image.Resampling(self.resample), box=box), np.uint8)

    def _tile(self, picture: Image.Image) -> Pixels:
        by_width, by_height = self.width / picture.width, self.height / picture.height
        if by_width < by_height:
            size = self.width, min(math.floor(picture.height * by_width), self.height)
        else:
            size = min(math.floor(picture.width * by_height), self.width), self.height
        tile = np.zeros((self.height, self.width, 3), np.uint8)
        scaled = self._scaled(picture, (max(1, size[0]), max(1, size[1])))
        tile[: scaled.shape[0], : scaled.shape[1]] = scaled
        return tile


DEFAULTS: Final = {
    "clip": PictureRule("middle", 224, 224, CLIP_MEAN, CLIP_DEVIATION, BICUBIC, shortest=224),
    "siglip": PictureRule("squeezed", 224, 224, HALF, HALF, BICUBIC),
    "siglip2": PictureRule("patches", 256, 256, HALF, HALF, BILINEAR, most=256, patch=16),
    "llava": PictureRule("middle", 336, 336, CLIP_MEAN, CLIP_DEVIATION, BICUBIC, shortest=336),
    "qwen2_vl": PictureRule("grid", 0, 0, CLIP_MEAN, CLIP_DEVIATION, BICUBIC, least=56 * 56, most=28 * 28 * 1280),
    "smolvlm": PictureRule("twice", 364, 364, HALF, HALF, LANCZOS, longest=4 * 364),
    "gemma3": PictureRule("squeezed", 896, 896, HALF, HALF, BILINEAR),
    "llama4": PictureRule("tile", 336, 336, HALF, HALF, BILINEAR),
}
"""By ``model_type``, where a folder's image processor leaves something out."""
ALIKE: Final = {"qwen2_5_vl": "qwen2_vl", "idefics3": "smolvlm"}


def rule_of(model_dir: Path) -> PictureRule:
    """Return the rule of a model folder: its image processor's file, with the defaults of its family."""
    config = read_json(model_dir / "config.json")
    name = str(config.get("model_type", ""))
    said = processor_of(model_dir)
    rule = DEFAULTS[ALIKE.get(name, name)]
    if rule.way == "middle" and not said:
        side = (config.get("vision_config") or {}).get("image_size") or rule.height
        rule = replace(rule, height=side, width=side, shortest=side)
    if rule.way == "middle" and "siglip" in str(said.get("image_processor_type", "")).lower():
        rule = replace(DEFAULTS["siglip"], mean=HALF, deviation=HALF)
    rule = replace(
        rule,
        mean=tuple(said.get("image_mean") or rule.mean),
        deviation=tuple(said.get("image_std") or rule.deviation),
        resample=rule.resample if said.get("resample") is None else int(said["resample"]),
        factor=float(said.get("rescale_factor") or rule.factor),
        squared=name == "llava" and bool(said.get("do_pad")),
    )
    return _sized(rule, said)


def processor_of(model_dir: Path) -> dict[str, Any]:
    """Return what a folder says of its image processor, in whichever of two files."""
    said = read_json(model_dir / "preprocessor_config.json")
    return said or dict(read_json(model_dir / "processor_config.json").get("image_processor") or {})


def normalised(pixels: Pixels, rule: PictureRule) -> NDArray[np.float32]:
    """Return (3, height, width) numbers as the model wants them, computed as transformers' processors do."""
    scaled = (np.moveaxis(pixels, -1, 0).astype(np.float64) * rule.factor).astype(np.float32)
    mean, deviation = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (rule.mean, rule.deviation))
    made: NDArray[np.float32] = (scaled - mean) / deviation
    return made


def in_patches(values: NDArray[np.float32], rule: PictureRule) -> NDArray[np.float32]:
    """Return (patches, numbers of a patch) of a picture of (3, height, width), in the order in which tokens merge."""
    patch, merge = rule.patch, rule.merge
    colours, height, width = values.shape
    high, wide = height // patch, width // patch
    parts = values.reshape(colours, high // merge, merge, patch, wide // merge, merge, patch)
    parts = parts.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None]
    parts = np.broadcast_to(parts, (*parts.shape[:5], rule.temporal, *parts.shape[6:]))
    return np.ascontiguousarray(parts.reshape(high * wide, -1))


def in_rows(values: NDArray[np.float32], rule: PictureRule) -> NDArray[np.float32]:
    """Return (patches, numbers of a patch) of a picture of (3, height, width), row by row, colours innermost."""
    colours, height, width = values.shape
    parts = values.reshape(colours, height // rule.patch, rule.patch, width // rule.patch, rule.patch)
    return parts.transpose(1, 3, 2, 4, 0).reshape(-1, rule.patch * rule.patch * colours)


def _sized(rule: PictureRule, said: dict[str, Any]) -> PictureRule:
    """Return the rule with the sizes that an image processor's file says."""
    size = said.get("size")
    sides = size if isinstance(size, dict) else {"shortest_edge": size} if isinstance(size, int) else {}
    if rule.way == "middle":
        crop = said.get("crop_size")
        shortest = sides.get("shortest_edge") or sides.get("height") or rule.shortest
        both = crop if isinstance(crop, dict) else {"height": crop or shortest, "width": crop or shortest}
        return replace(rule, shortest=shortest, height=both["height"], width=both["width"])
    if rule.way == "grid":
        return replace(
            rule,
            least=said.get("min_pixels") or sides.get("shortest_edge") or rule.least,
            most=said.get("max_pixels") or sides.get("longest_edge") or rule.most,
            patch=said.get("patch_size") or rule.patch,
            merge=said.get("merge_size") or rule.merge,
            temporal=said.get("temporal_patch_size") or rule.temporal,
        )
    if rule.way == "patches":
        most, patch = said.get("max_num_patches") or rule.most, said.get("patch_size") or rule.patch
        side = math.isqrt(most) * patch
        return replace(rule, most=most, patch=patch, height=side, width=side)
    if rule.way == "twice":
        seen = (said.get("max_image_size") or {}).get("longest_edge") or rule.height
        return replace(rule, longest=sides.get("longest_edge") or rule.longest, height=seen, width=seen)
    square = sides.get("shortest_edge")
    height, width = sides.get("height") or square or rule.height, sides.get("width") or square or rule.width
    return replace(rule, height=height, width=width)


def _longest(width: int, height: int, longest: int) -> tuple[int, int]:
    """Return the (width, height) with a longer side of so many pixels, the other even, as SmolVLM reckons it."""
    shape = width / height
    if width >= height:
        wide, high = longest, int(longest / shape)
        high += high % 2
    else:
        wide, high = int(longest * shape), longest
        wide += wide % 2
    wide, high = max(wide, 1), max(high, 1)
    shape = wide / high
    if wide >= high > 0 and wide > LONGEST:
        wide, high = LONGEST, int(LONGEST / shape)
    elif high > wide and high > LONGEST:
        wide, high = int(LONGEST * shape), LONGEST
    return max(wide, 1), max(high, 1)


def _squared(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """Put a picture in the middle of a square of one colour.

    Raises:
        ValueError: the square is far too large.
    """
    side = max(picture.size)
    if picture.width == picture.height:
        return picture
    if side * side > MOST_SQUARED:
        raise ValueError(f"filled up to a square it has {side} x {side} pixels; {MOST_SQUARED:,} is the most")
    square = Image.new("RGB", (side, side), colour)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _middle(pixels: Pixels, height: int, width: int) -> Pixels:
    """Cut the middle out; a smaller picture lies on black."""
    high, wide = pixels.shape[:2]
    if high < height or wide < width:
        larger = np.zeros((max(high, height), max(wide, width), 3), np.uint8)
        top, left = math.ceil((larger.shape[0] - high) / 2), math.ceil((larger.shape[1] - wide) / 2)
        larger[top : top + high, left : left + wide] = pixels
        pixels, (high, wide) = larger, larger.shape[:2]
    top, left = (high - height) // 2, (wide - width) // 2
    return pixels[top : top + height, left : left + width]
