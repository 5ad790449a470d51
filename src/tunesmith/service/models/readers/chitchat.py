"""The chitchat data set: one JSON object of conversations between two people becomes OpenAI messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunesmith.service.models.readers import Fetched, Reader
from tunesmith.spec.errors import PullFailed

Turn = tuple[str, str]
"""Sender and text."""


def read(fetched: Fetched, result: Path) -> str:
    """Write ``chat.jsonl``: one conversation a line, in the order of the file."""
    result.mkdir()
    [file] = fetched.files
    try:
        chats = json.loads(file.read_text(encoding="utf-8"))
        written = [messages for chat in chats.values() if (messages := conversation(chat["messages"]))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PullFailed(fetched.alias.name, f"{file.name} is not the file that was expected ({error})") from None
    lines = (json.dumps({"messages": messages}, ensure_ascii=False) for messages in written)
    (result / "chat.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"{len(written):,} conversations"


def conversation(bursts: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, str]]:
    """Make one conversation: who speaks first asks, the other answers; what one says in a row is one turn.

    It ends with the last answer; empty if nobody answers.
    """
    turns = list(_turns(bursts))
    if not turns:
        return []
    first = turns[0][0]
    messages = [{"role": "user" if sender == first else "assistant", "content": text} for sender, text in turns]
    return messages if messages[-1]["role"] == "assistant" else messages[:-1]


def _turns(bursts: Sequence[Sequence[dict[str, Any]]]) -> Iterator[Turn]:
    """Join what one person says in a row."""
    sender, said = "", list[str]()
    for message in (message for burst in bursts for message in burst):
        text = str(message["text"]).strip()
        if message["sender"] != sender:
            if said:
                yield sender, "\n".join(said)
            sender, said = str(message["sender"]), []
        if text:
            said.append(text)
    if said:
        yield sender, "\n".join(said)


READER = Reader("chitchat", "the conversations became OpenAI messages in `chat.jsonl`; the first speaker asks.", read)
