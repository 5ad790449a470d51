"""Exports of models of pictures: each is opened as its users open it, and answers as the trained model does."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from made_scenes import make_detector
from tunesmith.modalities.folders import Use
from tunesmith.spec.errors import ParityFailed
from tunesmith.spec.work import Export, ExportRun, ModelFolders
from tunesmith.worker.export import onnx_file
from tunesmith.worker.export.answers import differing
from tunesmith.worker.export.shown import export_shown
from tunesmith.worker.export.shown_rows import rows_of

CLASSES = ["circle", "cross", "square"]
LONG = ["rt_detr", "d_fine"]
"""Detectors of which writing an ONNX file takes most of a minute."""


class Quiet:
    def say(self, body: Any) -> None: ...


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8,
        num_labels=3, id2label=dict(enumerate(CLASSES)),
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter as training leaves it, that changes answers."""
    from peft import LoraConfig, get_peft_model
    from transformers import ViTForImageClassification

    folder = tmp_path_factory.mktemp("lora")
    model = ViTForImageClassification.from_pretrained(base)
    names = [name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    wanted = [name for name in ("query", "q_proj", "value", "v_proj") if name in names]
    made: Any = get_peft_model(model, LoraConfig(r=4, target_modules=wanted, modules_to_save=["classifier"]))
    torch.manual_seed(1)
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    made.save_pretrained(folder)
    info = {"task": "image-classification", "classes": CLASSES, "base_model": str(base)}
    (folder / "adapter_info.json").write_text(json.dumps(info))
    return folder


def exported(what: Export, folders: ModelFolders, target: Path, **given: Any) -> dict[str, Any]:
    target.mkdir()
    request = ExportRun(what=what, source=folders, replay=4, **given)
    return export_shown(request, target, target.parent / "scratch", Quiet())  # type: ignore[arg-type]


def png() -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (32, 32, 3), np.uint8)).save(held, "PNG")
    return held.getvalue()


def test_a_merged_model_is_opened_by_transformers_as_it_is(base: Path, adapter: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    from tunesmith.modalities.vision.predictor import load_predictor

    summary = exported(
        Export.MERGED, ModelFolders(name="it", model=str(base), adapter=str(adapter)), tmp_path / "whole"
    )
    assert summary["parity"]["shown"] == {"of": 4, "same": 4, "source": "made"}
    said = pipeline("image-classification", str(tmp_path / "whole"))(Image.open(io.BytesIO(png())))
    own = load_predictor(base, adapter=adapter).predict(png())["labels"]
    assert {each["label"]: each["score"] for each in said} == pytest.approx(
        {each["label"]: each["score"] for each in own}, abs=5e-3
    )
    assert load_predictor(base).predict(png())["labels"] != own


def test_an_adapter_goes_into_an_archive_with_its_report(base: Path, adapter: Path, tmp_path: Path) -> None:
    import zipfile

    folders = ModelFolders(name="it", model=str(base), adapter=str(adapter))
    exported(Export.ADAPTER, folders, tmp_path / "packed", zip="it.zip")
    names = zipfile.ZipFile(tmp_path / "packed" / "it.zip").namelist()
    assert {"adapter_model.safetensors", "adapter_info.json", "parity.json"} <= set(names)


def test_an_onnx_file_answers_as_the_model_whatever_the_number_of_pictures(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    import onnxruntime

    from tunesmith.modalities.vision.predictor import ClassPredictor, load_predictor

    summary = exported(Export.ONNX, ModelFolders(name="it", model=str(base), adapter=str(adapter)), tmp_path / "onnx")
    assert summary["parity"]["opset"] == onnx_file.OPSET and summary["parity"]["largest_difference"] < 1e-3
    assert json.loads((tmp_path / "onnx" / "config.json").read_text())["id2label"]["0"] == "circle"
    predictor = load_predictor(base, adapter=adapter)
    assert isinstance(predictor, ClassPredictor)
    pixels = predictor.inputs(png()).repeat(3, 1, 1, 1)
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    [found] = session.run(["logits"], {"pixel_values": pixels.numpy()})
    with torch.inference_mode():
        assert np.abs(found - predictor.model(pixel_values=pixels).logits.numpy()).max() < 1e-4


def varied(folder: Path) -> Path:
    """Give a detector weights that tell places apart, and let it look into all: among equals chance decides."""
    from safetensors.torch import load_file, save_file

    file, chance = folder / "model.safetensors", torch.Generator().manual_seed(1)
    weights = load_file(file)
    for weight in weights.values():
        if weight.dim() > 1:
            weight.normal_(std=1.0 / weight[0].numel() ** 0.5, generator=chance)
    save_file(weights, file, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    if "num_queries" in config:
        config["num_queries"] = 64 // 8 * 64 // 8 + 64 // 16 * 64 // 16 + 64 // 32 * 64 // 32
        (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("kind", [*(pytest.param(name, marks=pytest.mark.slow) for name in LONG), "yolos"])
def test_an_onnx_file_of_a_detector_finds_what_the_model_finds(kind: str, tmp_path: Path) -> None:
    import onnxruntime

    model = varied(make_detector(tmp_path / "model", kind))
    summary = exported(Export.ONNX, ModelFolders(name="it", model=str(model)), tmp_path / "onnx")
    assert summary["parity"]["largest_difference"] < 1e-3
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    logits, boxes = session.run(["logits", "pred_boxes"], {"pixel_values": np.zeros((3, 3, 64, 64), np.float32)})
    assert len(logits) == len(boxes) == 3


def test_what_a_detector_finds_may_stand_in_another_order_but_must_be_there() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, boxes = (torch.rand((2, 6, size), generator=generator) for size in (3, 4))
    order = torch.randperm(6, generator=generator)
    assert onnx_file._apart((logits, boxes), (logits[:, order], boxes[:, order]), 2) == 0
    moved = boxes.clone()
    moved[0, logits[0, :, :2].amax(-1).argmax()] += 0.1
    assert onnx_file._apart((logits, boxes), (logits, moved), 2) > 0.05


def test_an_export_that_answers_otherwise_is_refused(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.worker.export import shown

    def write_base(use: Use, base: Path, adapter: Path, target: Path, dtype: str) -> None:
        import shutil

        shutil.copytree(base, target, dirs_exist_ok=True)

    monkeypatch.setattr(shown, "write_whole", write_base)
    folders = ModelFolders(name="it", model=str(base), adapter=str(adapter))
    with pytest.raises(ParityFailed, match="row 1"):
        exported(Export.MERGED, folders, tmp_path / "whole")


def test_rows_are_made_up_where_no_training_is_known() -> None:
    assert rows_of(None, Use("vision", "picture"), 3) == rows_of(None, Use("vision", "picture"), 3)
    assert rows_of(None, Use("audio", "speech"), 1).rows[0].content.startswith(b"RIFF")
    assert not rows_of(None, Use("vision", "picture"), 0).rows


def test_answers_differ_by_their_text_their_class_or_their_scores() -> None:
    sure, other = (
        {"labels": [{"label": "a", "score": score}, {"label": "b", "score": 1 - score}]} for score in (0.9, 0.1)
    )
    assert differing([{"text": "a"}], [{"text": "b"}], exact=True) == ["row 1: it says something else"]
    assert differing([sure], [other], exact=False) == ["row 1: it is 'b' instead of 'a'"]
    assert differing([sure, {"boxes": []}], [sure, {"boxes": []}], exact=True) == []
