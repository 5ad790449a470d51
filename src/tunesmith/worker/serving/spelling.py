"""What single tokens say: the bytes that each adds to a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")
_LETTERS: Final = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""Bytes that byte-level vocabularies write as the letter of that number."""


class Spelling:
    """The tokens of one tokenizer as bytes. Half a character is bytes that are no text by themselves."""

    def __init__(self, model_dir: Path) -> None:
        content = json.loads((model_dir / "tokenizer.json").read_text(encoding="utf-8"))
        kinds = {str(part.get("type")) for part in _parts(content.get("decoder")) if isinstance(part, dict)}
        self._levels = "ByteLevel" in kinds
        self._added = {int(token["id"]): str(token["content"]) for token in content.get("added_tokens", ())}
        self._pieces = _numbered(content["model"].get("vocab", {}))

    def bytes_of(self, token: int) -> bytes:
        """Return what a token says; nothing where the vocabulary has no such number."""
        if token in self._added:
            return self._added[token].encode()
        piece = self._pieces.get(token, "")
        if self._levels:
            known = _byte_of_letter()
            return b"".join(bytes([known[letter]]) if letter in known else letter.encode() for letter in piece)
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace("\u2581", " ").encode()

    def text_of(self, token: int) -> str:
        """Return the same as text; what is half a character reads as U+FFFD."""
        return self.bytes_of(token).decode(errors="replace")


def _numbered(vocabulary: Any) -> dict[int, str]:
    """Return pieces by number, of a vocabulary by piece or, as unigram models have it, a list with scores."""
    if isinstance(vocabulary, dict):
        return {int(number): str(piece) for piece, number in vocabulary.items()}
    return {number: str(entry[0]) for number, entry in enumerate(vocabulary)}


def _parts(decoder: Any) -> Iterator[Any]:
    yield decoder
    if isinstance(decoder, dict):
        yield from decoder.get("decoders") or ()


@cache
def _byte_of_letter() -> dict[str, int]:
    """Return the byte that each letter of a byte-level vocabulary stands for (GPT-2's ``bytes_to_unicode``)."""
    others = [byte for byte in range(256) if byte not in _LETTERS]
    return {chr(byte): byte for byte in _LETTERS} | {chr(256 + place): byte for place, byte in enumerate(others)}
