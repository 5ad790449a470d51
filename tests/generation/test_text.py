"""Text comes whole from tokens, whatever the tokens cut through."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from tunesmith.generation.text import Detokenizer, first_of, possible_start


def test_bytes_that_never_become_a_character_do_not_hold_the_rest_back(tiny_model: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    detokenizer = Detokenizer(lambda ids: tokenizer.decode(list(ids)))
    broken = tokenizer.encode("日", add_special_tokens=False).ids[:1]
    assert "".join(detokenizer.add(token) for token in broken * 10).startswith("\ufffd")
    assert detokenizer.add(tokenizer.encode("x").ids[0]).endswith("x")


def test_the_stop_text_that_comes_first_ends_the_text() -> None:
    assert first_of(["b", "ab"], "xxab") == 2
    assert first_of(["z"], "xxab") is None


def test_text_that_a_stop_text_could_begin_with_is_measured_at_its_longest() -> None:
    assert possible_start(["\nUser:", "er"], "one\nUse") == 4
    assert possible_start(["\nUser:"], "one") == 0
