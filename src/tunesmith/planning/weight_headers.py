"""What a folder's safetensors files hold, from their headers alone: names, shapes, number formats and sizes."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.spec.errors import UnreadableFile

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
LARGEST_HEADER: Final = 100_000_000
"""Bytes; the limit that the format itself sets (https://github.com/huggingface/safetensors)."""
EDGE: Final = 64 * 1024
"""Bytes at each end of a weights file that go into the fingerprint, beside its header."""


@dataclass(frozen=True)
class Tensor:
    """One entry of a header."""

    name: str
    dtype: str
    """As the format spells it: BF16, F16, F32, ..."""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """Return the folder's safetensors files, in order; none if it has no such weights.

    Raises:
        UnreadableFile: the index is damaged, or names a file that is not there.
    """
    index = folder / INDEX
    if index.is_file():
        return [_shard(folder, name) for name in _shard_names(index)]
    single = folder / SINGLE
    return [single] if single.is_file() else []


def tensors(path: Path) -> list[Tensor]:
    """Return what a safetensors file holds.

    Raises:
        UnreadableFile: the header is damaged, or the file is shorter or longer than its header says.
    """
    size = path.stat().st_size
    header = _header(path, size)
    data = size - 8 - len(header)
    try:
        found = list(_entries(json.loads(header), data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableFile(path, f"its safetensors header is damaged ({_first_line(error)})") from error
    if sum(end - start for _, start, end in found) != data:
        raise UnreadableFile(path, "the file does not have the length that its safetensors header says")
    return [tensor for tensor, _, _ in found]


def fingerprint(config: Path, files: list[Path]) -> str:
    """Return a sha256 that changes when a model's configuration, layout or (all but certainly) weights change.

    It covers the configuration, and of each weights file its name, length, header, first and last 64 KiB, so that it
    takes milliseconds for any model.
    """
    digest = hashlib.sha256(config.read_bytes())
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        digest.update(header := _header(path, size))
        with path.open("rb") as file:
            file.seek(8 + len(header))
            digest.update(file.read(EDGE))
            file.seek(max(8 + len(header), size - EDGE))
            digest.update(file.read(EDGE))
    return digest.hexdigest()


def _shard_names(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableFile(index, f"it is not an index of weights ({_first_line(error)})") from error
    if not names:
        raise UnreadableFile(index, "it lists no weights")
    return names


def _shard(folder: Path, name: object) -> Path:
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
        raise UnreadableFile(folder / INDEX, f"it names {name!r}, which is not a safetensors file of this folder")
    if not (folder / name).is_file():
        raise UnreadableFile(folder / INDEX, f"it names {name}, which is not there (is the download complete?)")
    return folder / name


def _header(path: Path, size: int) -> bytes:
    """Read a header, whatever length a forged file claims for it."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise UnreadableFile(path, "it is not a complete safetensors file (is the download complete?)")
        return file.read(length)


def _entries(header: dict[str, Any], data: int) -> Iterator[tuple[Tensor, int, int]]:
    """Yield each tensor with the place of its bytes."""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = tuple(int(width) for width in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
        if min(shape, default=0) < 0 or not 0 <= start <= end <= data:
            raise ValueError(f"impossible entry {name!r}")
        yield Tensor(name, str(entry["dtype"]), shape), start, end


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
