"""YOLOs of the package ultralytics, seen as detectors of transformers are: pictures and boxes in, a loss or finds out.

The package is an extra (AGPL-3.0): it is imported when such a model is made, is kept off the network, and gives the
layers and the loss, with its own gains. Data, steps and precision are those of every other detector here.
"""

from __future__ import annotations

import atexit
import copy
import importlib
import importlib.metadata
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from tunesmith.spec.errors import ModelNotFound, PackageMissing, UnreadableFile
from tunesmith.training.detection import MOST
from tunesmith.training.loading import YOLO, Fresh
from tunesmith.training.precision import DTYPES

NETWORK: Final = re.compile(r"(yolov?\d+)([a-z])")
"""Names of networks, such as yolov8n: a file of the package, and one of the scales in it."""
LEAST: Final = 0.001
"""Score from which a find is kept, as the package has it where precision is measured."""
OVERLAP: Final = 0.7
"""Overlap from which the less sure one of two finds of a class is a double; the package's own."""
WEIGHED: Final = 30_000
"""Finds of a picture that are looked at, at most, the surest first; the package's own."""
WEIGHTS: Final = "model.safetensors"
NO_TORCHVISION: Final = "0.0.0"
"""What the package is told of a torchvision that is not there."""
EVERYTHING: Final = "any weights that are trained"
"""What the files of a network lack that starts at random."""


class YoloConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What ``config.json`` says: which network, and the names of its classes."""

    model_type = YOLO
    network: str = "yolov8n"
    untrained: bool = False
    """Whether the weights beside it are not to be read, but drawn from the seed of the run."""


@dataclass(frozen=True)
class Found:
    """What a network says of pictures, in the terms of the detectors of transformers."""

    loss: Tensor | None
    logits: Tensor | None
    """(pictures, finds, classes): of each find one class, the others are ruled out (minus infinity)."""
    pred_boxes: Tensor | None
    """(pictures, finds, 4): middles and sides as shares of the picture."""


class YoloForObjectDetection(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A network of the package."""

    config_class = YoloConfig
    base_model_prefix = "detector"
    main_input_name = "pixel_values"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.detector = network(config.network, list(config.id2label.values()))
        self._criterion: tuple[torch.device, Any] | None = None
        self._course = 0.0
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, folder: str | Path, *, dtype: torch.dtype = torch.float32, output_loading_info: bool = False, **_: Any
    ) -> Any:
        """Load a network from a folder, as the models of transformers are loaded.

        They are made without memory first, which the package's layers do not bear.

        Raises: as ``load_yolo``.
        """
        config: Any = YoloConfig.from_pretrained(folder, local_files_only=True)
        model: Any = cls(config)
        weights = load_file(Path(folder) / WEIGHTS)
        take(model, weights, Path(folder) / WEIGHTS)
        model.to(dtype)
        lacking = [name for name in model.state_dict() if name not in weights]
        return (model, {"missing_keys": lacking}) if output_loading_info else model

    def _init_weights(self, module: nn.Module) -> None:
        """Leave them as the package makes them."""

    def backbones(self) -> Iterator[nn.Module]:
        """Yield what makes features of pictures, below what finds things in them."""
        yield from self.detector.model[: len(self.detector.yaml["backbone"])]

    def go_to(self, course: float) -> None:
        """Weigh the two heads of a network that has two as the package does after this share of the passes."""
        self._course = course

    def forward(self, pixel_values: Tensor, labels: Sequence[Mapping[str, Tensor]] | None = None) -> Found:
        """Return the loss where ``labels`` are given, and, unless it is in training, what is found."""
        head = self.detector.model[-1]
        head.stride = head.stride.to(pixel_values.device)  # No buffer: who moves weights and buffers leaves it behind.
        said = self.detector(pixel_values)
        loss = None if labels is None else self._loss(said, pixel_values, labels)
        if self.training:
            return Found(loss, None, None)
        answers = said[0].detach()
        finds = [_listed(each) if self.detector.end2end else _without_doubles(each.transpose(0, 1)) for each in answers]
        return Found(loss, *_padded(finds, len(self.detector.names), pixel_values))

    def _loss(self, said: Any, pixels: Tensor, labels: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Return the package's own loss, over the pictures of the batch."""
        if self._criterion is None or self._criterion[0] != pixels.device:
            self._criterion = pixels.device, self.detector.init_criterion()
        criterion = self._criterion[1]
        if hasattr(criterion, "update"):  # It counts passes of its own, of which there are as many as are configured.
            criterion.updates = self._course * (self.detector.args.epochs - 1) - 1
            criterion.update()
        batch = {
            "img": pixels,
            "batch_idx": torch.cat([each["class_labels"].new_full((len(each["boxes"]),), place).float()
                                    for place, each in enumerate(labels)]),
            "cls": torch.cat([each["class_labels"] for each in labels]).float().view(-1, 1),
            "bboxes": torch.cat([each["boxes"] for each in labels]).to(pixels.dtype),
        }  # fmt: skip
        parts: Tensor = criterion(said, batch)[0]
        return parts.sum() / len(pixels)


def load_yolo(folder: Path, precision: str, classes: Sequence[str], seed: int) -> Fresh:
    """Load a network from a folder; heads for other classes are left aside.

    Raises:
        ModelNotFound: the folder names no network of the package.
        UnreadableFile: it holds the weights of another.
        PackageMissing: the package is not installed.
    """
    torch.manual_seed(seed)
    config: Any = YoloConfig.from_pretrained(folder, local_files_only=True)
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: place for place, name in enumerate(classes)}
    untrained, config.untrained = config.untrained, False
    model: Any = YoloForObjectDetection(config)
    parts = [EVERYTHING] if untrained else take(model, load_file(folder / WEIGHTS), folder / WEIGHTS)
    return Fresh(model.to(DTYPES[precision]), parts)


