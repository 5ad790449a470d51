"""Tiny models of recordings with random weights, and recordings made of tones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

TONES = {"a": 330.0, "b": 440.0, "c": 550.0, "d": 660.0, "e": 770.0, "f": 880.0, " ": 0.0}
"""Pitch by which a letter is told."""
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "conv_dim": [16, 16, 16], "conv_kernel": [10, 8, 4], "conv_stride": [10, 8, 4],
    "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
WHISPER_TOKENS = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>",
)  # fmt: skip


def tones(said: str, *, rate: int = 16_000, each: float = 0.1, seed: int = 0) -> np.ndarray:
    """A recording in which every letter is a tone, with a little noise."""
    place = np.arange(int(rate * each)) / rate
    noise = np.random.default_rng(seed)
    parts = [0.4 * np.sin(2 * np.pi * TONES[letter] * place) * np.hanning(len(place)) for letter in said]
    wave = np.concatenate(parts)
    return (wave + noise.normal(0, 0.005, len(wave))).astype(np.float32)


def write_sound(file: Path, samples: np.ndarray, rate: int = 16_000, **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, rate, **options)
    return file


def write_speech(folder: Path, texts: list[str], **options: Any) -> Path:
    """Recordings of letters with ``metadata.csv`` beside them."""
    lines = ["file_name,transcription"]
    for number, text in enumerate(texts):
        write_sound(folder / f"{number}.wav", tones(text, seed=number, **options))
        lines.append(f"{number}.wav,{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_classes(folder: Path, count: int, *, first: int = 0) -> Path:
    """A folder of recordings for each of two classes: high tones and low ones."""
    for name, letters in {"high": "ef", "low": "ab"}.items():
        for number in range(first, first + count):
            random = np.random.default_rng(number)
            said = "".join(random.choice(list(letters), 5))
            write_sound(folder / name / f"{number}.wav", tones(said, seed=number))
    return folder


def make_whisper(folder: Path, *, multilingual: bool = False, times: bool = False) -> Path:
    """A Whisper that hears two seconds; with ``times`` it has a token for each fiftieth of a second."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in WHISPER_TOKENS])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = WHISPER_TOKENS[0]
    said = {"tokenizer_class": "WhisperTokenizer", "bos_token": end, "eos_token": end, "unk_token": end}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.token_to_id(end))
    ends["decoder_start_token_id"] = tokenizer.token_to_id(WHISPER_TOKENS[1])
    torch.manual_seed(0)
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in
             (("layers", 1), ("attention_heads", 2), ("ffn_dim", 64))}  # fmt: skip
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size() + 101 * times, d_model=32, max_source_positions=100,
            max_target_positions=64, num_mel_bins=40, classifier_proj_size=16, **sizes, **ends,
        )
    )  # fmt: skip
    model.generation_config = GenerationConfig(
        is_multilingual=multilingual, no_timestamps_token_id=tokenizer.token_to_id("<|notimestamps|>"),
        lang_to_id={name: tokenizer.token_to_id(name) for name in WHISPER_TOKENS[2:4]},
        task_to_id={name: tokenizer.token_to_id(f"<|{name}|>") for name in ("transcribe", "translate")},
        suppress_tokens=[5, 6], begin_suppress_tokens=[7], max_length=64, return_timestamps=False, **ends,
    )  # fmt: skip
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=40, chunk_length=2).save_pretrained(folder)
    return folder


def make_wav2vec2(folder: Path, kind: str = "wav2vec2", **changes: Any) -> Path:
    """A Wav2Vec2, HuBERT or WavLM without a head and without a vocabulary."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(kind, **SMALL | changes)).save_pretrained(folder)
    return folder


def make_ast(folder: Path) -> Path:
    """An AST that hears about a second."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_length=100,
        num_mel_bins=32,
    )  # fmt: skip
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=32, max_length=100).save_pretrained(folder)
    return folder
