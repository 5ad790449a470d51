"""What a model hears is what transformers' own feature extractors make of the same recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from made_sounds import make_ast, make_wav2vec2, make_whisper, tones
from tunesmith.modalities.parts.hearing import hearing_of
from tunesmith.modalities.parts.sound_batches import Ears

CPU = torch.device("cpu")


def sounds() -> list[np.ndarray]:
    return [(tones(said, seed=number) * 32768).astype(np.int16) for number, said in enumerate(("abc", "abcdef"))]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.99, 2.0])
def test_whisper_hears_what_its_extractor_makes(seconds: float, tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor

    folder = make_whisper(tmp_path)
    heard = (np.tile(tones("abcdef"), 4)[: int(seconds * 16_000)] * 32768).astype(np.int16)
    found = Ears(hearing_of(folder), CPU).inputs([heard])["input_features"]
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    wanted = extractor(heard.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="pt").input_features
    assert found.shape == wanted.shape == (1, 40, 200)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_waves_are_normalised_and_padded_alike(norm: str, tmp_path: Path) -> None:
    """A model that is not told where recordings end is given each as if it were alone, with zeros behind it."""
    from transformers import Wav2Vec2FeatureExtractor

    hearing = hearing_of(make_wav2vec2(tmp_path, feat_extract_norm=norm))
    found = Ears(hearing, CPU).inputs(sounds())
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=norm == "layer")
    for row, heard in enumerate(sounds()):
        wave = heard.astype(np.float32) / 32768
        wanted = extractor(wave, sampling_rate=16_000, return_tensors="pt")
        assert found.keys() == wanted.keys()
        alone = found["input_values"][row, : len(wave)]
        torch.testing.assert_close(alone, wanted["input_values"][0], atol=1e-5, rtol=0)
        assert not found["input_values"][row, len(wave) :].any()


def test_ast_hears_what_its_extractor_makes(tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor

    folder = make_ast(tmp_path)
    found = Ears(hearing_of(folder), CPU).inputs(sounds())["input_values"]
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    waves = [each.astype(np.float32) / 32768 for each in sounds()]
    wanted = extractor(waves, sampling_rate=16_000, return_tensors="pt").input_values
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_what_is_covered_follows_from_the_random_numbers_alone(tmp_path: Path) -> None:
    ears = Ears(hearing_of(make_whisper(tmp_path / "w")), CPU)

    def covered(seed: int) -> torch.Tensor:
        return ears.inputs(sounds(), [np.random.default_rng([seed, row]) for row in range(2)])["input_features"]

    assert torch.equal(covered(1), covered(1))
    assert not torch.equal(covered(1), covered(2))
    assert not torch.equal(covered(1), ears.inputs(sounds())["input_features"])
    waves = Ears(hearing_of(make_wav2vec2(tmp_path / "v")), CPU)
    spans = waves.spans(sounds(), [np.random.default_rng(row) for row in range(2)])
    assert spans is not None and spans.shape == (2, 30) and spans.any()
    assert waves.spans(sounds(), []) is None
