"""Pictures: what a picture shows (classification), and where in it things are (detection).

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.modalities.vision.families import FAMILIES
from tunesmith.modalities.vision.options import VisionOptions
from tunesmith.spec.examples import BoxedImage, LabelledImage

_BUILDER: Final = "tunesmith.modalities.vision.builder"


def _encoder(model_dir: Path, options: VisionOptions) -> Encoder:
    from tunesmith.modalities.vision.encode import PictureEncoder

    return PictureEncoder(model_dir, image_size=options.image_size)


MODALITY: Final = Modality(
    name="vision",
    tasks=(
        Task(
            name="image-classification",
            consumes=(LabelledImage,),
            summary="image classification: the class of each picture is learned",
            builder=f"{_BUILDER}:build_classifier",
            aliases=("image_classification", "image_classifier", "image-classifier"),
            models=("picture",),
            writes=False,
            does="tells classes of pictures apart",
            counts="picture",
            peft=None,
            loader="AutoModelForImageClassification",
            cuts=False,
            judged_by="accuracy",
            may_judge=("macro_f1",),
        ),
        Task(
            name="object-detection",
            consumes=(BoxedImage,),
            summary="object detection: what is where in each picture is learned",
            builder=f"{_BUILDER}:build_detector",
            aliases=("object_detection", "object_detector", "object-detector"),
            models=("detector",),
            writes=False,
            does="finds things in pictures",
            counts="picture",
            peft=None,
            loader="AutoModelForObjectDetection",
            cuts=False,
            judged_by="map",
            may_judge=("map_50",),
        ),
    ),
    families=FAMILIES,
    options=VisionOptions,
    encoder=_encoder,
)
