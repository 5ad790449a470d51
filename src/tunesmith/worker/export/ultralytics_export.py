"""A YOLO as the one file that the package ultralytics opens, and that must say there what the model says here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.training.ultralytics_yolo import package
from tunesmith.worker.export.shown_rows import Rows
from tunesmith.worker.ultralytics_file import LICENCE, write_yolo

FILE: Final = "model.pt"
ALLOWED: Final = 1e-5
"""Largest difference of a number from the model's own, as a share of the largest there is."""
PREPROCESSOR: Final = "preprocessor_config.json"


def write_ultralytics(predictor: Any, source: Path, rows: Rows, target: Path) -> dict[str, Any]:
    """Write the file, open it and compare; return the report, with a sentence for each row that differs.

    Raises:
        PackageMissing: the package is not installed.
    """
    write_yolo(predictor.model, max(predictor.seen), target / FILE)
    shutil.copyfile(source / PREPROCESSOR, target / PREPROCESSOR)
    (target / "README.md").write_text(_card(max(predictor.seen)))
    ultralytics = package("ultralytics")
    opened = ultralytics.YOLO(str(target / FILE)).model.float().eval()
    faults, largest = [], 0.0
    for place, row in enumerate(rows.rows, 1):
        pixels = predictor.inputs(row.content).float()
        with torch.inference_mode():
            own, other = predictor.model.detector(pixels)[0], opened(pixels)[0]
        apart = float((own - other).abs().max() / own.abs().max())
        largest = max(largest, apart)
        if not apart <= ALLOWED:
            faults.append(f"row {place}: a number differs by {apart:.2g} of the largest")
    return {
        "opened_by": f"ultralytics {ultralytics.__version__}",
        "largest_difference": largest,
        "shown": {"of": len(rows.rows), "same": len(rows.rows) - len(faults), "source": rows.source},
        "faults": faults,
    }


def _card(size: int) -> str:
    return (
        "---\nlicense: agpl-3.0\n---\n\n# A YOLO for the package ultralytics\n\n"
        f'`ultralytics.YOLO("{FILE}")` opens it. It was trained on pictures squeezed to {size} x {size} pixels, which '
        f"is what `imgsz={size}` makes of square ones; others get a border there instead. Licence: {LICENCE}.\n"
    )
