"""GGUF files of tiny models of each family: llama.cpp computes what transformers computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from require import need
from tiny import make_tiny_model
from tunesmith.spec.errors import NotForGguf
from tunesmith.worker.export.gguf_families import GGUF_FAMILIES
from tunesmith.worker.export.gguf_file import TYPES, Talk, write_gguf
from tunesmith.worker.export.opened import logits_of
from tunesmith.worker.export.replay import Replayed

ROW = Replayed(None, None, "", tuple(range(30, 70)), ())
END = 258
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in GGUF_FAMILIES},
    "gemma2": ("gemma2", {"query_pre_attn_scalar": 8, "sliding_window": 16}),
    "gemma3_text": ("gemma3_text", {"query_pre_attn_scalar": 8, "sliding_window": 16, "num_hidden_layers": 7}),
    "llama, untied": ("llama", {"tie_word_embeddings": False}),
    "llama with biases": ("llama", {"attention_bias": True}),
    "llama 3.1": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            }
        },
    ),
    "llama, stretched": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}}),
    "more rows than tokens": ("qwen3", {"vocabulary": 320}),
}  # fmt: skip


def made(folder: Path, shape: str, **overrides: Any) -> Path:
    """A tiny model whose weights are large enough to matter, biases and norms too."""
    from transformers import AutoModelForCausalLM

    architecture, settings = SHAPES[shape]
    make_tiny_model(folder, architecture=architecture, initializer_range=0.3, **settings, **overrides)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))) * 0.1)
    model.save_pretrained(folder)
    return folder


def opened(folder: Path, file: Path, quantization: str = "f32") -> Iterator[Any]:
    from tunesmith.worker.export.llama_cpp import LlamaCpp

    write_gguf(folder, file, name="tiny", quantization=quantization, talk=Talk(None, END, None, begins=False))
    server = LlamaCpp(file)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def llama_cpp() -> None:
    import importlib.util

    need(importlib.util.find_spec("xllamacpp") is not None, "xllamacpp is not installed")


@pytest.mark.parametrize("shape", SHAPES)
def test_llama_cpp_computes_what_transformers_computes(shape: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = made(tmp_path / "model", shape)
    expected = logits_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), ROW).log_softmax(-1)
    assert expected.std() > 0.5, "the chances differ enough to tell"
    for server in opened(folder, tmp_path / "model.gguf"):
        for one, other in zip(expected, server.chances(ROW), strict=True):
            # llama.cpp takes Gemma's activation from a table of 16-bit numbers.
            torch.testing.assert_close(other.logs, one[other.tokens], rtol=0, atol=1e-2 if "gemma" in shape else 1e-4)
        assert server.ends_at([END])
        assert not server.ends_at([END, 100])


@pytest.mark.parametrize("quantization", TYPES)
def test_fewer_bits_are_smaller_and_still_close(quantization: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = made(tmp_path / "model", "llama", hidden_size=64, intermediate_size=128, head_dim=16)
    expected = logits_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), ROW)
    worst = {"f32": 1e-4, "f16": 0.1, "bf16": 1.0, "q8_0": 3.0}.get(quantization, 10.0)
    for server in opened(folder, tmp_path / "model.gguf", quantization):
        for one, other in zip(expected.log_softmax(-1), server.chances(ROW), strict=True):
            assert (other.logs - one[other.tokens]).abs().max() < worst
    size = (tmp_path / "model.gguf").stat().st_size
    for server in opened(folder, tmp_path / "whole.gguf", "f32"):
        assert (size < (tmp_path / "whole.gguf").stat().st_size) == (quantization != "f32"), server.by


@pytest.mark.parametrize(
    ("architecture", "overrides", "sentence"),
    [
        ("gpt2", {}, "its type 'gpt2' is none of llama"),
        ("llama", {"hidden_act": "relu"}, "computes relu|compute relu"),
        ("gemma2", {"query_pre_attn_scalar": 256}, "scales its attention"),
        ("gemma3_text", {"query_pre_attn_scalar": 8, "layer_types": ["full_attention"] * 2}, "each sixth time"),
        (
            "qwen2",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}},
            "stretches its positions by 'dynamic'",
        ),
    ],
)
def test_what_was_not_compared_is_refused(
    architecture: str, overrides: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder = make_tiny_model(tmp_path / "model", architecture=architecture, **overrides)
    with pytest.raises(NotForGguf, match=sentence):
        write_gguf(folder, tmp_path / "x.gguf", name="x", quantization="f16", talk=Talk(None, END, None, begins=False))
