"""What was decoded of a row's pictures or recordings, as bytes of the token cache: a small header, then arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNED = 8
"""Arrays begin at a multiple of so many bytes of their payload."""


@dataclass(frozen=True)
class Payload:
    """What a row carries beside its tokens."""

    facts: dict[str, Any]
    """Small facts, such as the names of a picture's boxes."""
    arrays: list[NDArray[Any]]
    """Views of the cache's bytes, in the order in which they were packed."""


def pack(facts: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Make the bytes of a payload."""
    listed = [[array.dtype.str, list(array.shape)] for array in arrays]
    head = json.dumps({"facts": facts, "arrays": listed}, separators=(",", ":")).encode()
    head += b" " * (-(len(head) + 4) % ALIGNED)
    parts = [len(head).to_bytes(4, "little"), head]
    for array in arrays:
        body = np.ascontiguousarray(array).tobytes()
        parts += [body, b"\0" * (-len(body) % ALIGNED)]
    return b"".join(parts)


def unpack(content: NDArray[np.uint8]) -> Payload:
    """Read the bytes of a payload without copying its arrays."""
    size = int.from_bytes(content[:4].tobytes(), "little")
    head = json.loads(content[4 : 4 + size].tobytes())
    place, arrays = 4 + size, []
    for dtype, shape in head["arrays"]:
        length = int(np.prod(shape)) * np.dtype(dtype).itemsize
        arrays.append(np.frombuffer(content, np.dtype(dtype), int(np.prod(shape)), place).reshape(shape))
        place += length + (-length % ALIGNED)
    return Payload(head["facts"], arrays)
