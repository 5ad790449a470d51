"""Settings that only training on pictures has; a field is a flag of `tunesmith train` and a key under ``options``."""

from __future__ import annotations

from pydantic import Field

from tunesmith.spec.recipe import Part


class VisionOptions(Part):
    """How pictures are read, varied and weighted."""

    image_size: int | None = Field(None, ge=16, le=4096, json_schema_extra={"flag": "--image-size"})
    """Pixels of a side of what the model sees. Open: what its own preprocessor_config.json says."""
    random_crop: bool = Field(True, json_schema_extra={"flag": "--random-crop"})
    """Train on random parts of pictures, scaled up, instead of their middle."""
    crop_scale: float = Field(0.35, gt=0, le=1, json_schema_extra={"flag": "--crop-scale"})
    """Smallest share of a picture's area that a random part has."""
    flip: bool = Field(True, json_schema_extra={"flag": "--flip"})
    """Mirror every second picture, left to right. Turn it off where left and right mean something, such as digits."""
    colour: float = Field(0.1, ge=0, le=1, json_schema_extra={"flag": "--colour-jitter"})
    """By what share brightness, contrast and saturation vary at most; 0 leaves them alone."""
    balance: bool = Field(False, json_schema_extra={"flag": "--balance-classes", "task": "image-classification"})
    """Let each class count the same in the loss, however many pictures it has."""
    freeze_backbone: bool = Field(
        False, json_schema_extra={"flag": "--freeze-backbone", "head_alone": "image-classification"}
    )
    """Train the head alone: fast, and enough where the pictures are like those that the model knows."""
