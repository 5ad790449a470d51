"""What can be refused of an export is refused before its run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.service.jobs.work_folders import export_run
from tunesmith.settings import Settings
from tunesmith.spec.errors import NothingToExport
from tunesmith.spec.work import Export, ExportSpec


def detector(folder: Path, model_type: str, architecture: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, "architectures": [architecture]}))
    return folder


@pytest.mark.parametrize(
    ("model_type", "architecture", "what", "said"),
    [
        ("rt_detr", "RTDetrForObjectDetection", Export.ULTRALYTICS, "no YOLO of the package ultralytics"),
        ("llama", "LlamaForCausalLM", Export.ULTRALYTICS, "no YOLO of the package ultralytics"),
        ("ultralytics_yolo", "YoloForObjectDetection", Export.ONNX, "then `yolo export`"),
    ],
)
def test_what_belongs_to_a_package_is_left_to_it_and_kept_to_its_models(
    model_type: str, architecture: str, what: Export, said: str, tmp_path: Path, home: Path
) -> None:
    folder = detector(tmp_path / "model", model_type, architecture)
    with pytest.raises(NothingToExport, match=said):
        export_run(ExportSpec(what=what, source=str(folder)), Settings(home=home), tmp_path / "out")


def test_a_yolo_is_written_for_its_package(tmp_path: Path, home: Path) -> None:
    folder = detector(tmp_path / "model", "ultralytics_yolo", "YoloForObjectDetection")
    asked = export_run(ExportSpec(what=Export.ULTRALYTICS, source=str(folder)), Settings(home=home), tmp_path / "out")
    assert (asked.what, asked.source.model) == (Export.ULTRALYTICS, str(folder))
