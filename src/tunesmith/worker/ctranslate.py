"""Reads a Whisper model as CTranslate2 stores it, and writes it as a folder that transformers opens."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from tunesmith.spec.errors import PullFailed

VERSION: Final = 6
"""Of the file format; the only one that is read."""
TYPES: Final = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
MOST_SECONDS: Final = 30

Arrays = dict[str, "np.ndarray[Any, Any]"]


def convert_whisper(source: Path, file: str, target: Path) -> int:
    """Write ``file``, and config.json, tokenizer.json beside it, as a model folder; return the number of parameters.

    Raises:
        PullFailed: the file is not what it says, or its weights are not those of a Whisper model.
    """
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    arrays = read_arrays(source / file)
    said = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tokens = _tokens(source / "tokenizer.json")
    settings: dict[str, Any] = {**_sizes(arrays, file), **_special(tokens)}
    config = WhisperConfig(**settings)
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    weights = {name: torch.from_numpy(array.copy()) for name, array in _renamed(arrays, config)}
    result = model.load_state_dict(weights, strict=False, assign=True)
    lacking = [name for name in result.missing_keys if name != "proj_out.weight"]
    if lacking or result.unexpected_keys:
        raise PullFailed(file, f"its weights are not those of Whisper ({[*lacking, *result.unexpected_keys][0]})")
    model.tie_weights()
    for parameter in model.parameters():
        parameter.data = parameter.data.half()
    model.config.dtype = "float16"
    model.save_pretrained(target)
    _write_texts(source, target, config, said, tokens)
    return sum(weight.numel() for weight in model.parameters())


def read_arrays(file: Path) -> Arrays:
    """Return the arrays of a CTranslate2 model by name.

    Raises:
        PullFailed: the file is of another kind, or cut off.
    """
    content, place = file.read_bytes(), 0

    def number(kind: str) -> int:
        nonlocal place
        found: int = struct.unpack_from(f"<{kind}", content, place)[0]
        place += struct.calcsize(f"<{kind}")
        return found

    def text() -> str:
        nonlocal place
        size = number("H")
        place += size
        return content[place - size : place].rstrip(b"\0").decode()

    try:
        version, name = number("I"), text()
        if version != VERSION or name != "WhisperSpec":
            raise PullFailed(file.name, f"it holds {name} of format {version}, not WhisperSpec of format {VERSION}")
        number("I")
        found: Arrays = {}
        for _ in range(number("I")):
            key = text()
            shape = [number("I") for _ in range(number("B"))]
            kind, size = TYPES[number("B")], number("I")
            found[key] = np.frombuffer(content, kind, size // np.dtype(kind).itemsize, place).reshape(shape)
            place += size
    except (struct.error, KeyError, ValueError, UnicodeDecodeError) as error:
        raise PullFailed(file.name, f"the file is damaged ({error})") from None
    return found


def _renamed(arrays: Arrays, config: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield the weights by transformers' names; joined projections are divided."""
    width = config.d_model
    for side in ("encoder", "decoder"):
        yield f"model.{side}.embed_positions.weight", arrays[f"{side}/position_encodings/encodings"]
        yield from _norm(arrays, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(getattr(config, f"{side}_layers")):
            theirs, ours = f"{side}/layer_{layer}", f"model.{side}.layers.{layer}"
            yield from _norm(arrays, f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
            yield from _parts(arrays, f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv", width)
            yield from _linear(arrays, f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
            if side == "decoder":
                yield from _norm(arrays, f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
                yield from _parts(arrays, f"{theirs}/attention/linear_0", f"{ours}.encoder_attn", "q", width)
                yield from _parts(arrays, f"{theirs}/attention/linear_1", f"{ours}.encoder_attn", "kv", width)
                yield from _linear(arrays, f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
            yield from _norm(arrays, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
            yield from _linear(arrays, f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            yield from _linear(arrays, f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    for number in (1, 2):
        yield from _linear(arrays, f"encoder/conv{number}", f"model.encoder.conv{number}")
    yield "model.decoder.embed_tokens.weight", arrays["decoder/embeddings/weight"]


def _norm(arrays: Arrays, theirs: str, ours: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield f"{ours}.weight", arrays[f"{theirs}/gamma"]
    yield f"{ours}.bias", arrays[f"{theirs}/beta"]


def _linear(arrays: Arrays, theirs: str, ours: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for name in ("weight", "bias"):
        yield f"{ours}.{name}", arrays[f"{theirs}/{name}"]


def _parts(
    arrays: Arrays, theirs: str, ours: str, parts: str, width: int
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Divide joined projections; that of keys has no bias in Whisper, and zeros stand for it here."""
    for place, part in enumerate(parts):
        rows = slice(place * width, (place + 1) * width)
        yield f"{ours}.{part}_proj.weight", arrays[f"{theirs}/weight"][rows]
        if part != "k":
            yield f"{ours}.{part}_proj.bias", arrays[f"{theirs}/bias"][rows]


def _sizes(arrays: Arrays, file: str) -> dict[str, int]:
    """Return what the shapes of the arrays tell.

    Raises:
        PullFailed: an array that every Whisper has is not there.
    """
    layers = {
        side: len({key.split("/")[1] for key in arrays if key.startswith(f"{side}/layer_") and key.count("/") > 2})
        for side in ("encoder", "decoder")
    }
    try:
        vocabulary, width = arrays["decoder/embeddings/weight"].shape
        return {
            "vocab_size": vocabulary,
            "d_model": width,
            "num_mel_bins": arrays["encoder/conv1/weight"].shape[1],
            "encoder_layers": layers["encoder"],
            "decoder_layers": layers["decoder"],
            "encoder_attention_heads": int(arrays["encoder/num_heads"]),
            "decoder_attention_heads": int(arrays["decoder/num_heads"]),
            "encoder_ffn_dim": arrays["encoder/layer_0/ffn/linear_0/weight"].shape[0],
            "decoder_ffn_dim": arrays["decoder/layer_0/ffn/linear_0/weight"].shape[0],
            "max_source_positions": arrays["encoder/position_encodings/encodings"].shape[0],
            "max_target_positions": arrays["decoder/position_encodings/encodings"].shape[0],
        }
    except (KeyError, IndexError) as error:
        raise PullFailed(file, f"its weights are not those of Whisper ({error})") from None


def _tokens(file: Path) -> dict[str, int]:
    said = json.loads(file.read_text(encoding="utf-8"))
    return {each["content"]: each["id"] for each in said["added_tokens"]} | dict(said["model"]["vocab"])


def _special(tokens: Mapping[str, int]) -> dict[str, int]:
    end, start = tokens["<|endoftext|>"], tokens["<|startoftranscript|>"]
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _write_texts(source: Path, target: Path, config: Any, said: dict[str, Any], tokens: dict[str, int]) -> None:
    """Write how the model is asked, how text becomes tokens, and how recordings are heard."""
    from transformers import GenerationConfig, WhisperFeatureExtractor

    multilingual = config.vocab_size > 51864
    settings: dict[str, Any] = {
        **_special(tokens),
        "max_length": config.max_target_positions,
        "is_multilingual": multilingual,
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "prev_sot_token_id": tokens.get("<|startofprev|>"),
        "suppress_tokens": said.get("suppress_ids", []),
        "begin_suppress_tokens": said.get("suppress_ids_begin", []),
        "alignment_heads": said.get("alignment_heads"),
        "return_timestamps": False,
    }
    if multilingual:
        languages = {name: number for name, number in tokens.items() if number in set(said.get("lang_ids", []))}
        tasks = {name: tokens[f"<|{name}|>"] for name in ("transcribe", "translate")}
        settings |= {"lang_to_id": languages, "task_to_id": tasks}
    GenerationConfig(**settings).save_pretrained(target)  # type: ignore[no-untyped-call]
    ears: Any = WhisperFeatureExtractor
    ears(feature_size=config.num_mel_bins, chunk_length=MOST_SECONDS).save_pretrained(target)
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    end = "<|endoftext|>"
    words = {"tokenizer_class": "WhisperTokenizer", "bos_token": end, "eos_token": end, "unk_token": end}
    more = {"pad_token": end, "model_max_length": 1024, "processor_class": "WhisperProcessor"}
    (target / "tokenizer_config.json").write_text(json.dumps(words | more, indent=2))
