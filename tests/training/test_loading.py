from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_scenes import make_detector
from tunesmith.spec.errors import NotALanguageModel
from tunesmith.training.loading import load_detector


def test_a_package_that_a_backbone_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import import_utils

    folder = make_detector(tmp_path / "detr", "detr")
    config = json.loads((folder / "config.json").read_text())
    del config["backbone_config"]
    more = {"use_timm_backbone": True, "backbone": "resnet50", "use_pretrained_backbone": False}
    (folder / "config.json").write_text(json.dumps(config | more))
    there = import_utils.BACKENDS_MAPPING["timm"]
    monkeypatch.setitem(import_utils.BACKENDS_MAPPING, "timm", (lambda: False, there[1]))
    with pytest.raises(NotALanguageModel, match="it needs the package timm, which is not installed") as found:
        load_detector(folder, "fp32", ["a", "b"], 0)
    assert len(str(found.value).splitlines()) == 1
