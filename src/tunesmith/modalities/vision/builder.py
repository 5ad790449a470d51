"""From a plan to what the training loop runs on: a model of pictures, what it is to learn, its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.parts.asking import Silent
from tunesmith.modalities.parts.boxed_batches import BoxedBatches
from tunesmith.modalities.parts.building import Pieces, adapted, checkpointed, of_random_parts, remembering
from tunesmith.modalities.parts.classes import classification, trained_classes
from tunesmith.modalities.parts.detectors import (
    SAMPLES,
    backbones,
    draw_samples,
    stay_alone,
    write_detector_preprocessor,
)
from tunesmith.modalities.parts.picture_batches import STILL, Variation, random_for, seen
from tunesmith.modalities.parts.picture_sizes import PictureSize, size_of, whole_size
from tunesmith.modalities.vision.options import VisionOptions
from tunesmith.spec.errors import NothingTrained
from tunesmith.spec.plan import Plan
from tunesmith.training.batch_norm import bear_single_values
from tunesmith.training.bf16_attention import speed_up_attention
from tunesmith.training.classification import in_32_bits
from tunesmith.training.convolutions import layout_of, pad_inside
from tunesmith.training.detection import Detection
from tunesmith.training.forward import inner, speed_up_adapters
from tunesmith.training.loading import backbone_name, head_parts, load_detector, load_picture_classifier
from tunesmith.training.quantization import load_base

PREPROCESSOR = "preprocessor_config.json"


def build_classifier(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model tell classes of pictures apart; ``labels`` names the numbers in ``TokenRows.labels``.

    Raises:
        TooFewClasses: the training pictures have fewer than two classes.
        UnknownLabel: a picture that the user holds out has a class that is not trained.
    """
    classes, counts = trained_classes(train, labels)
    options, folder = VisionOptions.model_validate(plan.spec.options), Path(plan.model.path)
    size = size_of(folder, options.image_size)
    fresh: list[str] = []
    load = remembering(partial(load_picture_classifier, folder, classes=classes, seed=plan.spec.seed), fresh)
    model = load_base(load, plan, device, keep=fresh)
    heads = dict(head_parts(model))
    for head in heads.values():
        in_32_bits(head)
    for layer in model.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.float()  # Means over many batches need more digits than 16 bits have; it takes inputs of either.
    bear_single_values(model)
    pad_inside(model)
    if options.freeze_backbone:
        freeze(model.get_submodule(backbone_name(model)))
    model = adapted(model, plan, peft=None, trained=list(heads), whole=True)
    speed_up_adapters(model)
    speed_up_attention(inner(model))
    if options.freeze_backbone:  # An adapter there would change what the user wants left alone: only the head learns.
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.requires_grad_(False)
    unable = checkpointed(model, plan)
    shown = partial(_pixels, device=device, size=size, seed=plan.spec.seed)
    objective = classification(
        _InFormat(model), plan, device, partial(shown, variation=STILL), classes=classes, labels=labels,
        counts=counts if options.balance else None,
    )  # fmt: skip
    objective.warnings += unable + of_random_parts([name for name in fresh if name.partition(".")[0] not in heads])
    pieces = Pieces(
        plan, model, objective, (train, validation), load=load, respondent=Silent(), about={"classes": classes},
        carried={}, finish=partial(write_preprocessor, size),
    )  # fmt: skip
    varied = Variation(options.crop_scale if options.random_crop else None, options.flip, options.colour)
    pieces.train = objective.rows(train, partial(shown, variation=varied))
    return pieces


def build_detector(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model find things in pictures; ``labels`` are their classes, in the order that the data gives them.

    Raises:
        NothingTrained: no picture has a thing in it.
    """
    if not labels:
        raise NothingTrained(", ".join(dataset.uri for dataset in plan.spec.datasets), "no picture has a box")
    options, folder = VisionOptions.model_validate(plan.spec.options), Path(plan.model.path)
    size, classes, fresh = whole_size(folder, options.image_size), list(labels), list[str]()
    load = remembering(partial(load_detector, folder, classes=classes, seed=plan.spec.seed), fresh)
    model = load_base(load, plan, device, keep=fresh)
    stay_alone()
    bear_single_values(model)
    if options.freeze_backbone:
        for part in backbones(model):
            freeze(part)
    unable = checkpointed(model, plan)
    make = partial(BoxedBatches, classes=classes, device=device, size=size, seed=plan.spec.seed)
    objective = Detection(model, make=make, classes=classes)
    heads = ("class", "score", "bbox", "cv3")  # cv3: the classes of YOLOs of ultralytics
    objective.warnings += unable + of_random_parts([name for name in fresh if not any(head in name for head in heads)])

    def finish(result: Path) -> None:
        write_detector_preprocessor(folder, size, model.config.model_type, result)
        if pieces.validation is not None:
            with pieces.answering():
                draw_samples(objective, pieces.validation, size, classes, result / SAMPLES)

    pieces = Pieces(
        plan, model, objective, (train, validation), load=load, respondent=Silent(), about={"classes": classes},
        carried={}, finish=finish,
    )  # fmt: skip
    varied = Variation(options.crop_scale if options.random_crop else None, options.flip, options.colour)
    pieces.train = make(train, variation=varied, passes=plan.spec.recipe.epochs)
    return pieces


def freeze(part: Any) -> None:
    """Leave a part of a model as it is: its weights, and what its layers know of batches they have seen."""
    part.requires_grad_(False)
    part.eval()
    part.train = lambda mode=True: part


class _InFormat:
    """Calls a model with pictures in the number format of its weights, laid out as is quickest for it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layout = layout_of(model)

    def __call__(self, *, pixel_values: torch.Tensor) -> Any:
        dtype = next(inner(self._model).base_model.parameters()).dtype
        return self._model(pixel_values=pixel_values.to(dtype, memory_format=self._layout))


def _pixels(
    rows: TokenRows, chosen: Sequence[int], epoch: int, *, device: torch.device, size: PictureSize,
    variation: Variation, seed: int,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Make what a model sees of pictures in an epoch."""
    assert rows.media is not None
    pictures = [rows.media[row].arrays[0] for row in chosen]
    randoms = [random_for(seed, epoch, row) for row in chosen] if variation != STILL else []
    return {"pixel_values": seen(pictures, size, device, variation, randoms)}


def write_preprocessor(size: PictureSize, folder: Path) -> None:
    """Write how pictures are made ready for the result, so that ``transformers.pipeline`` sees what training saw.

    The processors of some families do more, or read sizes otherwise; those of CLIP and ViT do what is written alone.
    """
    both = {"height": size.height, "width": size.width}
    said = {
        "image_processor_type": "CLIPImageProcessor" if size.crops else "ViTImageProcessor",
        "do_resize": True, "size": {"shortest_edge": size.kept} if size.crops else both, "resample": 2,
        "do_center_crop": size.crops, **({"crop_size": both} if size.crops else {}),
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": list(size.mean), "image_std": list(size.deviation),
    }  # fmt: skip
    (folder / PREPROCESSOR).write_text(json.dumps(said, indent=2))
