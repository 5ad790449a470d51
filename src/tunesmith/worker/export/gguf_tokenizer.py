"""A tokenizer.json as a GGUF file describes it: tokens, their types, merges or scores, and how text is cut before.

Two kinds of byte pair encoding are written: that on bytes (``gpt2`` in GGUF: GPT-2, Llama 3, Qwen, SmolLM), and that
on characters with bytes for what is unknown (``llama``: Llama 2, Mistral, Gemma, Phi 3). In the second, llama.cpp
joins by score what transformers joins by the order of merges; the order makes the scores.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.spec.errors import NotForGguf

_WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS: Final[dict[tuple[str, ...], str]] = {
    ("bytes by words",): "gpt-2",
    ("single digits", "bytes by words"): "smollm",
    (_WORDS % r"\p{N}{1,3}", "bytes"): "llama-bpe",
    (_WORDS % r"\p{N}", "bytes"): "qwen2",
}
"""llama.cpp's name for each way to cut text before byte pairs are merged (``llama-vocab.cpp``)."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Types of token in GGUF."""

_BYTE_TOKEN: Final = re.compile(r"<0x[0-9A-F]{2}>")
_BLANK: Final = "▁"
_IDLE: Final = "## ##"
"""Stands for no merges at all, as llama.cpp wants one: where nothing is merged, its halves never come to be."""


@dataclass(frozen=True)
class GgufTokenizer:
    """What is written of a tokenizer."""

    model: str
    """gpt2 or llama."""
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str] | None
    scores: list[float] | None
    add_space: bool
    """Whether a blank is put before the text."""

    def number(self, text: str | None) -> int | None:
        """Return the id of a token; None if there is none of that text."""
        return self.tokens.index(text) if text in self.tokens else None


def read_tokenizer(folder: Path, rows: int) -> GgufTokenizer:
    """Read ``tokenizer.json``; ``rows`` are those of the embeddings, which may be more than there are tokens.

    Raises:
        NotForGguf: llama.cpp does not cut text as this tokenizer does.
    """
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = content["model"]
    if model.get("type") != "BPE":
        raise NotForGguf(f"its tokenizer is of the kind {model.get('type')}, and only BPE is written")
    tokens, types = _tokens(content, rows)
    if model.get("byte_fallback"):
        return GgufTokenizer(
            "llama", "default", tokens, types, None, _scores(model["merges"], tokens), _begins_with_blank(content)
        )
    merges = [" ".join(_pair(merge)) for merge in model["merges"]]
    return GgufTokenizer("gpt2", _pre(content), tokens, types, merges or [_IDLE], None, add_space=False)


def _tokens(content: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    model, added = content["model"], {each["id"]: each for each in content["added_tokens"]}
    named: dict[int, str] = {number: text for text, number in model["vocab"].items()}
    named |= {number: each["content"] for number, each in added.items()}
    if named and max(named) >= rows:
        raise NotForGguf(f"its tokenizer has a token of number {max(named)}, and the model rows for {rows}")
    tokens = [named.get(number, f"[PAD{number}]") for number in range(rows)]
    return tokens, [_type(number, named, added, model) for number in range(rows)]


def _type(number: int, named: dict[int, str], added: dict[int, dict[str, Any]], model: dict[str, Any]) -> int:
    if number not in named:
        return UNUSED
    if named[number] == model.get("unk_token"):
        return UNKNOWN
    if number in added:
        return CONTROL if added[number]["special"] else USER_DEFINED
    return BYTE if model.get("byte_fallback") and _BYTE_TOKEN.fullmatch(named[number]) else NORMAL


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ", 1) if isinstance(merge, str) else merge


def _scores(merges: list[Any], tokens: list[str]) -> list[float]:
    """Score each token by the first merge that makes it, so that earlier merges come first in llama.cpp too."""
    first: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        first.setdefault("".join(_pair(merge)), rank)
    return [-float(first.get(token, len(merges))) for token in tokens]


def _begins_with_blank(content: dict[str, Any]) -> bool:
    steps = [*_steps(content["normalizer"], "normalizers"), *_steps(content["pre_tokenizer"], "pretokenizers")]
    prepended = any(step["type"] == "Prepend" and step["prepend"] == _BLANK for step in steps)
    schemes = [step.get("prepend_scheme", "always") for step in steps if step["type"] == "Metaspace"]
    return prepended or any(scheme != "never" for scheme in schemes)


def _pre(content: dict[str, Any]) -> str:
    cut = tuple(_said(step) for step in _steps(content["pre_tokenizer"], "pretokenizers"))
    name = PRE_TOKENIZERS.get(cut)
    if name is None:
        raise NotForGguf(f"its tokenizer cuts text in a way that is not known here ({', '.join(cut) or 'not at all'})")
    return name


def _steps(part: dict[str, Any] | None, inside: str) -> list[dict[str, Any]]:
    """Return the steps of a normalizer or pre-tokenizer, which may be a sequence of several."""
    if part is None:
        return []
    return list(part[inside]) if part["type"] == "Sequence" else [part]


def _said(step: dict[str, Any]) -> str:
    """Name a step of cutting, so that steps that do the same have the same name."""
    match step:
        case {"type": "ByteLevel", "add_prefix_space": False}:
            return "bytes by words" if step.get("use_regex", True) else "bytes"
        case {"type": "Digits", "individual_digits": True}:
            return "single digits"
        case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
            return str(pattern)
    return json.dumps(step, ensure_ascii=False)