def take(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> list[str]:
    """Give a model the weights that fit it; return the layers that got none.

    Raises:
        UnreadableFile: the weights are those of another network.
    """
    own = model.state_dict()
    fitting = {name: each for name, each in weights.items() if name in own and each.shape == own[name].shape}
    lacking = sorted({name.rpartition(".")[0] for name in own.keys() - fitting.keys()})
    other = sorted(weights.keys() - own.keys())
    if other or len(lacking) > len(own) // 4:
        raise UnreadableFile(source, f"its weights are those of another network ({(other or lacking)[0]})")
    model.load_state_dict(fitting, strict=False)
    return lacking


def network(name: str, classes: Sequence[str]) -> Any:
    """Make a network of the package with weights at random.

    Raises:
        ModelNotFound: the package has no network of this name.
        PackageMissing: the package is not installed.
    """
    made = package("ultralytics.nn.tasks").DetectionModel(layers_of(name), nc=len(classes), verbose=False)
    made.args = copy.deepcopy(package("ultralytics.utils").DEFAULT_CFG)
    made.names = dict(enumerate(classes))
    return made


def layers_of(name: str) -> dict[str, Any]:
    """Return the layers of a network from the package's own file for it: such a file can name code that is run.

    Raises:
        ModelNotFound: the package has no network of this name.
        PackageMissing: the package is not installed.
    """
    ultralytics, named = package("ultralytics"), NETWORK.fullmatch(name)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    names = (name, named[1]) if named else ()
    file = next((file for each in names for file in folder.rglob(f"{each}.yaml")), None)
    layers: dict[str, Any] = yaml.safe_load(file.read_text()) if file else {}
    if named is None or not layers or named[2] not in layers.get("scales", [named[2]]):
        raise ModelNotFound(name, f"ultralytics {ultralytics.__version__} has no network of this name.")
    return layers | {"scale": named[2], "yaml_file": f"{name}.yaml"}


def package(name: str) -> Any:
    """Import the package, or a part of it; it asks nothing of the network, installs nothing and tells nobody.

    Raises:
        PackageMissing: it is not installed.
    """
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:  # It writes settings when it is imported: not among the user's own.
        os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="ultralytics-")
        atexit.register(shutil.rmtree, os.environ["YOLO_CONFIG_DIR"], ignore_errors=True)
    try:
        with _without_torchvision():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise PackageMissing(error.name or name, "yolo") from error


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Let the package be imported where there is no torchvision, of which nothing here needs more than that it asks.

    It wants to know the version. A torchvision that does not fit torch is worse than none: transformers then fails too.
    """
    known = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return known(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "torchvision":
                raise
            return NO_TORCHVISION

    importlib.metadata.version = version
    try:
        yield
    finally:
        importlib.metadata.version = known


Finds = tuple[Tensor, Tensor, Tensor]
"""Corners in pixels, (finds, 4); scores and classes, (finds,)."""


def _listed(answer: Tensor) -> Finds:
    """Return what a network without doubles says, (finds, 6)."""
    answer = answer[answer[:, 4] > LEAST][:MOST]
    return answer[:, :4].float(), answer[:, 4].float(), answer[:, 5].long()


def _without_doubles(answer: Tensor) -> Finds:
    """Return the surest finds of (places, 4 + classes), without those that overlap a surer one of their class."""
    middle, sides, scores = answer[:, :2].float(), answer[:, 2:4].float(), answer[:, 4:].float()
    places, classes = (scores > LEAST).nonzero(as_tuple=True)
    order = scores[places, classes].argsort(descending=True, stable=True)[:WEIGHED]
    places, classes = places[order], classes[order]
    corners = torch.cat([middle - sides / 2, middle + sides / 2], 1)[places]
    left = torch.arange(len(places), device=answer.device)
    kept: list[Tensor] = []
    while len(left) and len(kept) < MOST:
        first, left = left[0], left[1:]
        kept.append(first)
        double = (overlaps(corners[first], corners[left]) > OVERLAP) & (classes[left] == classes[first])
        left = left[~double]
    chosen = torch.stack(kept) if kept else left
    return corners[chosen], scores[places[chosen], classes[chosen]], classes[chosen]


def overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Return what share of both together a box has in common with each of (boxes, 4); all are corners."""
    common = (torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return common / (areas - common).clamp(min=1e-9)


def _padded(finds: Sequence[Finds], classes: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and boxes of all pictures; what fills shorter lists up is ruled out."""
    most = max(1, *(len(scores) for _, scores, _ in finds))
    logits = torch.full((len(finds), most, classes), -torch.inf, device=pixels.device)
    boxes = torch.zeros((len(finds), most, 4), device=pixels.device)
    height, width = pixels.shape[2:]
    across = torch.tensor([width, height] * 2, dtype=torch.float32, device=pixels.device)
    for row, (corners, scores, labels) in enumerate(finds):
        logits[row, torch.arange(len(scores)), labels] = torch.logit(scores, eps=1e-7)
        shares = (corners / across).clamp(0, 1)
        boxes[row, : len(scores)] = torch.cat([(shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]], 1)
    return logits, boxes
