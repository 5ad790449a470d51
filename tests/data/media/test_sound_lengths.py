from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from tunesmith.data.media import sounds
from tunesmith.data.media.sound_lengths import cut_off, heard_to_its_end
from tunesmith.data.media.sounds import samples_of

RATE = 16_000


def noisy(seconds: int, channels: int = 1) -> np.ndarray:
    """Half of it quiet, half of it loud: of varying bits a second where a file has such."""
    random = np.random.default_rng(0)
    wave = 0.3 * np.sin(np.arange(RATE * seconds) / RATE * 2 * np.pi * 440)
    wave[len(wave) // 2 :] += random.normal(0, 0.1, len(wave) - len(wave) // 2)
    return np.stack([wave.astype(np.float32)] * channels, 1)


def recorded(wave: np.ndarray, **options: Any) -> bytes:
    with io.BytesIO() as file:
        soundfile.write(file, wave, RATE, **options)
        return file.getvalue()


def without_length(mp3: bytes) -> bytes:
    """Leave the first frame out, which states how many there are."""
    return mp3[next(at for at in range(4, len(mp3)) if mp3[at : at + 2] == mp3[:2]) :]


TYPES: dict[str, dict[str, Any]] = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float": {"format": "WAV", "subtype": "FLOAT"},
    "wavex": {"format": "WAVEX", "subtype": "PCM_24"},
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3", "bitrate_mode": "CONSTANT"},
    "varying mp3": {"format": "MP3", "bitrate_mode": "VARIABLE"},
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_recording_without_its_end_is_cut_off(kind: str, share: float) -> None:
    content = recorded(noisy(20), **TYPES[kind])
    assert len(samples_of(content, RATE)) == RATE * 20
    with pytest.raises(ValueError, match=r"^it is cut off"):
        samples_of(content[: int(len(content) * share)], RATE)


@pytest.mark.parametrize("kind", ["wav", "float", "flac", "ogg"])
def test_a_whole_recording_is_what_the_decoder_makes_of_it_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = recorded(noisy(20, channels=2), **TYPES[kind])
    whole = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].mean(axis=1)
    monkeypatch.setattr(sounds, "BLOCK", 100_000)
    assert np.array_equal(samples_of(content, RATE), np.clip(np.rint(whole * 32768), -32768, 32767).astype(np.int16))


@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_that_does_not_say_how_long_it_is_is_heard_to_its_end(channels: int) -> None:
    content = recorded(noisy(20, channels), format="MP3", bitrate_mode="VARIABLE")
    bare = without_length(content)
    whole, guessed = samples_of(content, RATE), soundfile.SoundFile(io.BytesIO(bare)).frames
    assert abs(guessed - len(whole)) > RATE  # the decoder's own guess
    found = samples_of(bare, RATE)
    late = len(found) - len(whole)
    assert 0 <= late < 3 * 1152  # What the encoder added is left out only where the file states it.
    loud = len(whole) * 3 // 4
    near = [np.abs(found[loud + shift :][:RATE] - whole[loud:][:RATE].astype(int)).max() for shift in range(late + 1)]
    assert min(near) <= 1
    tagged = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + bare
    assert np.array_equal(samples_of(tagged, RATE), found)


def test_an_mp3_that_does_not_say_how_long_it_is_is_not_read_beyond_the_most() -> None:
    bare = without_length(recorded(noisy(20), format="MP3", bitrate_mode="VARIABLE"))
    with pytest.raises(ValueError, match=r"^it lasts longer than 5 s, which is the most"):
        samples_of(bare, RATE, 5)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_that_was_streamed_states_no_size(size: int) -> None:
    content = recorded(noisy(1), format="WAV", subtype="PCM_16")
    at = content.index(b"data") + 4
    assert cut_off(content[:at] + size.to_bytes(4, "little") + content[at + 4 :]) is None


def test_what_is_neither_is_left_to_the_decoder() -> None:
    for content in (b"", b"RIFF", b"OggS", b"\xff\xfb", b"ID3", b"\xff" * 5000, b"RIFF0000WAVE"):
        assert heard_to_its_end(content) is None
    assert cut_off(b"RIFF0000WAVE") is None
    assert cut_off(b"OggS") == "its last page is missing"
