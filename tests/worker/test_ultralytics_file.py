"""A pickled network is read without its classes, and nothing in it is run."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.spec.errors import PullFailed
from tunesmith.worker.ultralytics_file import read_yolo

MODULE = "ultralytics.nn.tasks"


class Network(nn.Module):
    """Stands for a class of the package, by whose name it is pickled."""

    def __init__(self, names: Any) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.SiLU())
        self.register_buffer("aside", torch.zeros(2), persistent=False)
        self.names = names
        self.chosen = {1, 2}


Network.__module__, Network.__qualname__ = MODULE, "Network"


@pytest.fixture
def package() -> Iterator[None]:
    """Lets such networks be pickled; afterwards nothing of that name can be imported."""
    own = {name: sys.modules.get(name) for name in ("ultralytics", "ultralytics.nn", MODULE)}
    for name in own:
        sys.modules[name] = ModuleType(name)
    vars(sys.modules[MODULE])["Network"] = Network
    yield
    for name, module in own.items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module


def stored(folder: Path, held: Any) -> Path:
    torch.save(held, folder / "yolov8n.pt")
    return folder / "yolov8n.pt"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("names", [{0: "circle", 1: "square"}, ["circle", "square"]])
def test_names_and_weights_are_those_of_the_network(names: Any, tmp_path: Path) -> None:
    network = Network(names).half()
    file = stored(tmp_path, {"model": network, "ema": None, "train_args": {"imgsz": 640}})
    vars(sys.modules[MODULE]).clear()
    classes, weights = read_yolo(file)
    assert classes == ["circle", "square"]
    assert weights.keys() == network.state_dict().keys()
    for name, each in network.state_dict().items():
        assert torch.equal(weights[name], each.float() if each.is_floating_point() else each)


@pytest.mark.usefixtures("package")
def test_averaged_weights_come_first(tmp_path: Path) -> None:
    first, second = Network(["circle"]), Network(["circle"])
    _, weights = read_yolo(stored(tmp_path, {"model": first, "ema": second}))
    assert torch.equal(weights["model.0.weight"], second.model[0].weight)


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, function: Any, place: Path) -> None:
        self._does = function, (str(place),)

    def __reduce__(self) -> Any:
        return self._does


@pytest.mark.parametrize("function", [os.mkdir, os.system, Path])
def test_what_a_file_calls_is_not_called(function: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = stored(tmp_path, {"model": Evil(function, mark)})
    with pytest.raises(PullFailed, match=r"yolov8n.pt"):
        read_yolo(file)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"model": 1}), b"PK\x03\x04" + bytes(100)])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "yolov8n.pt").write_bytes(content)
    with pytest.raises(PullFailed, match="package ultralytics"):
        read_yolo(tmp_path / "yolov8n.pt")


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="holds no network"):
        read_yolo(stored(tmp_path, {"model": {"model.0.weight": torch.zeros(1)}}))
