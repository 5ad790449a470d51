"""Decodes recordings: one channel, at the rate that a model hears, in 16 bits. No torch, no ffmpeg."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.media import read
from tunesmith.data.media.sound_lengths import cut_off, heard_to_its_end
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
SPARE: Final = 2 * 1152
"""Samples that an MP3 may lack of what it states: some programs count the frame that states it, too."""

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
    lacks = cut_off(content)
    if lacks is not None:
        raise ValueError(f"it is cut off: {lacks}")
    lengthened = heard_to_its_end(content)
    try:
        with soundfile.SoundFile(io.BytesIO(lengthened or content)) as sound:
            most = min(most_seconds, LONGEST_SECONDS)
            seconds = sound.frames / max(1, sound.samplerate)
            if sound.channels > MAX_CHANNELS:
                raise ValueError(f"it has {sound.channels} channels; {MAX_CHANNELS} is the most")
            if seconds > most + 1 / rate and not lengthened:
                raise ValueError(f"it lasts {seconds:.1f} s; {most:g} s is the most")
            heard, read = _heard(sound, rate, most)
            expected = 0 if lengthened else sound.frames - (SPARE if sound.format == "MP3" else 0)
            if read < expected:
                raise ValueError(f"it is cut off: {read:,} of {sound.frames:,} samples are there")
    except soundfile.LibsndfileError as error:
        why = str(error.error_string).rstrip(".")
        raise ValueError(f"it is no recording that can be read ({why[:1].lower()}{why[1:]})") from None
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"it is no recording that can be read ({error})") from None
    return heard


def _heard(sound: Any, rate: int, most: float) -> tuple[Samples, int]:
    """Return one channel of ``rate`` samples a second, and how many frames were read; a block at a time is whole.

    Minutes compressed to a few bytes, in many channels, would else be gigabytes in 32 bits. What lasts longer than
    ``most`` seconds is not read to its end.
    """
    _, soxr = _packages()
    own, read, pieces = int(sound.samplerate), 0, [np.empty(0, np.int16)]
    stream = soxr.ResampleStream(own, rate, 1, dtype="float32", quality="HQ") if own != rate else None
    block = _next(sound, read)
    while len(block):
        read += len(block)
        if read / own > most + 1 / rate:
            raise ValueError(f"it lasts longer than {most:g} s, which is the most")
        mixed, block = block, _next(sound, read)
        if stream is not None:
            mixed = stream.resample_chunk(mixed, last=not len(block))
        finite = np.nan_to_num(mixed, nan=0.0, posinf=1.0, neginf=-1.0)
        pieces.append(np.clip(np.rint(finite * 32768), -32768, 32767).astype(np.int16))
    return np.concatenate(pieces), read


def _next(sound: Any, read: int) -> NDArray[np.float32]:
    """Return the next frames as one channel, as many as there are; ``read`` is how many came before."""
    soundfile, _ = _packages()
    try:
        mixed: NDArray[np.float32] = sound.read(BLOCK, dtype="float32", always_2d=True).mean(axis=1)
    except soundfile.LibsndfileError:
        raise ValueError(f"it is cut off or damaged within {BLOCK:,} samples after the first {read:,}") from None
    return mixed


def _packages() -> tuple[Any, Any]:
    """Import what decodes and what resamples; only whoever has recordings needs them."""
    try:
        import soundfile  # type: ignore[import-untyped]
        import soxr  # type: ignore[import-untyped]
    except ImportError as error:
        raise PackageMissing(error.name or "soundfile", "train") from error
    return soundfile, soxr
