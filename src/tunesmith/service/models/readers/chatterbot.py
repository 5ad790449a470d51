"""The ChatterBot corpus: YAML files of conversations become one file of OpenAI messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tunesmith.service.models.readers import Fetched, Reader

ALTERNATIVES: Final = frozenset({"computers", "emotion"})
"""Files in which the lines after a question are several answers to it; elsewhere they are turns in turn."""

Turns = tuple[str, ...]


def read(fetched: Fetched, result: Path) -> str:
    """Write ``chat.jsonl``."""
    result.mkdir()
    return f"{write_conversations(fetched.files, result / 'chat.jsonl'):,} conversations"


def write_conversations(files: Iterable[Path], target: Path) -> int:
    """Write ``chat.jsonl``: one conversation a line, in the order of the files. Return how many there are.

    Half of the corpus repeats itself to the letter; a conversation is written where it first stands.
    """
    seen: set[Turns] = set()
    with target.open("w", encoding="utf-8") as sink:
        for file in files:
            entries = yaml.safe_load(file.read_text(encoding="utf-8")).get("conversations") or []
            for turns in conversations(entries, alternatives=file.stem in ALTERNATIVES):
                if turns not in seen:
                    seen.add(turns)
                    sink.write(json.dumps({"messages": _messages(turns)}, ensure_ascii=False) + "\n")
    return len(seen)


def conversations(entries: Iterable[Any], *, alternatives: bool) -> Iterator[Turns]:
    """Yield conversations that end with an answer; an entry without an answer is left out."""
    for entry in entries:
        turns = _texts(entry)
        if alternatives:
            yield from ((turns[0], answer) for answer in turns[1:])
        elif len(turns) > 1:
            yield turns[: len(turns) - len(turns) % 2]


def _texts(entry: Any) -> Turns:
    if not isinstance(entry, list):
        return ()
    texts = [str(text).strip() for text in entry if text is not None]
    return tuple(text for text in texts if text)


def _messages(turns: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(turns)]


READER = Reader("chatterbot", "the English YAML files became conversations in `chat.jsonl`, each kept once.", read)
