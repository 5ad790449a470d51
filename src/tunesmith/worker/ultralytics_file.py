"""Files of weights of the package ultralytics (``.pt``): read without running what is in them, and written for it.

Such a file is a pickled network. Its classes are replaced by ones that only hold what they are given: even those of the
package are not harmless, as they can be asked to evaluate text when they are made.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.spec.errors import PullFailed, UnreadableFile

if TYPE_CHECKING:
    from torch import Tensor

LICENCE: Final = "AGPL-3.0 (https://ultralytics.com/license)"
SIZE: Final = 640
"""Pixels of a side of the pictures that its makers' weights were trained on."""
PREPROCESSOR: Final = {
    "image_processor_type": "RTDetrImageProcessor",
    "do_resize": True,
    "size": {"height": SIZE, "width": SIZE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
    "do_pad": False,
}
"""Pictures as numbers between 0 and 1, as they are."""
CLASSES: Final = 80
"""Classes of a network that starts at random, until it learns some."""


class Held:
    """Stands for an object of any class in a file: it keeps what it is given, and does nothing."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


def convert_yolo(file: Path, name: str, target: Path) -> int:
    """Write the network of a file as a model folder; return the number of parameters.

    Raises:
        PullFailed: the file holds something else.
        ModelNotFound: the package has no network of this name.
        UnreadableFile: the file holds the weights of another network.
    """
    from tunesmith.training.ultralytics_yolo import YoloConfig, YoloForObjectDetection, take

    classes, weights = read_yolo(file)
    config = YoloConfig(network=name, id2label=dict(enumerate(classes)))
    model = YoloForObjectDetection(config)
    lacking = take(model, {f"detector.{key}": each for key, each in weights.items()}, file)
    if lacking:
        raise UnreadableFile(file, f"it holds no weights of {lacking[0]}")
    return _write(model, target)


def make_yolo(name: str, target: Path) -> int:
    """Write a network with random weights as a model folder; return the number of parameters.

    Raises:
        ModelNotFound: the package has no network of this name.
    """
    from tunesmith.training.ultralytics_yolo import YoloConfig, YoloForObjectDetection

    names = {number: f"class {number}" for number in range(CLASSES)}
    return _write(YoloForObjectDetection(YoloConfig(network=name, untrained=True, id2label=names)), target)


def read_yolo(file: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Return the names of the classes of a file's network, and its weights in 32 bits.

    Raises:
        PullFailed: the file holds something else.
    """
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    try:
        foreign = get_unsafe_globals_in_checkpoint(file)
        with safe_globals([(Held, name) for name in foreign]):
            held = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise PullFailed(file.name, f"it is no file of weights of the package ultralytics ({why[:120]})") from error
    model = (held.get("ema") or held.get("model")) if isinstance(held, dict) else None
    names = getattr(model, "names", None)
    if not isinstance(model, Held) or not isinstance(names, dict | list):
        raise PullFailed(file.name, "it holds no network of the package ultralytics")
    classes = [str(names[number]) for number in sorted(names)] if isinstance(names, dict) else list(map(str, names))
    weights = {name: each.detach() for name, each in _tensors(model, "")}
    return classes, {name: each.float() if each.is_floating_point() else each for name, each in weights.items()}


def _tensors(part: Held, above: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights and buffers of a layer and those below it, by the names that ``state_dict`` gives them."""
    from torch import Tensor

    aside = vars(part).get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
        for name, each in (vars(part).get(kind) or {}).items():
            if isinstance(each, Tensor) and name not in aside:
                yield f"{above}{name}", each
    for name, below in (vars(part).get("_modules") or {}).items():
        if isinstance(below, Held):
            yield from _tensors(below, f"{above}{name}.")


def _write(model: Any, target: Path) -> int:
    model.save_pretrained(target)
    (target / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n")
    return sum(weight.numel() for weight in model.parameters())


def write_yolo(model: Any, size: int, file: Path) -> None:
    """Write a network as ``ultralytics.YOLO`` opens it; ``size`` is the longer side of the pictures that it sees."""
    import copy

    import torch

    from tunesmith.training.ultralytics_yolo import package

    detector = copy.deepcopy(model.detector).float().cpu().eval()
    told = {"task": "detect", "model": f"{model.config.network}.yaml", "imgsz": size}
    detector.args, detector.task = told, "detect"
    for weight in detector.parameters():
        weight.requires_grad_(False)
    torch.save(
        {
            "epoch": -1, "best_fitness": None, "model": detector, "ema": None, "updates": None, "optimizer": None,
            "train_args": told, "train_metrics": {}, "train_results": {}, "date": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": package("ultralytics").__version__, "license": LICENCE, "docs": "https://docs.ultralytics.com",
        },
        file,
    )  # fmt: skip
