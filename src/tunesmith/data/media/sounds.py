"""Decodes recordings: one channel, at the rate that a model hears, in 16 bits. No torch, no ffmpeg."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.media import read
from tunesmith.spec.errors import PackageMissing, UnreadableMedia, Where

LEAST_SECONDS: Final = 0.05
"""What is shorter holds no sound that could be told from another."""
SILENT: Final = 0.001
"""Loudest sample of a recording that holds nothing, as a share of the loudest possible one (60 dB below it)."""
LONGEST_SECONDS: Final = 6 * 3600
"""What is longer is not decoded at all: a small file can say that it lasts for days."""
BLOCK: Final = 2**18
"""Frames that are decoded at a time."""
MAX_CHANNELS: Final = 32

Samples = NDArray[np.int16]
"""(samples,)"""


def decode(name: str, where: Where, rate: int, most_seconds: float) -> Samples:
    """Return a recording as one channel of ``rate`` samples a second.

    Raises:
        MediaMissing: nothing is there.
        UnreadableMedia: it is no recording, truncated, empty, silent, or lasts longer than ``most_seconds``.
        PackageMissing: soundfile or soxr is not installed.
    """
    content = read(name, where)
    try:
        samples = samples_of(content, rate, most_seconds)
    except ValueError as error:
        raise UnreadableMedia(where, name, str(error)) from None
    if len(samples) < rate * LEAST_SECONDS:
        raise UnreadableMedia(where, name, f"it lasts {len(samples) / rate:.3f} s, which is too short to hear anything")
    if int(np.abs(samples.astype(np.int32)).max()) < SILENT * 32768:
        raise UnreadableMedia(where, name, "it is silent")
    return samples


def samples_of(content: bytes, rate: int, most_seconds: float = LONGEST_SECONDS) -> Samples:
    """Return the bytes of a file as one channel of ``rate`` samples a second.

    Raises:
        ValueError: they are no recording, or a longer one; the message says why.
        PackageMissing: soundfile or soxr is not installed.
    """
    soundfile, _ = _packages()
    if not content:
        raise ValueError("the file is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            seconds = sound.frames / max(1, sound.samplerate)
            if sound.channels > MAX_CHANNELS:
                raise ValueError(f"it has {sound.channels} channels; {MAX_CHANNELS} is the most")
            if seconds > min(most_seconds, LONGEST_SECONDS) + 1 / rate:
                raise ValueError(f"it lasts {seconds:.1f} s; {min(most_seconds, LONGEST_SECONDS):g} s is the most")
            heard, read = _heard(sound, rate)
            expected = sound.frames
    except soundfile.LibsndfileError as error:
        why = str(error.error_string).rstrip(".")
        raise ValueError(f"it is no recording that can be read ({why[:1].lower()}{why[1:]})") from None
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"it is no recording that can be read ({error})") from None
    if read < expected:
        raise ValueError(f"it is cut off: {read:,} of {expected:,} samples are there")
    return heard


def _heard(sound: Any, rate: int) -> tuple[Samples, int]:
    """Return one channel of ``rate`` samples a second, and how many frames were read; a block at a time is whole.

    Minutes compressed to a few bytes, in many channels, would else be gigabytes in 32 bits.
    """
    _, soxr = _packages()
    own, read, pieces = int(sound.samplerate), 0, [np.empty(0, np.int16)]
    stream = soxr.ResampleStream(own, rate, 1, dtype="float32", quality="HQ") if own != rate else None
    for block in sound.blocks(BLOCK, dtype="float32", always_2d=True):
        read += len(block)
        mixed = block.mean(axis=1)
        if stream is not None:
            mixed = stream.resample_chunk(mixed, last=read >= sound.frames)
        finite = np.nan_to_num(mixed, nan=0.0, posinf=1.0, neginf=-1.0)
        pieces.append(np.clip(np.rint(finite * 32768), -32768, 32767).astype(np.int16))
    return np.concatenate(pieces), read


def _packages() -> tuple[Any, Any]:
    """Import what decodes and what resamples; only whoever has recordings needs them."""
    try:
        import soundfile  # type: ignore[import-untyped]
        import soxr  # type: ignore[import-untyped]
    except ImportError as error:
        raise PackageMissing(error.name or "soundfile", "train") from error
    return soundfile, soxr
