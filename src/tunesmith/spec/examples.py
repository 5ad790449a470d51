"""What rows become: one small set of types that every format produces and every encoder consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.spec.errors import Where

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    train: bool = True
    """Whether an assistant turn is trained on; other roles never are."""
    tool_calls: str = ""
    """JSON list of the calls that an assistant turn makes, ``{"name", "arguments"}`` each; empty: none."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order. At least one assistant turn that says or calls something; a system turn, if any, comes first."""

    messages: tuple[Message, ...]
    where: Where
    tools: str = ""
    """JSON list of the tools that the assistant may call; empty: none."""


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


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and the class it belongs to."""

    text: str
    label: str
    where: Where


@dataclass(frozen=True, slots=True)
class Preference:
    """A conversation up to an answer, the better answer and the worse one."""

    messages: tuple[Message, ...]
    chosen: tuple[Message, ...]
    """What follows if it goes well; ends with an assistant turn."""
    rejected: tuple[Message, ...]
    where: Where
    tools: str = ""
    """JSON list of the tools that the assistant may call; empty: none."""


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """A picture and what it shows."""

    image: str
    """Path, relative to the file of the row."""
    caption: str
    where: Where


@dataclass(frozen=True, slots=True)
class ImageQuestion:
    """A question about a picture, and the answer."""

    image: str
    """Path, relative to the file of the row."""
    question: str
    answer: str
    where: Where


Example = Conversation | PlainText | PromptCompletion | LabelledText | Preference | CaptionedImage | ImageQuestion

KINDS: Final[dict[type, str]] = {
    Conversation: "conversation",
    PromptCompletion: "completion",
    PlainText: "text",
    LabelledText: "label",
    Preference: "preference",
    CaptionedImage: "caption",
    ImageQuestion: "image question",
}
"""Each type of example, by the name that ``DataFacts.kinds`` counts it under."""
