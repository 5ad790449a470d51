"""Whether an adapter belongs on a model, from the headers of their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tunesmith.modalities.adapter_fit import base_names, check_adapter, shapes
from tunesmith.spec.errors import AdapterMismatch, ModelNotFound, UnreadableFile

LAYER = "model.layers.0.self_attn.q_proj"


def adapter_at(folder: Path, *, inputs: int = 32, outputs: int = 16, layer: str = LAYER, **config: str) -> Path:
    folder.mkdir()
    name = f"base_model.model.{layer}"
    save_file(
        {f"{name}.lora_A.weight": np.zeros((4, inputs)), f"{name}.lora_B.weight": np.zeros((outputs, 4))},
        folder / "adapter_model.safetensors",
    )
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    save_file({f"{LAYER}.weight": np.zeros((16, 32), np.float32)}, folder / "model.safetensors")
    return folder


def test_reads_shapes_without_the_weights(model: Path) -> None:
    assert dict(shapes(model / "model.safetensors")) == {f"{LAYER}.weight": (16, 32)}


def test_accepts_an_adapter_of_the_model(tmp_path: Path, model: Path) -> None:
    check_adapter(adapter_at(tmp_path / "lora"), model)


def test_accepts_weights_that_are_stored_the_other_way_round(tmp_path: Path, model: Path) -> None:
    check_adapter(adapter_at(tmp_path / "lora", inputs=16, outputs=32), model)


@pytest.mark.parametrize("wrong", [{"inputs": 48}, {"outputs": 48}, {"layer": "model.layers.9.self_attn.q_proj"}])
def test_names_both_models_where_they_differ(tmp_path: Path, model: Path, wrong: dict[str, object]) -> None:
    adapter = adapter_at(tmp_path / "lora", base_model_name_or_path="acme/other", **wrong)  # type: ignore[arg-type]
    with pytest.raises(AdapterMismatch, match=r"acme/other.*base"):
        check_adapter(adapter, model)


@pytest.mark.parametrize("kept", [0, 4, 8, 40, -1])
def test_a_copy_that_ended_early_is_one_sentence(tmp_path: Path, model: Path, kept: int) -> None:
    file = adapter_at(tmp_path / "lora") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UnreadableFile, match="is the copy complete"):
        check_adapter(tmp_path / "lora", model)


def test_a_forged_length_of_a_header_is_one_sentence(tmp_path: Path, model: Path) -> None:
    file = adapter_at(tmp_path / "lora") / "adapter_model.safetensors"
    file.write_bytes(b"\xff" * 7 + b"\x7f" + file.read_bytes()[8:])
    with pytest.raises(UnreadableFile, match="header is damaged"):
        check_adapter(tmp_path / "lora", model)


def test_half_an_adapter_of_a_layer_is_named(tmp_path: Path, model: Path) -> None:
    file = adapter_at(tmp_path / "lora") / "adapter_model.safetensors"
    save_file({f"base_model.model.{LAYER}.lora_A.weight": np.zeros((4, 32))}, file)
    with pytest.raises(UnreadableFile, match=f"{LAYER}' is not a pair of matrices"):
        check_adapter(tmp_path / "lora", model)


def test_a_folder_without_an_adapter_says_what_one_holds(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"adapter_config\.json"):
        check_adapter(tmp_path, model)


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    adapter = adapter_at(tmp_path / "lora", base_model_name_or_path="acme/tiny")
    assert base_names(adapter) == ["acme/tiny"]
    info = {"base_model": "smollm2-135m-instruct", "base_model_path": "/models/smollm2"}
    (adapter / "adapter_info.json").write_text(json.dumps(info))
    assert base_names(adapter) == ["smollm2-135m-instruct", "/models/smollm2", "acme/tiny"]
    assert base_names(tmp_path) == []
