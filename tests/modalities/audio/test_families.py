"""Every family: its facts, and what a tiny model of it is planned as."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_sounds import make_ast, make_wav2vec2, make_whisper
from tunesmith.modalities.audio import MODALITY
from tunesmith.modalities.audio.families import FAMILIES
from tunesmith.modalities.base import family_of
from tunesmith.planning.draft import facts_of_model

ROWS = [
    ("whisper", "Whisper", "speech", ("q_proj", "v_proj"), True),
    ("wav2vec2", "Wav2Vec2", "ctc", ("q_proj", "v_proj"), True),
    ("hubert", "Wav2Vec2", "ctc", ("q_proj", "v_proj"), True),
    ("wavlm", "WavLM", "ctc", ("intermediate_dense", "output_dense"), False),
    ("audio-spectrogram-transformer", "AST", "sound", ("query", "value"), True),
]


@pytest.mark.parametrize(("model_type", "name", "kind", "targets", "four_bit"), ROWS)
def test_a_family_says_what_is_known_of_it(
    model_type: str, name: str, kind: str, targets: tuple[str, ...], four_bit: bool
) -> None:
    family = family_of(model_type, FAMILIES)
    assert (family.name, family.kind, family.targets, family.four_bit) == (name, kind, targets, four_bit)


@pytest.mark.parametrize("model_type", [row[0] for row in ROWS])
def test_a_model_of_each_has_the_layers_that_adapters_sit_on(model_type: str, tmp_path: Path) -> None:
    match model_type:
        case "whisper":
            folder = make_whisper(tmp_path)
        case "audio-spectrogram-transformer":
            folder = make_ast(tmp_path)
        case _:
            folder = make_wav2vec2(tmp_path, model_type)
    facts, family = facts_of_model(folder, str(folder), MODALITY)
    assert set(family.targets or ()) <= set(facts.linear_layers)
    assert facts.kind == family.kind
    assert facts.modality == "audio"
