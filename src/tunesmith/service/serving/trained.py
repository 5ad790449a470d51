"""Does an adapter change anything? Read from its file, without any library that computes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

PART: Final = 1 << 20
"""Bytes that are looked at at once."""


def is_trained(weights: Path) -> bool:
    """Whether any B of an adapter's file is not all zero, as all are before the first step."""
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        for name, entry in header.items():
            if ".lora_B." not in name:
                continue
            start, end = entry["data_offsets"]
            file.seek(8 + size + start)
            left = end - start
            while left > 0 and (part := file.read(min(PART, left))):
                if part.strip(b"\0"):
                    return True
                left -= len(part)
    return False
