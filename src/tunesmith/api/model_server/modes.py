"""What the field ``mode`` does: how freely the model draws where the request leaves it open, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ModeName(StrEnum):
    """A way to ask."""

    AUTO = "auto"
    CHAT = "chat"
    COMPLETE = "complete"
    INSTRUCT = "instruct"
    CREATIVE = "creative"
    CODE = "code"
    ANALYZE = "analyze"
    TRANSLATE = "translate"
    SUMMARIZE = "summarize"


@dataclass(frozen=True)
class Mode:
    """What a mode stands for."""

    title: str
    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 4096
    opening: str = ""
    """Stands before the prompt of a request; conversations are left as they are."""


MODES: Final = {
    ModeName.AUTO: Mode("A conversation, or a continuation where the model was made for that alone"),
    ModeName.CHAT: Mode("An answer in a conversation"),
    ModeName.COMPLETE: Mode("A continuation of the prompt as it stands", temperature=0.8, top_p=0.95),
    ModeName.INSTRUCT: Mode("An instruction, followed closely", temperature=0.3, opening="Do exactly this: "),
    ModeName.CREATIVE: Mode("Something imagined", temperature=1.2, top_p=0.95, opening="Use your imagination: "),
    ModeName.CODE: Mode("A program", temperature=0.2, top_p=0.95, max_tokens=1024, opening="Write code for this: "),
    ModeName.ANALYZE: Mode("An analysis", temperature=0.1, opening="Analyse this: "),
    ModeName.TRANSLATE: Mode("A translation", temperature=0.3, opening="Translate this: "),
    ModeName.SUMMARIZE: Mode("A summary", temperature=0.5, opening="Summarise this: "),
}
"""Every mode; the numbers are those that the installer of model directories documents."""
