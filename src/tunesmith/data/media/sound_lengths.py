"""What the files of recordings say of their own length, where the decoder does not look: WAV, Ogg and MP3."""

from __future__ import annotations

from typing import Final

SLACK: Final = 64
"""Bytes that a WAV may lack of what it states: some programs count its head too."""
STREAMED: Final = 0x7FFFF000
"""A size from here on says that the writer did not know it."""
PAGE: Final = 27
"""Bytes of the head of a page of Ogg before the lengths of its segments."""
LAST_PAGE: Final = 0x04
SHORTEST_FRAME: Final = 24
"""Bytes of a frame of MP3."""
RATES: Final = (44_100, 48_000, 32_000)
BITRATES: Final = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Thousands of bits a second of MP3, of MPEG 1 and of the later ones."""
FIRST_FRAMES: Final = 2**16
"""Bytes among which the first frame of an MP3 is sought."""


def cut_off(content: bytes) -> str | None:
    """Say what is missing of a WAV or an Ogg that does not hold what it states; None where nothing is."""
    if content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE":
        return _cut_off_wave(content)
    if content[:4] == b"OggS":
        return _cut_off_ogg(content)
    return None


def heard_to_its_end(content: bytes) -> bytes | None:
    """Return an MP3 that does not state its length with a first frame that states more than it can have.

    The decoder ends where it guesses the end from the first frame's bits a second, which is far off where they vary.
    None of what is no MP3, or states its length.
    """
    at = _first_frame(content)
    if at is None:
        return None
    first = content[at : at + 64]
    if b"Xing" in first or b"Info" in first:
        return None
    if b"VBRI" in first:  # which the decoder does not read
        at += _frame_length(content, at)
    newest, mono = content[at + 1] & 0x18 == 0x18, content[at + 3] >> 6 == 3
    head = bytes([0xFF, content[at + 1] | 1, 0x90 | content[at + 2] & 0x0C, content[at + 3]])
    beside = (17 if mono else 32) if newest else (9 if mono else 17)
    said = head + bytes(beside) + b"Xing" + (1).to_bytes(4) + (len(content) // SHORTEST_FRAME + 1).to_bytes(4)
    return said.ljust(_frame_length(said, 0), b"\0") + content[at:]


def _cut_off_wave(content: bytes) -> str | None:
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"data":
            there = len(content) - at - 8
            stated = size or there
            if stated < STREAMED and there + SLACK < stated:
                return f"{there:,} of {stated:,} bytes are there"
            return None
        at += 8 + size + size % 2
    return None


def _cut_off_ogg(content: bytes) -> str | None:
    at = content.rfind(b"OggS")
    segments = content[at + PAGE - 1] if at + PAGE <= len(content) else 0
    lengths = content[at + PAGE : at + PAGE + segments]
    whole = at + PAGE + segments + sum(lengths) <= len(content)
    if len(lengths) == segments and whole and content[at + 5] & LAST_PAGE:
        return None
    return "its last page is missing"


def _first_frame(content: bytes) -> int | None:
    """Return where the first frame of an MP3 is that another of its kind follows."""
    at = 0
    if content[:3] == b"ID3" and len(content) > 10:
        size = sum((part & 0x7F) << shift for part, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
        at = 10 + size + (10 if content[5] & 0x10 else 0)
    elif content[:1] != b"\xff":
        return None
    for place in range(at, min(at + FIRST_FRAMES, len(content) - 4)):
        length = _frame_length(content, place)
        following = place + length
        if length and _frame_length(content, following) and _kind(content, following) == _kind(content, place):
            return place
    return None


def _kind(content: bytes, at: int) -> tuple[int, int]:
    return content[at + 1] & 0xFE, content[at + 2] & 0x0C


def _frame_length(content: bytes, at: int) -> int:
    """Return the bytes of the frame of MP3 (layer III) that begins here; 0 where none does."""
    if at + 4 > len(content) or content[at] != 0xFF or content[at + 1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = content[at + 1] >> 3 & 3, content[at + 2] >> 4, content[at + 2] >> 2 & 3
    if version == 1 or rate == 3 or bits in (0, 15):
        return 0
    slower = {3: 1, 2: 2, 0: 4}[version]
    of_bits = BITRATES[0 if version == 3 else 1][bits - 1] * 1000
    return (144 if version == 3 else 72) * of_bits * slower // RATES[rate] + (content[at + 2] >> 1 & 1)
