"""``tunesmith predict``: files are shown to a model, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tunesmith.cli.main import main

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    for name in ("a.png", "b.png"):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return [str(tmp_path / name) for name in ("a.png", "b.png")]


@pytest.fixture
def model(tmp_path: Path) -> str:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label={0: "circle", 1: "cross"}, num_labels=2,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path / "shapes")
    return str(tmp_path / "shapes")


def test_a_folder_says_what_pictures_show(model: str, pictures: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", model, *pictures, "--json", "--top-k", "1"]) == 0
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [each["file"] for each in said] == pictures
    assert {each["labels"][0]["label"] for each in said} <= {"circle", "cross"}


@pytest.mark.parametrize(
    ("typed", "status", "word"),
    [(["nowhere", "{a}"], 78, "nowhere"), (["{model}", "nothing.png"], 65, "nothing.png"), (["{model}"], 2, "FILE")],
)
def test_what_is_not_there_is_said_before_anything_is_loaded(
    model: str, pictures: list[str], capfd: pytest.CaptureFixture[str], typed: list[str], status: int, word: str
) -> None:
    assert main(["predict", *(part.format(model=model, a=pictures[0]) for part in typed)]) == status
    assert word in capfd.readouterr().err


def test_a_folder_of_pictures_is_not_said_to_be_missing(
    model: str, pictures: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", model, pictures[0], str(tmp_path)]) == 65
    said = capfd.readouterr()
    assert "it is a folder, whose files are to be named" in said.err and not said.out


def test_a_model_of_text_says_where_it_is_asked(
    tiny_model: Path, pictures: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(tiny_model), pictures[0]]) == 78
    assert "tunesmith generate" in capfd.readouterr().err


def test_a_model_of_pictures_neither_generates_nor_chats(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", model, "--prompt", "Hello"]) == 78
    assert "tunesmith predict" in capfd.readouterr().err
