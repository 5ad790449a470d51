"""A model of pictures as one ONNX file, which ONNX Runtime opens and which must answer as the model does.

Written by torch's exporter that traces with torch.export; it needs onnx and onnxscript, and the comparison
onnxruntime. The number of pictures is open; their size is the one that the model was trained at.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from tunesmith.modalities.folders import Use
from tunesmith.spec.errors import PackageMissing
from tunesmith.worker.export.shown_rows import Rows
from tunesmith.worker.export.whole import MADE_READY

FILE: Final = "model.onnx"
OPSET: Final = 20
"""Version of ONNX's operators that the file is written in."""
ALLOWED: Final = 1e-3
"""Largest difference of a number from the model's own, as a share of the largest there is."""
OUTPUTS: Final = {"picture": ("logits",), "detector": ("logits", "pred_boxes")}


class _Named(nn.Module):
    """A model that returns what it says as a tuple."""

    def __init__(self, model: Any, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self._outputs = outputs

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in their order."""
        said = self.model(pixel_values=pixel_values)
        return tuple(getattr(said, name) for name in self._outputs)


def write_onnx(predictor: Any, use: Use, source: Path, rows: Rows, target: Path) -> dict[str, Any]:
    """Write the file and compare it; return the report, with a sentence for each row that differs.

    Raises:
        PackageMissing: onnx, onnxscript or onnxruntime is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            raise PackageMissing(package, "onnx") from error
    outputs = OUTPUTS[use.kind]
    model = _Named(predictor.model.float().eval(), outputs).eval()
    sample = torch.cat([_shape_of(predictor), _shape_of(predictor)])
    _write(model, sample, outputs, target / FILE)
    predictor.model.config.save_pretrained(target)
    for name in MADE_READY:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    (target / "README.md").write_text(_card(outputs, sample))
    return _compared(model, predictor, rows, outputs, target / FILE)


def _shape_of(predictor: Any) -> Tensor:
    height, width = predictor.seen
    return torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(0))


def _write(model: nn.Module, sample: Tensor, outputs: tuple[str, ...], file: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of torchvision, which nothing here needs
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # Traced without its bytecode (not strict), RT-DETR is bound to the number of pictures that it is shown here.
        captured = torch.export.export(
            model, (sample,), dynamic_shapes=({0: torch.export.Dim("pictures")},), strict=True
        )
        program = torch.onnx.export(
            captured, dynamo=True, opset_version=OPSET, input_names=["pixel_values"], output_names=list(outputs),
            verbose=False,
        )  # fmt: skip
        assert program is not None
        program.save(str(file), external_data=False)


def _compared(model: nn.Module, predictor: Any, rows: Rows, outputs: tuple[str, ...], file: Path) -> dict[str, Any]:
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    faults, largest = [], 0.0
    for place, row in enumerate(rows.rows, 1):
        pixels = predictor.inputs(row.content).float()
        with torch.inference_mode():
            own = model(pixels)
        other = [torch.from_numpy(each) for each in session.run(list(outputs), {"pixel_values": pixels.numpy()})]
        apart = _apart(own, other, predictor.model.config.num_labels)
        largest = max(largest, apart)
        if not apart <= ALLOWED:
            faults.append(f"row {place}: a number differs by {apart:.2g} of the largest")
    return {
        "opened_by": f"ONNX Runtime {onnxruntime.__version__}",
        "opset": OPSET,
        "largest_difference": largest,
        "shown": {"of": len(rows.rows), "same": len(rows.rows) - len(faults), "source": rows.source},
        "faults": faults,
    }


def _apart(own: Sequence[Tensor], other: Sequence[Tensor], classes: int) -> float:
    """Return the largest difference of a number, as a share of the largest there is.

    Of what a detector finds, the likelier half is looked for wherever it stands: which of equally unlikely places are
    looked into, and in which order, is decided by the last bits. DETR's logits beyond the ``classes`` say "nothing".
    """
    if len(own) == 1:
        return float((own[0] - other[0]).abs().max() / own[0].abs().max())
    one, two = (
        torch.cat([each / mine.abs().max() for each, mine in zip(found, own, strict=True)], -1).flatten(0, 1)
        for found in (own, other)
    )
    likelier = own[0][..., :classes].amax(-1).flatten().argsort(descending=True)[: (len(one) + 1) // 2]
    return float(torch.cdist(one[likelier], two, p=torch.inf).amin(1).max())


def _card(outputs: tuple[str, ...], sample: Tensor) -> str:
    height, width = sample.shape[2:]
    return (
        "# A model of pictures for ONNX Runtime\n\n"
        f"`{FILE}` (opset {OPSET}) takes `pixel_values`, (pictures, 3, {height}, {width}) in 32 bits, made ready as "
        f"`preprocessor_config.json` says, and gives {' and '.join(f'`{name}`' for name in outputs)}. `id2label` of "
        "`config.json` names the classes.\n"
    )
