"""What rows become: one small set of types that every format produces and every encoder consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.spec.errors import Where

Role = Literal["system", "user", "assistant", "tool"]
PICTURE_MARK: Final = "\ufffc"
"""Stands for a picture in what is said, until a template has written it."""


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
    """Path: as it stands in the row; once the row is placed, absolute."""
    caption: str
    where: Where


@dataclass(frozen=True, slots=True)
class ImageQuestion:
    """A question about a picture, and the answer."""

    image: str
    """Path: as it stands in the row; once the row is placed, absolute."""
    question: str
    answer: str
    where: Where


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A picture and the class it belongs to."""

    image: str
    """Path: as it stands in the row; once the row is placed, absolute."""
    label: str
    where: Where


@dataclass(frozen=True, slots=True)
class Box:
    """A thing in a picture."""

    label: str
    left: float
    top: float
    width: float
    height: float
    relative: bool = False
    """Whether the four numbers are shares of the picture's width and height; else pixels."""


@dataclass(frozen=True, slots=True)
class BoxedImage:
    """A picture and the things in it; none is an answer too."""

    image: str
    """Path: as it stands in the row; once the row is placed, absolute."""
    boxes: tuple[Box, ...]
    where: Where
    names: tuple[str, ...] = ()
    """All classes, where the data set names them (data.yaml, COCO); empty: those that occur."""


@dataclass(frozen=True, slots=True)
class PictureTalk:
    """A conversation about pictures; each ``<image>`` in a turn stands for the next picture."""

    images: tuple[str, ...]
    """Paths: as they stand in the row; once the row is placed, absolute."""
    messages: tuple[Message, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording and what is said in it."""

    audio: str
    """Path: as it stands in the row; once the row is placed, absolute."""
    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class LabelledSound:
    """A recording and the class it belongs to."""

    audio: str
    """Path: as it stands in the row; once the row is placed, absolute."""
    label: str
    where: Where


Example = (
    Conversation
    | PlainText
    | PromptCompletion
    | LabelledText
    | Preference
    | CaptionedImage
    | ImageQuestion
    | LabelledImage
    | BoxedImage
    | PictureTalk
    | Speech
    | LabelledSound
)

KINDS: Final[dict[type, str]] = {
    Conversation: "conversation",
    PromptCompletion: "completion",
    PlainText: "text",
    LabelledText: "label",
    Preference: "preference",
    CaptionedImage: "caption",
    ImageQuestion: "image question",
    LabelledImage: "labelled image",
    BoxedImage: "boxed image",
    PictureTalk: "picture talk",
    Speech: "speech",
    LabelledSound: "labelled sound",
}
"""Each type of example, by the name that ``DataFacts.kinds`` counts it under."""
