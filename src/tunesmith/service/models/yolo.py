"""YOLOs of the package ultralytics by name: whether they can be trained here, and where their weights lie.

The package is an extra of its own (``yolo``), because it is under the AGPL-3.0, and so are its weights. Its files are
pickled; what becomes of one is a folder like any other model's (``worker/ultralytics_file.py``).
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.service.models import hub
from tunesmith.spec.errors import ModelNotFound, TrainedElsewhere

if TYPE_CHECKING:
    from tunesmith.settings import Settings

PACKAGE: Final = "ultralytics"
LICENCE: Final = "AGPL-3.0"
FIRST: Final = 8
"""The oldest version that is trained: those before it have other losses."""
FINDS: Final = "detect"
"""What a YOLO does whose name says nothing of it."""
_NAME: Final = re.compile(
    r"(?:ultralytics/)?(?P<family>yolov?(?P<version>\d+))(?P<size>[a-z]?)(?:-(?P<does>\w+))?(?P<ending>\.pt|\.yaml)?",
    re.IGNORECASE,
)
_WITHOUT: Final = (
    f'YOLOs of the package {PACKAGE} ({LICENCE}) are trained where it is installed: pip install "tunesmith[yolo]"'
)
_INSTEAD: Final = "rt-detr (Apache-2.0), which learns from the same folders, or d-fine, the smallest"


@dataclass(frozen=True)
class Yolo:
    """A YOLO of the package."""

    name: str
    """As its makers call it: yolov8n."""
    untrained: bool
    """Whether it starts from random weights, as its makers' own name for that says: yolov8n.yaml."""

    @property
    def folder(self) -> str:
        """The name of its folder among the models that were pulled."""
        return f"{self.name}.yaml" if self.untrained else self.name

    @property
    def weights(self) -> str:
        """The name of its makers' file of weights."""
        return f"{self.name}.pt"


def yolo_named(source: str) -> Yolo | None:
    """Return the YOLO of the package that a name means, such as yolov8n, yolov8n.pt, yolov8n.yaml or yolo11s.

    Raises:
        TrainedElsewhere: the package is not installed, or the name means one that does something else, or an old one.
    """
    named = _NAME.fullmatch(source)
    if named is None:
        return None
    if not is_installed():
        raise TrainedElsewhere(source, _WITHOUT, _INSTEAD)
    if named["does"] is not None and named["does"].lower() != FINDS:
        raise TrainedElsewhere(source, f"of YOLOs those that find things are trained, not '-{named['does']}'", _INSTEAD)
    if int(named["version"]) < FIRST:
        raise TrainedElsewhere(source, f"of YOLOs version {FIRST} and newer are trained", f"yolov8n, or {_INSTEAD}")
    name = f"{named['family']}{named['size'] or 'n'}".lower()
    return Yolo(name, untrained=(named["ending"] or "").lower() == ".yaml")


def is_installed() -> bool:
    """Whether the package is there; it is not imported on this side."""
    return importlib.util.find_spec(PACKAGE) is not None


def weights_of(yolo: Yolo, settings: Settings) -> Path:
    """Return its makers' file of weights: beside the pulled models, or in the hub's cache.

    Raises:
        ModelNotFound: it is in neither; the message says where to put it.
    """
    own = settings.models_dir / yolo.weights
    cached = hub.cache_dir().glob(f"models--Ultralytics--*/snapshots/*/{yolo.weights}")
    found = next((file for file in (own, *sorted(cached)) if file.is_file()), None)
    if found is None:
        raise ModelNotFound(
            yolo.name,
            f"Put {yolo.weights} ({LICENCE}) into {settings.models_dir}, or name {yolo.name}.yaml to start from random "
            "weights.",
        )
    return found


def card(yolo: Yolo) -> str:
    """Return the README.md of its folder: origin, licence, what was done to it."""
    changes = (
        "none; the weights are random."
        if yolo.untrained
        else f"The weights were taken out of {yolo.weights}, without running what is pickled in it, and stored as "
        "safetensors."
    )
    rows = {
        "Origin": "https://docs.ultralytics.com/models",
        "Licence": f"{LICENCE}, for code and weights (https://ultralytics.com/license)",
        "Changes": changes,
    }
    head = f"---\nlicense: {LICENCE.lower()}\n---\n\n# {yolo.folder}\n\n"
    told = f"Finds objects in images; a YOLO of the package {PACKAGE}, which it needs (extra `yolo`).\n\n"
    return head + told + "".join(f"- {title}: {text}\n" for title, text in rows.items())
