"""Training speed on recordings beside transformers' Trainer: same model, rows, order, batch and settings, in one run.

    python -m benchmarks.audio_speed                       # all cases
    python -m benchmarks.audio_speed --only ctc --steps 6

How both sides are measured: ``benchmarks/beside_trainer.py``. Whisper is the pulled whisper-tiny-en.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.beside_trainer import Bench, main

RATE = 16_000
WORDS = ("press", "the", "pound", "key", "after", "you", "have", "entered", "your", "number", "and", "wait")


def write(case: str, folder: Path, rows: int) -> None:
    """Write the rows and the model of a case."""
    import soundfile

    random, records = np.random.default_rng(0), []
    (folder / "data").mkdir()
    for number in range(rows):
        seconds = float(random.uniform(1, 8))
        wave = random.normal(0, 0.1, int(seconds * RATE)).astype(np.float32)
        soundfile.write(folder / "data" / f"{number}.wav", wave, RATE)
        said = {"text": " ".join(random.choice(WORDS, max(2, int(seconds * 2))))}
        records.append({"audio": f"{number}.wav", **({"label": f"c{number % 4}"} if case == "classes" else said)})
    (folder / "data" / "audio_data.jsonl").write_text("\n".join(map(json.dumps, records)))
    if case.startswith("whisper"):
        (folder / "model").symlink_to(whisper().resolve())
        return
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    still = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout",
             "layerdrop", "mask_time_prob", "mask_feature_prob")  # fmt: skip
    config = Wav2Vec2Config(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=6, intermediate_size=1536,
        feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True, **dict.fromkeys(still, 0.0),
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder / "model")


def whisper() -> Path:
    from tunesmith.service.models.pull import pull
    from tunesmith.settings import load_settings

    return pull("whisper-tiny-en", load_settings(), lambda stage, done: print(stage))


def pieces(case: str, plan: Any, data: Any) -> Any:
    """Return what the loop runs on."""
    import torch

    from tunesmith.modalities.audio.builder import build_classifier, build_recognizer

    build = build_classifier if case == "classes" else build_recognizer
    made = build(plan, data.train, data.validation, torch.device("cpu"), labels=data.labels)
    if case == "ctc":
        made.model.config.ctc_loss_reduction = "sum"
    return made


def per_label(case: str, model: Any, losses: list[float], labels: list[int]) -> list[float]:
    """Divide CTC's sums by what was said, as tunesmith does."""
    return [loss / count for loss, count in zip(losses, labels, strict=False)] if case == "ctc" else losses


def joined(case: str, some: list[Any]) -> dict[str, Any]:
    """Pad single rows to a batch."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    inputs = {name: pad_sequence([each.inputs[name][0] for each in some], batch_first=True) for name in some[0].inputs}
    if case == "classes":
        return {**inputs, "labels": torch.cat([each.classes for each in some])}
    if case == "ctc":
        said = [torch.tensor(each.said[0]) for each in some]
        return {**inputs, "labels": pad_sequence(said, batch_first=True, padding_value=-100)}
    prompt = some[0].prompt
    ids = [torch.tensor(each.said[0][:-1]) for each in some]
    said = [torch.tensor([-100] * (prompt - 1) + each.said[0][prompt:]) for each in some]
    return {
        **inputs,
        "decoder_input_ids": pad_sequence(ids, batch_first=True, padding_value=50256),
        "labels": pad_sequence(said, batch_first=True, padding_value=-100),
    }


BENCH = Bench(
    module="benchmarks.audio_speed",
    cases={"whisper-lora": "lora", "whisper-full": "full", "ctc": "full", "classes": "full"},
    rows="recordings", write=write, pieces=pieces, joined=joined, settled=per_label,
    options={"freeze_convolutions": False},
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(BENCH, __doc__))
