"""Models of pictures that answer: what a picture shows, from its bytes.

A picture is made ready as those that validated the training were: decoded, scaled to what is kept, cut to the middle
where the model sees that, and shifted by the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.data.media import pictures
from tunesmith.modalities.adapter_fit import check_adapter
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.picture_batches import seen
from tunesmith.modalities.parts.picture_sizes import size_of
from tunesmith.spec.errors import Untrained, Where
from tunesmith.training.loading import load_picture_classifier
from tunesmith.training.merge import merged, with_adapter

SENT: Final = Where("the picture", 1)
"""Stands for the row of a picture that comes with a request."""
TOP: Final = 5
"""Classes that an answer names where nobody says how many."""
PREPROCESSOR: Final = "preprocessor_config.json"


def load_predictor(
    model_dir: Path, *, adapter: Path | None = None, device: str = "cpu", precision: str = "fp32"
) -> ClassPredictor:
    """Load a classifier of pictures, with an adapter merged into it, ready to answer.

    Raises:
        Untrained: the model has no classes.
        AdapterMismatch: the adapter's shapes are not those of the model.
    """
    classes = _classes(model_dir, adapter)
    if not classes:
        raise Untrained((adapter or model_dir).name, "it has no classes that it tells apart")
    model = load_picture_classifier(model_dir, precision, classes, 0).model
    if adapter is not None:
        check_adapter(adapter, model_dir)
        model = merged(with_adapter(model, adapter))
    shown = adapter if adapter is not None and (adapter / PREPROCESSOR).is_file() else model_dir
    return ClassPredictor(model.to(device).eval(), classes, shown)


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


def _classes(model_dir: Path, adapter: Path | None) -> list[str]:
    """Return the classes in the order of the head: of an adapter those that its training wrote down."""
    if adapter is not None:
        return [str(name) for name in read_json(adapter / "adapter_info.json").get("classes") or []]
    config = read_json(model_dir / "config.json")
    if not any(str(name).endswith("ForImageClassification") for name in config.get("architectures") or []):
        return []
    names = config.get("id2label") or {}
    return [str(names[number]) for number in sorted(names, key=int)]
