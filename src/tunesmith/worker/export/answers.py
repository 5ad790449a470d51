"""What a model of pictures or sounds says of rows, and whether another one says the same."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tunesmith.modalities.folders import Use
from tunesmith.worker.export.shown_rows import Row, Rows

EXACT: Final = 1e-3
ROUNDED: Final = 0.05
"""By how much scores may differ where both compute in 32 bits, and where the weights of one were rounded to 16."""
STEPS: Final = 2
"""Steps of a picture that is drawn to compare pipelines."""
SHADE: Final = 4.0
"""Mean difference of pixels, of 255, that drawn pictures may have."""


def predictor_of(use: Use, folder: Path, adapter: Path | None) -> Any:
    """Load a model as it is served, on the CPU and in 32 bits."""
    module = importlib.import_module(f"tunesmith.modalities.{use.modality}.predictor")
    return module.load_predictor(folder, adapter=adapter, device="cpu", precision="fp32")


def answers(use: Use, predictor: Any, rows: Rows) -> list[Any]:
    """Return what a model says of each row."""
    return [_answer(use, predictor, row) for row in rows.rows]


def _answer(use: Use, predictor: Any, row: Row) -> Any:
    match use.kind:
        case "diffusion":
            return predictor.generate(row.text, steps=STEPS, seed=0)[0]
        case "pair":
            return predictor.predict(row.content, None, candidates=[row.text, "something else"])
        case "talker":
            return predictor.predict(row.content, row.text, max_tokens=16)
        case "detector":
            return predictor.predict(row.content, threshold=0.0)
    return predictor.predict(row.content)


def differing(wanted: Sequence[Any], found: Sequence[Any], *, exact: bool) -> list[str]:
    """Return a sentence for each row that is answered otherwise."""
    allowed = EXACT if exact else ROUNDED
    pairs = enumerate(zip(wanted, found, strict=True), 1)
    return [f"row {place}: {why}" for place, (own, other) in pairs if (why := _difference(own, other, allowed))]


def _difference(own: Any, other: Any, allowed: float) -> str:
    if isinstance(own, bytes):
        shades = np.abs(_pixels(own) - _pixels(other)).mean()
        return f"the pictures differ by {shades:.1f} of 255" if shades > SHADE else ""
    if "text" in own:
        return "" if own["text"] == other["text"] else "it says something else"
    if "boxes" in own:
        return _apart([each["score"] for each in own["boxes"]], [each["score"] for each in other["boxes"]], allowed)
    scores = [{each["label"]: each["score"] for each in said["labels"]} for said in (own, other)]
    first = [max(said, key=lambda label: said[label]) for said in scores]
    if first[0] != first[1] and scores[0][first[0]] - scores[0].get(first[1], 0.0) > 2 * allowed:
        return f"it is '{first[1]}' instead of '{first[0]}'"
    same = scores[0].keys() & scores[1].keys()
    return _apart([scores[0][name] for name in same], [scores[1][name] for name in same], allowed)


def _apart(own: Sequence[float], other: Sequence[float], allowed: float) -> str:
    if len(own) != len(other):
        return f"it finds {len(other)} things instead of {len(own)}"
    most = max((abs(one - two) for one, two in zip(sorted(own), sorted(other), strict=True)), default=0.0)
    return f"a score differs by {most:.3g}" if most > allowed else ""


def _pixels(content: bytes) -> np.ndarray[Any, Any]:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float32)
