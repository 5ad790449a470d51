from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from made_pipelines import write_sd
from tunesmith.modalities.diffusion.predictor import PicturePredictor, load_predictor
from tunesmith.spec.errors import AdapterMismatch, BadValue, ModelNotFound, NotALanguageModel


@pytest.fixture(scope="module")
def predictor(sd: Path) -> PicturePredictor:
    return load_predictor(sd)


def test_the_same_seed_makes_the_same_picture(predictor: PicturePredictor) -> None:
    first, second = predictor.generate("a red circle", steps=2, seed=1, n=2)
    assert predictor.generate("a red circle", steps=2, seed=1) == [first]
    assert predictor.generate("a red circle", steps=2, seed=2) == [second] != [first]


def test_a_picture_has_the_size_that_is_asked_for(predictor: PicturePredictor) -> None:
    [plain] = predictor.generate("a", steps=1)
    [wide] = predictor.generate("a", steps=1, size=(48, 32), negative_prompt="b", guidance=2.0)
    assert [Image.open(io.BytesIO(each)).size for each in (plain, wide)] == [(32, 32), (48, 32)]


@pytest.mark.parametrize("size", [(33, 32), (0, 32), (8192, 32)])
def test_a_size_that_cannot_be_drawn_is_refused(predictor: PicturePredictor, size: tuple[int, int]) -> None:
    with pytest.raises(BadValue, match="multiples of 4, 4096 at most"):
        predictor.generate("a", size=size)


def test_files_of_the_variant_fp16_are_read(tmp_path: Path) -> None:
    folder = write_sd(tmp_path / "half", variant="fp16")
    assert (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    assert load_predictor(folder).generate("a", steps=1)


def test_a_folder_without_an_adapter_is_told(sd: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="holds pytorch_lora_weights"):
        load_predictor(sd, tmp_path)


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotALanguageModel):
        load_predictor(tmp_path)


def test_an_adapter_of_other_sizes_is_told(sd: Path, tmp_path: Path) -> None:
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    weights = {f"{layer}.lora_A.weight": torch.zeros(4, 24), f"{layer}.lora_B.weight": torch.zeros(24, 4)}
    save_file(weights, tmp_path / "pytorch_lora_weights.safetensors")
    with pytest.raises(AdapterMismatch, match="belongs to"):
        load_predictor(sd, tmp_path)
