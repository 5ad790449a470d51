"""The kinds of example by number, as the token cache keeps them."""

from __future__ import annotations

from typing import Final

from tunesmith.spec.examples import (
    CaptionedImage,
    Conversation,
    Example,
    ImageQuestion,
    LabelledText,
    PlainText,
    Preference,
    PromptCompletion,
)

_ORDER: Final[tuple[type, ...]] = (
    Conversation,
    PromptCompletion,
    PlainText,
    LabelledText,
    Preference,
    CaptionedImage,
    ImageQuestion,
)

CONVERSATION, COMPLETION, TEXT, LABEL, PREFERENCE, CAPTION, QUESTION = range(7)


def kind_of(example: Example) -> int:
    """Return the number of an example's kind."""
    return _ORDER.index(type(example))
