"""Models of pictures that answer: what a picture shows, or what is where in it, from its bytes.

A picture is made ready as those that validated the training were: decoded, scaled to what is kept, cut to the middle
where the model sees that (a detector sees the whole, squeezed), and shifted by the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from PIL.Image import Image

from tunesmith.data.media import pictures
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.adapter_layers import refuse_other
from tunesmith.modalities.parts.picture_batches import seen
from tunesmith.modalities.parts.picture_sizes import size_of, whole_size
from tunesmith.spec.errors import Untrained, Where
from tunesmith.training.detection import predictions
from tunesmith.training.loading import load_detector, load_picture_classifier
from tunesmith.training.merge import merged, with_adapter

SENT: Final = Where("the picture", 1)
"""Stands for the row of a picture that comes with a request."""
TOP: Final = 5
"""Classes that an answer names where nobody says how many."""
SURE: Final = 0.5
"""Chance from which a thing is told of where nobody says otherwise."""
PREPROCESSOR: Final = "preprocessor_config.json"


def load_predictor(
    model_dir: Path, *, adapter: Path | None = None, device: str = "cpu", precision: str = "fp32"
) -> ClassPredictor | BoxPredictor:
    """Load a model of pictures, with an adapter merged into it, ready to answer.

    Raises:
        Untrained: the model has no classes.
        AdapterMismatch: the adapter's shapes are not those of the model.
    """
    classes = _classes(model_dir, adapter)
    if not classes:
        raise Untrained((adapter or model_dir).name, "it has no classes that it tells apart")
    finds = _finds(model_dir, adapter)
    load = load_detector if finds else load_picture_classifier
    model = load(model_dir, precision, classes, 0).model
    if adapter is not None:
        refuse_other(model, adapter, model_dir)
        model = merged(with_adapter(model, adapter))
    shown = adapter if adapter is not None and (adapter / PREPROCESSOR).is_file() else model_dir
    return (BoxPredictor if finds else ClassPredictor)(model.to(device).eval(), classes, shown)


class ClassPredictor:
    """Tells classes of pictures apart."""

    def __init__(self, model: Any, classes: list[str], folder: Path) -> None:
        """``folder`` says how pictures are made ready."""
        self.model = model
        self.classes = classes
        self._size = size_of(folder, None)

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width of what the model sees, in pixels."""
        return self._size.height, self._size.width

    def predict(self, content: bytes, *, top_k: int = TOP, name: str = "picture") -> dict[str, Any]:
        """Name the likeliest classes of a picture, best first, with the chance of each.

        Raises:
            UnreadableMedia: the bytes are no picture.
        """
        with torch.inference_mode():
            logits = self.model(pixel_values=self.inputs(content, name)).logits[0].float()
        chances = logits.softmax(-1)
        best = chances.topk(min(top_k, len(self.classes)))
        places, scores = best.indices.tolist(), best.values.tolist()
        return {
            "labels": [
                {"label": self.classes[place], "score": score} for place, score in zip(places, scores, strict=True)
            ]
        }

    def inputs(self, content: bytes, name: str = "picture") -> torch.Tensor:
        """Return what the model sees of a picture, (1, 3, height, width).

        Raises:
            UnreadableMedia: the bytes are no picture.
        """
        picture = pictures.decoded(content, name, SENT)
        pixels = pictures.scaled(picture, self._size.kept).copy()
        found = next(self.model.parameters())
        return seen([pixels], self._size, found.device).to(self.model.dtype)


class BoxPredictor:
    """Finds things in pictures."""

    def __init__(self, model: Any, classes: list[str], folder: Path) -> None:
        """``folder`` says how pictures are made ready."""
        self.model = model
        self.classes = classes
        self._size = whole_size(folder, None)

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width of what the model sees, in pixels."""
        return self._size.height, self._size.width

    def predict(self, content: bytes, *, threshold: float = SURE, name: str = "picture") -> dict[str, Any]:
        """Return the things in a picture whose chance is at least ``threshold``, the surest first.

        A box is left, top, width and height in pixels of the picture as it was sent.

        Raises:
            UnreadableMedia: the bytes are no picture.
        """
        picture = pictures.decoded(content, name, SENT)
        with torch.inference_mode():
            said = self.model(pixel_values=self._pixels(picture))
        size = (picture.height, picture.width)
        [(places, boxes, scores)] = predictions(said.logits, said.pred_boxes, len(self.classes), [size])
        found = zip(places.tolist(), boxes.tolist(), scores.tolist(), strict=True)
        return {
            "boxes": [
                {"label": self.classes[place], "score": score, "box": [round(side, 2) for side in box]}
                for place, box, score in found
                if score >= threshold
            ]
        }

    def inputs(self, content: bytes, name: str = "picture") -> torch.Tensor:
        """Return what the model sees of a picture, (1, 3, height, width).

        Raises:
            UnreadableMedia: the bytes are no picture.
        """
        return self._pixels(pictures.decoded(content, name, SENT))

    def _pixels(self, picture: Image) -> torch.Tensor:
        pixels = pictures.squeezed(picture, self._size.height, self._size.width).copy()
        found = next(self.model.parameters())
        return seen([pixels], self._size, found.device).to(self.model.dtype)


def _finds(model_dir: Path, adapter: Path | None) -> bool:
    """Whether a model finds things, by its own head or by what its adapter was trained for."""
    if adapter is not None and (task := read_json(adapter / "adapter_info.json").get("task")):
        return str(task) == "object-detection"
    return any(name.endswith("ForObjectDetection") for name in _architectures(model_dir))


def _architectures(model_dir: Path) -> list[str]:
    return [str(name) for name in read_json(model_dir / "config.json").get("architectures") or []]


def _classes(model_dir: Path, adapter: Path | None) -> list[str]:
    """Return the classes in the order of the head: of an adapter those that its training wrote down."""
    if adapter is not None:
        return [str(name) for name in read_json(adapter / "adapter_info.json").get("classes") or []]
    if not any(name.endswith(("ForImageClassification", "ForObjectDetection")) for name in _architectures(model_dir)):
        return []
    names = read_json(model_dir / "config.json").get("id2label") or {}
    return [str(names[number]) for number in sorted(names, key=int)]
