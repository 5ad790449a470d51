"""ADD A FAMILY TO THE GGUF EXPORT HERE: its name in llama.cpp, its numbers, what happens to its weights.

A row may stand here only with a test that loads a tiny model of the family in llama.cpp and finds the logits of
transformers (``tests/worker/export/test_gguf_file.py``). The names of the numbers are those of
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.spec.errors import NotForGguf


@dataclass(frozen=True)
class GgufFamily:
    """How models of one ``model_type`` are written."""

    arch: str
    """llama.cpp's name of the architecture, a key of ``gguf.MODEL_ARCH_NAMES``."""
    activation: tuple[str, ...]
    """What its feed-forward layers may compute; llama.cpp knows no other for the architecture."""
    interleaved: bool = False
    """Whether llama.cpp turns neighbouring numbers of a head (Llama's own order), so that q and k are reordered."""
    norm_plus_one: bool = False
    """Whether a norm multiplies by one more than its weight (Gemma); llama.cpp wants the sum."""
    numbers: Callable[[Any, Any], None] = lambda writer, config: None
    """Writes what this family has beside the numbers of all."""
    window: bool = False
    """Whether llama.cpp computes the family's sliding window."""


def _gemma2(writer: Any, config: Any) -> None:
    if config.query_pre_attn_scalar != config.head_dim:
        raise NotForGguf("it scales its attention in a way that llama.cpp knows of larger Gemma 2 models only")
    writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_sliding_window(config.sliding_window)


def _gemma3(writer: Any, config: Any) -> None:
    if config.query_pre_attn_scalar != config.head_dim:
        raise NotForGguf("it scales its attention in a way that llama.cpp knows of larger Gemma 3 models only")
    every = [place % 6 == 5 for place in range(config.num_hidden_layers)]
    if [kind == "full_attention" for kind in config.layer_types] != every:
        raise NotForGguf("its layers do not look at everything each sixth time, as llama.cpp takes for granted")
    writer.add_sliding_window(config.sliding_window)


def _phi3(writer: Any, config: Any) -> None:
    if config.sliding_window:
        writer.add_sliding_window(config.sliding_window)


_SILU: Final = ("silu", "swish")
_TANH: Final = ("gelu_pytorch_tanh",)
GGUF_FAMILIES: Final = {
    "llama": GgufFamily("llama", _SILU, interleaved=True),
    "mistral": GgufFamily("llama", _SILU, interleaved=True),
    "qwen2": GgufFamily("qwen2", _SILU),
    "qwen3": GgufFamily("qwen3", _SILU),
    "gemma": GgufFamily("gemma", (*_TANH, "gelu"), norm_plus_one=True),
    "gemma2": GgufFamily("gemma2", _TANH, norm_plus_one=True, numbers=_gemma2, window=True),
    "gemma3_text": GgufFamily("gemma3", _TANH, norm_plus_one=True, numbers=_gemma3, window=True),
    "phi3": GgufFamily("phi3", _SILU, numbers=_phi3, window=True),
}
"""By the ``model_type`` of ``config.json``."""


def gguf_family(config: Any) -> GgufFamily:
    """Return how a model of this configuration is written.

    Raises:
        NotForGguf: it is of a family, or has a part, that was not compared with llama.cpp.
    """
    family = GGUF_FAMILIES.get(config.model_type)
    if family is None:
        raise NotForGguf(f"its type {config.model_type!r} is none of {', '.join(GGUF_FAMILIES)}")
    activation = getattr(config, "hidden_activation", None) or config.hidden_act
    if activation not in family.activation:
        raise NotForGguf(f"its layers compute {activation}, which llama.cpp does not for {config.model_type}")
    if not any(str(name).endswith("ForCausalLM") for name in config.architectures or ["ForCausalLM"]):
        raise NotForGguf(f"{config.architectures[0]} writes no text")
    return family


def write_numbers(writer: Any, config: Any, family: GgufFamily) -> None:
    """Write what llama.cpp must know of the model to compute with its weights.

    Raises:
        NotForGguf: it has something that llama.cpp does not compute.
    """
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(_context(config, family))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads or heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _rope(writer, config, size)
    family.numbers(writer, config)


def _context(config: Any, family: GgufFamily) -> int:
    """Return the positions that are computed as in training: no more than a window that llama.cpp leaves out."""
    seen = int(config.max_position_embeddings)
    window = getattr(config, "sliding_window", None)
    return seen if family.window or not window else min(seen, int(window))


def _rope(writer: Any, config: Any, size: int) -> None:
    """Write how positions turn the heads; layers that see a window may have their own base (Gemma 3)."""
    rope = config.rope_parameters
    near = rope.get("sliding_attention")
    rope = rope.get("full_attention", rope)
    if near is not None:
        writer.add_rope_freq_base_swa(float(near["rope_theta"]))
        _refuse_scaled(near)
    share = float(rope.get("partial_rotary_factor") or 1.0)
    writer.add_rope_dimension_count(int(size * share))
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if rope["rope_type"] == "linear":
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif rope["rope_type"] != "llama3":
        _refuse_scaled(rope)


def _refuse_scaled(rope: dict[str, Any]) -> None:
    if rope["rope_type"] != "default":
        raise NotForGguf(f"it stretches its positions by {rope['rope_type']!r}, which is not written here")


def frequency_factors(config: Any) -> Tensor | None:
    """Return what each frequency of a Llama 3.1 model is divided by, (head size / 2); None for other models.

    The formula is that of Meta's ``apply_scaling`` (https://github.com/meta-llama/llama-models).
    """
    rope = config.rope_parameters
    if rope.get("rope_type") != "llama3":
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    low, high, factor = (float(rope[name]) for name in ("low_freq_factor", "high_freq_factor", "factor"))
    length = float(rope["original_max_position_embeddings"])
    wave = 2 * math.pi * float(rope["rope_theta"]) ** (torch.arange(0, size, 2, dtype=torch.float64) / size)
    smooth = ((length / wave - low) / (high - low)).clamp(0, 1)
    found: Tensor = 1 / ((1 - smooth) / factor + smooth)
    return found.float()


def as_llama_cpp(name: str, weight: Tensor, config: Any, family: GgufFamily) -> Tensor:
    """Return a weight as llama.cpp wants it: q and k in its order of a head's numbers, Gemma's norms with their one."""
    if family.norm_plus_one and name.endswith("norm.weight"):
        return weight + 1
    if family.interleaved and ".q_proj." in name:
        return _neighbours(weight, config.num_attention_heads)
    if family.interleaved and ".k_proj." in name:
        return _neighbours(weight, config.num_key_value_heads or config.num_attention_heads)
    return weight


def _neighbours(weight: Tensor, heads: int) -> Tensor:
    """Bring the two numbers side by side that a position turns together; transformers keeps them half a head apart."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)
