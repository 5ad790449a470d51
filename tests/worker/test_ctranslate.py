"""A Whisper of CTranslate2 becomes a folder that transformers opens, with the same numbers in it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, WhisperForConditionalGeneration

from made_sounds import make_whisper
from tunesmith.spec.errors import PullFailed
from tunesmith.worker.ctranslate import convert_whisper, read_arrays


def ctranslate_arrays(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """The model's weights by CTranslate2's names, projections joined and keys with a bias of zeros."""
    state = {name.removeprefix("model."): value.numpy() for name, value in model.state_dict().items()}
    found: dict[str, np.ndarray] = {"decoder/embeddings/weight": state["decoder.embed_tokens.weight"]}

    def norm(theirs: str, ours: str) -> None:
        found[f"{theirs}/gamma"], found[f"{theirs}/beta"] = state[f"{ours}.weight"], state[f"{ours}.bias"]

    def linear(theirs: str, *ours: str) -> None:
        weights = [state[f"{name}.weight"] for name in ours]
        biases = [
            state.get(f"{name}.bias", np.zeros(len(w), np.float32)) for name, w in zip(ours, weights, strict=True)
        ]
        found[f"{theirs}/weight"], found[f"{theirs}/bias"] = np.concatenate(weights), np.concatenate(biases)

    for side in ("encoder", "decoder"):
        found[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        found[f"{side}/num_heads"] = np.array(2, np.int16)
        norm(f"{side}/layer_norm", f"{side}.layer_norm")
        theirs, ours = f"{side}/layer_0", f"{side}.layers.0"
        norm(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
        linear(f"{theirs}/self_attention/linear_0", *(f"{ours}.self_attn.{part}_proj" for part in "qkv"))
        linear(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
        if side == "decoder":
            norm(f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
            linear(f"{theirs}/attention/linear_0", f"{ours}.encoder_attn.q_proj")
            linear(f"{theirs}/attention/linear_1", *(f"{ours}.encoder_attn.{part}_proj" for part in "kv"))
            linear(f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
        norm(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
        linear(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
        linear(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    for number in (1, 2):
        linear(f"encoder/conv{number}", f"encoder.conv{number}")
    return found


def write_ctranslate(file: Path, arrays: dict[str, np.ndarray], spec: str = "WhisperSpec") -> None:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", 6), text(spec), struct.pack("<II", 3, len(arrays))]
    for name, array in sorted(arrays.items()):
        kind = {"float16": 4, "int16": 2}[array.dtype.name]
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        parts += [text(name), shape, struct.pack("<BI", kind, array.nbytes), array.tobytes()]
    parts += [struct.pack("<I", 1), text("decoder/projection/weight"), text("decoder/embeddings/weight")]
    file.write_bytes(b"".join(parts))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = make_whisper(tmp_path / "whisper")
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    arrays = {
        name: array if array.dtype == np.int16 else array.astype(np.float16)
        for name, array in ctranslate_arrays(model).items()
    }
    write_ctranslate(folder / "model.bin", arrays)
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [5, 6], "suppress_ids_begin": [7], "lang_ids": []}))
    return folder


def test_every_weight_stays_what_it_was(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "result"
    target.mkdir()
    count = convert_whisper(source, "model.bin", target)
    was = load_weights(source)
    model, info = WhisperForConditionalGeneration.from_pretrained(target, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert count == sum(weight.numel() for weight in model.parameters())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight.half(), was[name].half()), name
    assert model.generation_config.suppress_tokens == [5, 6]
    assert model.generation_config.is_multilingual is False
    processor = AutoProcessor.from_pretrained(target)
    assert processor.tokenizer.decode(processor.tokenizer.encode(" Hi"), skip_special_tokens=True).strip() == "Hi"


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    return weights | {"proj_out.weight": weights["model.decoder.embed_tokens.weight"]}


def test_what_is_no_whisper_is_refused(source: Path, tmp_path: Path) -> None:
    content = (source / "model.bin").read_bytes()
    for name, changed, why in (
        ("cut.bin", content[: len(content) // 2], "damaged"),
        ("other.bin", content.replace(b"WhisperSpec", b"TransformSp"), "not WhisperSpec"),
        ("empty.bin", b"", "damaged"),
    ):
        (source / name).write_bytes(changed)
        with pytest.raises(PullFailed, match=why):
            read_arrays(source / name)
