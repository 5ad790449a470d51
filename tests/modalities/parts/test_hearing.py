from __future__ import annotations

from pathlib import Path

import pytest

from made_sounds import make_ast, make_wav2vec2, make_whisper
from tunesmith.modalities.parts.hearing import hearing_of
from tunesmith.spec.errors import BadValue


def test_a_window_is_what_the_model_hears(tmp_path: Path) -> None:
    found = hearing_of(make_whisper(tmp_path))
    assert (found.way, found.rate, found.window, found.most_seconds, found.frames) == ("mel", 16_000, 2, 2, 100)
    assert hearing_of(tmp_path, 1.5).most_seconds == 1.5
    with pytest.raises(BadValue):
        hearing_of(tmp_path, 2.5)


@pytest.mark.parametrize("samples", [400, 799, 1200, 16_000, 16_319])
def test_frames_of_a_wave_are_those_of_its_convolutions(samples: int, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    folder = make_wav2vec2(tmp_path)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        frames = model(torch.randn(1, samples)).last_hidden_state.shape[1]
    assert hearing_of(folder).length(samples) == frames


def test_patches_of_bands_are_those_of_the_model(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    folder = make_ast(tmp_path)
    with torch.no_grad():
        found = AutoModel.from_pretrained(folder)(torch.zeros(1, 100, 32)).last_hidden_state
    assert hearing_of(folder).length(9) == found.shape[1]
