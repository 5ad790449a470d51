"""A model folder as one GGUF file: written tensor by tensor, so that no more than one is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from tunesmith.modalities.chat_template import special_tokens
from tunesmith.spec.errors import NotForGguf
from tunesmith.spec.work import Quantization
from tunesmith.worker.export.gguf_families import (
    GgufFamily,
    as_llama_cpp,
    frequency_factors,
    gguf_family,
    write_numbers,
)
from tunesmith.worker.export.gguf_tokenizer import GgufTokenizer, read_tokenizer

TYPES: Final = {str(each): str(each).upper() for each in Quantization}
"""The quantisations that can be written, by their name in ``gguf.GGMLQuantizationType``. Those of llama.cpp that look
at blocks of 256 (q4_K_M and others) have no writer outside of it."""
BLOCK: Final = 32
"""Numbers that share a scale where there are 8 bits or fewer; a row of another length stays in 16 bits."""


@dataclass(frozen=True)
class Talk:
    """What a GGUF file says of conversations."""

    template: str | None
    """The chat template, in Jinja."""
    eos: int | None
    """The token that ends a text."""
    turn: int | None
    """The token that ends an answer, where it is another."""
    begins: bool
    """Whether a text begins with the token for it, ``bos``."""


def write_gguf(model: Path, file: Path, *, name: str, quantization: str, talk: Talk) -> None:
    """Write the weights, the numbers and the tokenizer of a model folder.

    Raises:
        NotForGguf: the model or its tokenizer cannot be written so that llama.cpp computes the same.
    """
    import gguf
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, local_files_only=True)
    family = gguf_family(config)
    tokenizer = read_tokenizer(model, config.vocab_size)
    writer = gguf.GGUFWriter(file, family.arch)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[_file_type(quantization)])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_numbers(writer, config, family)
    _write_tokenizer(writer, tokenizer, special_tokens(model), talk)
    tensors = dict(_tensors(model, config, family))
    for title, place in tensors.items():
        kind = _kind(title, place.shape, quantization)
        size = int(np.prod(gguf.quant_shape_to_byte_shape(place.shape, kind)))
        writer.add_tensor_info(title, place.shape, np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for title, place in tensors.items():
        weight = place.read()
        writer.write_tensor_data(gguf.quants.quantize(weight.numpy(), _kind(title, place.shape, quantization)))
    writer.close()


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies, and what becomes of it."""

    shape: tuple[int, ...]
    file: Path | None
    name: str
    config: Any
    family: GgufFamily

    def read(self) -> Tensor:
        """Return it as llama.cpp wants it, in 32 bits."""
        from safetensors import safe_open

        if self.file is None:
            factors = frequency_factors(self.config)
            assert factors is not None
            return factors
        with safe_open(self.file, "pt") as held:
            weight = held.get_tensor(self.name).to(torch.float32)
        return as_llama_cpp(self.name, weight, self.config, self.family).contiguous()


def _tensors(model: Path, config: Any, family: GgufFamily) -> Iterator[tuple[str, _Place]]:
    """Yield each tensor of the model's files under its name in llama.cpp."""
    import gguf
    from safetensors import safe_open

    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == family.arch)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, "pt") as held:
            for name in held.keys():  # noqa: SIM118  it is no dictionary
                if name == "lm_head.weight" and config.tie_word_embeddings:
                    continue
                title = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if title is None:
                    raise NotForGguf(f"llama.cpp has no place for its weight {name}")
                yield title, _Place(tuple(held.get_slice(name).get_shape()), file, name, config, family)
    factors = frequency_factors(config)
    if factors is not None:
        yield "rope_freqs.weight", _Place(tuple(factors.shape), None, "", config, family)


def _kind(title: str, shape: tuple[int, ...], quantization: str) -> Any:
    """Return the format of a tensor: vectors stay whole; the ends of the model keep 8 bits where the rest has 4."""
    from gguf import GGMLQuantizationType as Kind

    if len(shape) == 1:
        return Kind.F32
    if quantization.startswith("q") and shape[-1] % BLOCK:
        return Kind.F16
    if quantization.startswith("q") and title in ("token_embd.weight", "output.weight"):
        return Kind.Q8_0
    return Kind[TYPES[quantization]]


def _file_type(quantization: str) -> str:
    return "ALL_F32" if quantization == "f32" else f"MOSTLY_{TYPES[quantization]}"


def _write_tokenizer(writer: Any, tokenizer: GgufTokenizer, special: dict[str, str], talk: Talk) -> None:
    writer.add_tokenizer_model(tokenizer.model)
    writer.add_tokenizer_pre(tokenizer.pre)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.types)
    if tokenizer.scores is not None:
        writer.add_token_scores(tokenizer.scores)
        writer.add_add_space_prefix(tokenizer.add_space)
    if tokenizer.merges is not None:
        writer.add_token_merges(tokenizer.merges)
    numbers = {
        "bos": tokenizer.number(special.get("bos_token")),
        "eos": talk.eos,
        "eot": talk.turn,
        "pad": tokenizer.number(special.get("pad_token")),
        "unk": tokenizer.number(special.get("unk_token")),
    }
    for name, number in numbers.items():
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(talk.begins)
    writer.add_add_eos_token(False)
    if talk.template is not None:
        writer.add_chat_template(talk.template)
