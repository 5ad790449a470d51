"""YOLOs of the package ultralytics by name, on a machine with the package and on one without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.models import yolo
from tunesmith.service.models.pull import is_pulled, pull
from tunesmith.service.models.resolve import is_model_name, resolve_model
from tunesmith.service.models.yolo import Yolo, card, weights_of, yolo_named
from tunesmith.settings import Settings
from tunesmith.spec.errors import ModelNotFound, TrainedElsewhere
from tunesmith.spec.job import ModelRef

NAMES = ["yolov8n", "yolov8n.pt", "yolov8n.yaml", "yolo11s", "YOLOv8x-seg.pt", "Ultralytics/YOLOv8"]


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    return Settings(home=home, offline=True)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo, "is_installed", lambda: True)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo, "is_installed", lambda: False)


@pytest.mark.usefixtures("lacking")
@pytest.mark.parametrize("name", NAMES)
def test_without_the_package_the_sentence_says_how_to_get_it_and_what_does_the_same(
    name: str, settings: Settings
) -> None:
    said = r'ultralytics \(AGPL-3.0\).*pip install "tunesmith\[yolo\]".*Take rt-detr \(Apache-2.0\)'
    with pytest.raises(TrainedElsewhere, match=said):
        resolve_model(ModelRef(source=name), settings)
    with pytest.raises(TrainedElsewhere, match=said):
        pull(name, settings, lambda stage, done: None)


@pytest.mark.parametrize("name", ["hustvl/yolos-tiny", "yolos-tiny", "yolo", "my-yolov8n", "yolov8n/best.pt"])
def test_other_names_mean_no_yolo_of_the_package(name: str) -> None:
    assert yolo_named(name) is None


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("yolov8n", "yolov8n"), ("yolov8n.pt", "yolov8n"), ("YOLOv8X.PT", "yolov8x"), ("yolo11s", "yolo11s"),
        ("Ultralytics/YOLOv8", "yolov8n"), ("yolov8n.yaml", "yolov8n.yaml"), ("yolov8m-detect", "yolov8m"),
    ],
)  # fmt: skip
def test_a_name_means_weights_or_a_network_without_any(name: str, folder: str) -> None:
    found = yolo_named(name)
    assert found is not None
    assert (found.folder, found.untrained) == (folder, folder.endswith(".yaml"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "said"), [("yolov8n-seg.pt", "those that find things .* not '-seg'"), ("yolov5s", "version 8 and newer")]
)
def test_what_does_something_else_or_is_old_is_refused(name: str, said: str) -> None:
    with pytest.raises(TrainedElsewhere, match=f"{said}.*rt-detr"):
        yolo_named(name)


@pytest.mark.usefixtures("installed")
def test_weights_that_are_nowhere_are_asked_for_with_their_place(settings: Settings) -> None:
    said = rf"Put yolov8n.pt \(AGPL-3.0\) into {settings.models_dir}, or name yolov8n.yaml to start from random weights"
    with pytest.raises(ModelNotFound, match=said):
        resolve_model(ModelRef(source="yolov8n.pt"), settings)
    assert not settings.models_dir.exists() or not list(settings.models_dir.iterdir())


def test_weights_lie_beside_the_models_or_in_the_cache_of_the_hub(settings: Settings, tmp_path: Path) -> None:
    cached = tmp_path / "hf" / "hub" / "models--Ultralytics--YOLOv8" / "snapshots" / "abc" / "yolov8n.pt"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert weights_of(Yolo("yolov8n", untrained=False), settings) == cached
    settings.models_dir.mkdir(parents=True)
    (settings.models_dir / "yolov8n.pt").touch()
    assert weights_of(Yolo("yolov8n", untrained=False), settings) == settings.models_dir / "yolov8n.pt"


@pytest.mark.usefixtures("installed")
def test_what_was_made_once_is_found_by_its_name(settings: Settings) -> None:
    folder = settings.models_dir / "yolov8n"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for name in ("yolov8n", "yolov8n.pt", "Ultralytics/YOLOv8"):
        assert resolve_model(ModelRef(source=name), settings) == folder
        assert is_pulled(name, settings)
    assert not is_pulled("yolov8n.yaml", settings)


@pytest.mark.usefixtures("installed")
def test_a_job_may_name_it(settings: Settings) -> None:
    assert is_model_name("yolov8n.pt", settings) and is_model_name("yolo11s", settings)


@pytest.mark.parametrize("untrained", [True, False])
def test_its_card_names_the_licence(untrained: bool) -> None:
    text = card(Yolo("yolov8n", untrained=untrained))
    assert text.startswith("---\nlicense: agpl-3.0\n---\n")
    assert ("the weights are random" in text) is untrained
