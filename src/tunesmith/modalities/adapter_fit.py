"""Does an adapter belong on a model? Answered from the headers of their files, without loading either."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.spec.errors import AdapterMismatch, ModelNotFound, TokenizerMismatch, UnreadableFile

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_PREFIX = "base_model.model."
"""What PEFT puts before a module's name."""


def base_names(adapter: Path) -> list[str]:
    """Return what an adapter's files call the model it was trained on: a short name, a hub id or a folder.

    What the user wrote comes first, the folder that it meant on the machine of the training after it.
    """
    info, config = _json(adapter / "adapter_info.json"), _json(adapter / ADAPTER_CONFIG)
    said = (info.get("base_model"), info.get("base_model_path"), config.get("base_model_name_or_path"))
    return list(dict.fromkeys(name for name in said if isinstance(name, str) and name))


def check_adapter(adapter: Path, model_dir: Path) -> None:
    """Compare the shapes of an adapter with those of a model.

    Raises:
        ModelNotFound: the folder holds no adapter.
        AdapterMismatch: a layer of the adapter is not in the model, or has another size there.
        UnreadableFile: weights of either are damaged.
    """
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (adapter / name).is_file():
            raise ModelNotFound(str(adapter), f"An adapter folder holds {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}.")
    sizes = {name: shape for file in sorted(model_dir.glob("*.safetensors")) for name, shape in shapes(file)}
    for layer, (inputs, outputs) in _layers(adapter / ADAPTER_WEIGHTS).items():
        shape = _find(sizes, f"{layer}.weight")
        if shape is None and layer == "lm_head":  # tied to the embeddings, so not in the file
            continue
        if shape is None or sorted(shape) != sorted((inputs, outputs)):
            raise AdapterMismatch(adapter, next(iter(base_names(adapter)), "another model"), model_dir.name)


def check_tokenizer(adapter: Path, model_dir: Path) -> None:
    """Compare the tokens of an adapter, if it carries any, with those of a model.

    Raises:
        TokenizerMismatch: the model has another number for a token, or none.
    """
    theirs, own = adapter / "tokenizer.json", model_dir / "tokenizer.json"
    if not theirs.is_file() or not own.is_file() or theirs.read_bytes() == own.read_bytes():
        return
    from tokenizers import Tokenizer

    wanted, known = (Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True) for file in (theirs, own))
    for token, number in sorted(wanted.items(), key=lambda pair: pair[1]):
        if known.get(token) != number:
            found = f"has number {known[token]}" if token in known else "has none"
            raise TokenizerMismatch(
                adapter, model_dir.name, f"the token {token!r} has number {number}, there it {found}"
            )


def shapes(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of each tensor in a safetensors file, from its header alone.

    The layout is that of the safetensors format: eight bytes of length, then JSON, then the values.

    Raises:
        UnreadableFile: the header is damaged, or the file is shorter than it says.
    """
    held = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            header: dict[str, Any] = json.loads(stream.read(min(size, held)))
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        found = [(name, tuple(int(width) for width in entry["shape"])) for name, entry in entries]
        needed = 8 + size + max((int(entry["data_offsets"][1]) for _, entry in entries), default=0)
    except (struct.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UnreadableFile(file, "its safetensors header is damaged (is the copy complete?)") from error
    if held < needed:
        raise UnreadableFile(
            file, f"it has {held:,} bytes where its header speaks of {needed:,} (is the copy complete?)"
        )
    yield from found


def _layers(weights: Path) -> dict[str, tuple[int, int]]:
    """Return the inputs and outputs of each adapted linear layer, by the name of the layer in the model."""
    known = dict(shapes(weights))
    layers = {}
    for name, shape in known.items():
        layer, factor, _ = name.partition(".lora_A.")
        if factor:
            other = known.get(name.replace(".lora_A.", ".lora_B."), ())
            if len(shape) != 2 or len(other) != 2:
                raise UnreadableFile(weights, f"the adapter of '{layer}' is not a pair of matrices")
            layers[layer.removeprefix(ADAPTER_PREFIX)] = (shape[1], other[0])
    return layers


def _find(sizes: dict[str, tuple[int, ...]], name: str) -> tuple[int, ...] | None:
    """Look a weight up; a file may leave out the outer module's name ("h.0" for "transformer.h.0")."""
    return sizes.get(name) or sizes.get(name.partition(".")[2])


def _json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
