from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_sounds import tones, write_sound
from tunesmith.data.media import sounds
from tunesmith.data.media.sounds import decode, samples_of
from tunesmith.spec.errors import MediaMissing, UnreadableMedia, Where

WHERE = Where("rows.csv", 2)


@pytest.mark.parametrize(
    ("name", "options", "apart"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 2e-4),
        ("a.wav", {"subtype": "FLOAT"}, 2e-4),
        ("a.flac", {}, 2e-4),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 0.05),
        ("a.mp3", {"format": "MP3"}, 0.05),
    ],
)
def test_each_type_of_file_is_decoded(name: str, options: dict[str, str], apart: float, tmp_path: Path) -> None:
    wave = tones("abcd")
    found = decode(str(write_sound(tmp_path / name, wave, **options)), WHERE, 16_000, 30) / 32768
    assert found.shape[0] == pytest.approx(len(wave), abs=1200)
    middle = slice(2000, 4000)
    assert np.abs(found[middle] - wave[middle]).max() < apart


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_a_tone_keeps_its_pitch_at_another_rate(rate: int, tmp_path: Path) -> None:
    place = np.arange(rate) / rate
    file = write_sound(tmp_path / "a.wav", (0.5 * np.sin(2 * np.pi * 440 * place)).astype(np.float32), rate)
    found = decode(str(file), WHERE, 16_000, 30)
    assert len(found) == 16_000
    assert np.abs(np.fft.rfft(found)).argmax() == 440


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_block_at_a_time_is_the_whole(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waves = np.random.default_rng(0).normal(0, 0.1, (30_000, 3)).astype(np.float32)
    with io.BytesIO() as file:
        soundfile.write(file, waves, rate, format="WAV", subtype="FLOAT")
        whole = samples_of(file.getvalue(), 16_000)
        monkeypatch.setattr(sounds, "BLOCK", 1_000)
        found = samples_of(file.getvalue(), 16_000)
    assert len(found) == len(whole) == round(30_000 * 16_000 / rate)
    assert np.abs(found.astype(int) - whole).max() <= 1


def test_hours_in_many_channels_take_little_memory() -> None:
    frames, channels = 20_000_000, 8
    with io.BytesIO() as file:
        with soundfile.SoundFile(file, "w", 48_000, channels, format="FLAC") as sound:
            for _ in range(frames // 1_000_000):
                sound.write(np.zeros((1_000_000, channels), np.int16))
        content = file.getvalue()
    tracemalloc.start()
    found = samples_of(content, 16_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == pytest.approx(frames / 3, abs=1)
    assert peak < frames * 4  # Decoded at once it is 32 bytes a frame.


def test_channels_become_one(tmp_path: Path) -> None:
    wave = tones("ab")
    file = write_sound(tmp_path / "a.wav", np.stack([wave, np.zeros_like(wave)], 1))
    assert np.abs(decode(str(file), WHERE, 16_000, 30) / 32768 - wave / 2).max() < 2e-4


def test_faults_say_what_is_wrong(tmp_path: Path) -> None:
    wave = tones("abcdef")
    whole = write_sound(tmp_path / "whole.flac", wave).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no sound at all")
    write_sound(tmp_path / "silent.wav", np.zeros(16_000, np.float32))
    write_sound(tmp_path / "short.wav", wave[:100])
    write_sound(tmp_path / "none.wav", wave[:0])
    for name, why in {
        "cut.flac": "cannot be used",
        "empty.wav": "the file is empty",
        "text.wav": "no recording that can be read",
        "silent.wav": "it is silent",
        "short.wav": "too short",
        "none.wav": "too short",
        "whole.flac": "it lasts 0.6 s; 0.5 s is the most",
    }.items():
        with pytest.raises(UnreadableMedia, match=why):
            decode(str(tmp_path / name), WHERE, 16_000, 0.5 if name == "whole.flac" else 30)
    with pytest.raises(MediaMissing):
        decode(str(tmp_path / "nowhere.wav"), WHERE, 16_000, 30)


def test_numbers_that_are_none_are_silence() -> None:
    wave = tones("ab")
    wave[100] = np.nan
    with io.BytesIO() as file:
        soundfile.write(file, wave, 16_000, format="WAV", subtype="FLOAT")
        found = samples_of(file.getvalue(), 16_000)
    assert found[100] == 0
    assert np.isfinite(found).all()
