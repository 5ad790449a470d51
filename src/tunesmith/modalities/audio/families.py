"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

WavLM's attention reads the weights of its projections itself, past any adapter or rounding of these layers, so its
adapters sit on the layers behind it and its base is never stored in 4 bits. Whisper trained whole takes 1e-5, as in
transformers' own examples (https://github.com/huggingface/transformers, examples/pytorch/speech-recognition).
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family

_Q_AND_V: Final = ("q_proj", "v_proj")

FAMILIES: Final = (
    Family(
        name="Whisper", model_types=("whisper",), kind="speech", targets=_Q_AND_V, max_length=3000, four_bit=True,
        whole_rate=1e-5,
    ),
    Family(
        name="Wav2Vec2", model_types=("wav2vec2", "hubert"), kind="ctc", targets=_Q_AND_V, unit_bytes=1_600_000,
        four_bit=True,
    ),
    Family(
        name="WavLM", model_types=("wavlm",), kind="ctc", targets=("intermediate_dense", "output_dense"),
        unit_bytes=1_800_000,
    ),
    Family(
        name="AST", model_types=("audio-spectrogram-transformer",), kind="sound", targets=("query", "value"),
        four_bit=True,
    ),
)  # fmt: skip
