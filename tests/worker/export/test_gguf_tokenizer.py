"""Tokenizers in GGUF: llama.cpp cuts text as the tokenizers package does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from require import need
from tiny import make_tiny_model
from tunesmith.spec.errors import NotForGguf
from tunesmith.worker.export import gguf_tokenizer
from tunesmith.worker.export.gguf_file import Talk, write_gguf
from tunesmith.worker.export.gguf_tokenizer import PRE_TOKENIZERS, read_tokenizer
from tunesmith.worker.export.replay import Replayed

TEXTS = (
    "The quick brown fox doesn't jump over 12345 lazy dogs, does it?",
    "  two  blanks\tand\n\n\nlines \r\n end  ",
    "Größe, naïve, Ελλάδα, Привет, 你好世界, こんにちは, 🙂👍🏽 and ½ of 3.14!",
    "def add(a, b):\n    return a + b  # ok?\n",
    "I'LL we've THEY'RE don't o'clock ''' \"x\"",
    "<|im_start|>user\nhi<|im_end|> tail",
    "",
)
STEPS = {
    "bytes by words": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    "single digits": pre_tokenizers.Digits(individual_digits=True),
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def on_bytes(cut: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    steps = [STEPS.get(name) or pre_tokenizers.Split(Regex(name), "isolated") for name in cut]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator([*TEXTS[:5]] * 3, trainer)
    return tokenizer


def on_characters(*, blank: bool) -> Tokenizer:
    """As SentencePiece's models are converted: bytes for what is unknown, ▁ for blanks."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), *steps] if blank else steps)
    base = ["<unk>", *(f"<0x{value:02X}>" for value in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=620, special_tokens=base, show_progress=False)
    tokenizer.train_from_iterator([TEXTS[0], TEXTS[3], "some words that are joined to others"] * 3, trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:1]
    again = Tokenizer.from_str(json.dumps(content))
    again.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return again


TOKENIZERS: dict[str, Any] = {
    **{name: lambda cut=cut: on_bytes(cut) for cut, name in PRE_TOKENIZERS.items()},
    "llama, a blank before": lambda: on_characters(blank=True),
    "llama": lambda: on_characters(blank=False),
}


def folder_of(tokenizer: Tokenizer, folder: Path) -> Path:
    make_tiny_model(folder, vocabulary=tokenizer.get_vocab_size(with_added_tokens=True) + 3)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "bos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", TOKENIZERS)
def test_llama_cpp_makes_the_same_tokens(name: str, tmp_path: Path) -> None:
    import importlib.util

    need(importlib.util.find_spec("xllamacpp") is not None, "xllamacpp is not installed")
    from tunesmith.worker.export.llama_cpp import LlamaCpp

    tokenizer = TOKENIZERS[name]()
    folder = folder_of(tokenizer, tmp_path / "model")
    begin, end = (tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|im_end|>"))
    for begins in (False, True):
        file = tmp_path / f"{begins}.gguf"
        write_gguf(folder, file, name="tiny", quantization="f16", talk=Talk(None, end, None, begins=begins))
        server = LlamaCpp(file)
        for text in TEXTS:
            expected = tokenizer.encode(text, add_special_tokens=False).ids
            found = server.prompt(Replayed(None, None, text, (), ()))
            assert found == ([begin] if begins else []) + expected, text
        server.close()


def test_rows_without_a_token_are_named_and_never_used(tmp_path: Path) -> None:
    folder = folder_of(on_bytes(("bytes by words",)), tmp_path / "model")
    count = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    found = read_tokenizer(folder, count + 3)
    assert found.tokens[-3:] == [f"[PAD{count}]", f"[PAD{count + 1}]", f"[PAD{count + 2}]"]
    assert found.types[-3:] == [gguf_tokenizer.UNUSED] * 3
    assert found.types[found.number("<|im_start|>") or 0] == gguf_tokenizer.CONTROL
    with pytest.raises(NotForGguf, match=f"rows for {count - 1}"):
        read_tokenizer(folder, count - 1)


def test_another_way_to_cut_text_is_refused(tmp_path: Path) -> None:
    tokenizer = on_bytes(("bytes by words",))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    for other, sentence in ((tokenizer, "cuts text in a way that is not known here"), (words, "of the kind WordLevel")):
        other.save(str(tmp_path / "tokenizer.json"))
        with pytest.raises(NotForGguf, match=sentence):
            read_tokenizer(tmp_path, 1000)
