"""Recordings of the token cache as what a model hears: waves or bands of pitch, varied by (seed, epoch, row).

All that is drawn at random follows from seed, epoch and row, so that a resumed run hears the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.modalities.parts.hearing import Hearing

Samples = NDArray[np.int16]
"""(samples,)"""

FFT, HOP = 400, 160
FLOOR: Final = 1.192092955078125e-07
"""Least power of a band, whose logarithm is taken."""
COVERED_TIMES, COVERED_BANDS = 2, 2
LONGEST_SHARE: Final = 0.1
"""Share of a recording that one covered stretch has at most, and of the bands that one covered band has."""
SPAN: Final = 10
"""Frames of a covered stretch of a model that reads samples."""
SPANS_SHARE: Final = 0.05
"""Share of the frames at which such a stretch begins."""


class Ears:
    """Makes what a model reads of recordings."""

    def __init__(self, hearing: Hearing, device: torch.device) -> None:
        self._hearing = hearing
        self._device = device

    def inputs(self, heard: Sequence[Samples], randoms: Sequence[np.random.Generator] = ()) -> dict[str, Tensor]:
        """Return the model's own names with tensors in 32 bits; with ``randoms``, bands are covered at random."""
        match self._hearing.way:
            case "mel":
                made = {
                    "input_features": self._covered(torch.stack([self._mel(each) for each in heard]), heard, randoms)
                }
            case "bands":
                found = self._covered(torch.stack([self._bands(each) for each in heard]).mT, heard, randoms)
                made = {"input_values": found.mT.contiguous()}
            case "wave":
                made = self._waves(heard)
        return {name: tensor.to(self._device) for name, tensor in made.items()}

    def lengths(self, heard: Sequence[Samples]) -> list[int]:
        """Return how many frames each recording has inside the model."""
        return [self._hearing.length(len(each)) for each in heard]

    def spans(self, heard: Sequence[Samples], randoms: Sequence[np.random.Generator]) -> Tensor | None:
        """Return (recordings, frames): what is covered of frames inside a model that reads samples, if anything."""
        if self._hearing.way != "wave" or not randoms:
            return None
        lengths = self.lengths(heard)
        covered = torch.zeros(len(heard), max(lengths), dtype=torch.bool)
        for row, (length, random) in enumerate(zip(lengths, randoms, strict=True)):
            count = int(length * SPANS_SHARE + random.random())
            for begin in random.integers(0, max(1, length - SPAN), count):
                covered[row, int(begin) : min(length, int(begin) + SPAN)] = True
        return covered.to(self._device)

    def _waves(self, heard: Sequence[Samples]) -> dict[str, Tensor]:
        longest = max(map(len, heard))
        waves, told = torch.zeros(len(heard), longest), torch.zeros(len(heard), longest, dtype=torch.int64)
        for row, samples in enumerate(heard):
            wave = _floats(samples)
            if self._hearing.normalized:
                wave = (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + 1e-7)
            waves[row, : len(wave)] = wave
            told[row, : len(wave)] = 1
        return {"input_values": waves, "attention_mask": told} if self._hearing.masked else {"input_values": waves}

    def _mel(self, samples: Samples) -> Tensor:
        """Return (bands, frames), as Whisper's feature extractor does; only what is not silence is computed."""
        hearing = self._hearing
        frames = round((hearing.window or 0) * hearing.rate) // HOP
        some = min(frames, (len(samples) + FFT) // HOP + 1)
        wave = torch.zeros(some * HOP if some == frames else some * HOP + FFT)
        wave[: min(len(samples), len(wave))] = _floats(samples)[: len(wave)]
        spectrum = torch.stft(wave, FFT, HOP, window=torch.hann_window(FFT), return_complex=True)
        power = (spectrum[:, :some].abs() ** 2).contiguous()
        logs = (self._filters.T @ power).clamp(min=1e-10).log10()
        found = torch.full((hearing.mels, frames), -10.0)
        found[:, :some] = logs
        return (torch.maximum(found, found.max() - 8.0) + 4.0) / 4.0

    @cached_property
    def _filters(self) -> Tensor:
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(
            num_frequency_bins=1 + FFT // 2, num_mel_filters=self._hearing.mels, min_frequency=0.0,
            max_frequency=8000.0, sampling_rate=self._hearing.rate, norm="slaney", mel_scale="slaney",
        )  # fmt: skip
        return torch.from_numpy(filters).float()

    def _bands(self, samples: Samples) -> Tensor:
        """Return (frames, bands), as AST's feature extractor does, which takes a hundred times longer."""
        steps, mean, deviation = self._hearing.bands
        found = torch.zeros(steps, self._hearing.mels)
        wave = _floats(samples).double()[: (steps - 1) * HOP + FFT]
        if len(wave) >= FFT:
            frames = wave.unfold(0, FFT, HOP)
            frames = frames - frames.mean(1, keepdim=True)
            frames = torch.cat([frames[:, :1] * 0.03, frames[:, 1:] - 0.97 * frames[:, :-1]], 1)
            window = torch.hann_window(FFT, periodic=False, dtype=torch.float64)
            power = torch.fft.rfft(frames * window, n=512).abs() ** 2
            found[: len(power)] = (power @ self._kaldi_filters).clamp(min=FLOOR).log().float()
        return (found - mean) / (2 * deviation) if self._hearing.normalized else found

    @cached_property
    def _kaldi_filters(self) -> Tensor:
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(
            num_frequency_bins=257, num_mel_filters=self._hearing.mels, min_frequency=20,
            max_frequency=self._hearing.rate // 2, sampling_rate=self._hearing.rate, norm=None, mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )  # fmt: skip
        return torch.from_numpy(filters).double()

    def _covered(self, found: Tensor, heard: Sequence[Samples], randoms: Sequence[np.random.Generator]) -> Tensor:
        """Cover stretches of (recordings, bands, frames) with what stands for nothing."""
        for row, random in enumerate(randoms):
            bands = found.shape[1]
            frames = min(found.shape[2], len(heard[row]) // HOP)
            for size, count, along in ((frames, COVERED_TIMES, True), (bands, COVERED_BANDS, False)):
                for _ in range(count):
                    width = int(random.integers(0, max(1, round(size * LONGEST_SHARE)) + 1))
                    begin = int(random.integers(0, max(1, size - width)))
                    if along:
                        found[row, :, begin : begin + width] = 0.0
                    else:
                        found[row, begin : begin + width, :] = 0.0
        return found


def _floats(samples: Samples) -> Tensor:
    return torch.from_numpy(samples.astype(np.float32) / 32768)
