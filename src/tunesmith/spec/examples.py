"""What rows become: one small set of types that every format produces and every encoder consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunesmith.spec.errors import Where

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    train: bool = True
    """Whether an assistant turn is trained on; other roles never are."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order. At least one assistant turn with content; a system turn, if any, comes first."""

    messages: tuple[Message, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class PlainText:
    """Running text; every token is trained."""

    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class PromptCompletion:
    """A bare prompt and how it goes on, without a chat template; only the completion is trained."""

    prompt: str
    completion: str
    where: Where


Example = Conversation | PlainText | PromptCompletion
