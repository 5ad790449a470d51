"""What single tokens say."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tiny import make_tokenizer
from tunesmith.worker.serving.spelling import Spelling


def test_byte_level_tokens_are_bytes(tmp_path: Path) -> None:
    make_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    spelling = Spelling(tmp_path)
    text = "Grüß Gott\n\x00 🙂"
    ids = tokenizer.encode(text).ids
    assert b"".join(spelling.bytes_of(token) for token in ids).decode() == text
    assert spelling.text_of(ids[2]) == "\ufffd"
    assert spelling.text_of(tokenizer.token_to_id("<|im_end|>")) == "<|im_end|>"
    assert spelling.bytes_of(10**6) == b""


def test_pieces_of_sentences_have_blanks_and_single_bytes(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("\u2581Hi", -1.0), ("<0xC3>", -2.0), ("<0xBC>", -2.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    spelling = Spelling(tmp_path)
    assert [spelling.bytes_of(token) for token in range(1, 5)] == [b" Hi", b"\xc3", b"\xbc", b"</s>"]
