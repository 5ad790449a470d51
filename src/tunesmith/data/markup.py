"""Texts in which the turns of a conversation are marked, as some data sets and templates write them.

Each function takes a text apart into turns and leaves the marks out, so that the turns can be written again as another
model wants to see them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tunesmith.data.turns import ROLES, said
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Message, Role

_HASHES: Final = re.compile(r"###[ ]?(Human|User|Assistant|System):[ ]?")
_TRANSCRIPT: Final = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant|System):")
_SPOKEN: Final = re.compile(r"(?:\A|\s|(?<=</s>))(USER|ASSISTANT):")
_CHATML: Final = re.compile(r"<\|im_start\|>[ ]?(\w+)[ ]?\n(.*?)(<\|im_end\|>|\Z)", re.S)
_CHATML_REST: Final = re.compile(r"(?:<\|endoftext\|>|<s>|</s>|<bos>|\s)*")
_INST: Final = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=\[INST\]|\Z)", re.S)
_INST_SYSTEM: Final = (
    re.compile(r"\s*<<SYS>>\n?(.*?)\n?<</SYS>>\s*(.*)", re.S),
    re.compile(r"\s*\[SYSTEM_PROMPT\](.*?)\[/SYSTEM_PROMPT\]\s*(.*)", re.S),
)
_INST_TOOLS: Final = ("[AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]")
_ENDS: Final = ("</s>", "<s>", "<|endoftext|>")


def hash_turns(text: str, column: str, where: Where) -> list[Message]:
    """Read ``### Human: ...### Assistant: ...``, as OpenAssistant-Guanaco writes conversations.

    Raises:
        RowFault: there are no such marks, something stands before the first, or a turn is empty.
    """
    before, spoken = _split(_HASHES, text)
    wanted = "text whose turns begin with '### Human:' and '### Assistant:'"
    if not spoken or before.strip():
        raise WrongType(column, where, text, wanted)
    return _messages(spoken, column, where)


def transcript_turns(text: str, column: str, where: Where) -> list[Message]:
    """Read ``\\n\\nHuman: ...\\n\\nAssistant: ...``, as Anthropic's HH-RLHF writes conversations.

    Raises:
        RowFault: there are no such marks, something stands before the first, or a turn is empty.
    """
    before, spoken = _split(_TRANSCRIPT, text)
    if not spoken or before.strip():
        wanted = "text whose turns begin with 'Human:' and 'Assistant:' after an empty line"
        raise WrongType(column, where, text, wanted)
    return _messages(spoken, column, where)


def spoken_turns(text: str, column: str, where: Where) -> list[Message]:
    """Read ``A chat ... USER: ... ASSISTANT: ...</s>``, as Vicuna 1.1 writes conversations; what comes first is system.

    Raises:
        RowFault: there are no such marks, or a turn is empty.
    """
    before, spoken = _split(_SPOKEN, text)
    if not spoken:
        raise WrongType(column, where, text, "text whose turns begin with 'USER:' and 'ASSISTANT:'")
    system = [Message("system", before.strip())] if before.strip() else []
    return [*system, *_messages([(role, _bare(content)) for role, content in spoken], column, where)]


def chatml_turns(text: str, column: str, where: Where) -> list[Message]:
    """Read ``<|im_start|>user\\n...<|im_end|>``.

    Raises:
        RowFault: something stands outside of the marks, a speaker is not known, or a turn is empty.
    """
    spoken = [(found[1], found[2]) for found in _CHATML.finditer(text)]
    if not spoken or not _CHATML_REST.fullmatch(_CHATML.sub("", text)):
        raise WrongType(column, where, text, "text whose every turn is '<|im_start|>role\\n...<|im_end|>'")
    return _messages(spoken, column, where)


def inst_turns(text: str, column: str, where: Where) -> list[Message]:
    """Read ``<s>[INST] ... [/INST] ...</s>``, with ``<<SYS>>`` or ``[SYSTEM_PROMPT]`` where there is one.

    Raises:
        RowFault: there are no such marks, tools are called in it, or a turn is empty.
    """
    if any(mark in text for mark in _INST_TOOLS):
        raise WrongType(column, where, text, "text without tools; give those as function_calling rows")
    first, system = _bare(text[: max(text.find("[INST]"), 0)]), ""
    begun = _INST_SYSTEM[1].fullmatch(first)
    if begun:
        system, first = begun[1], begun[2]
    exchanges = [(_bare(found[1]), _bare(found[2])) for found in _INST.finditer(text)]
    if not exchanges or first.strip():
        raise WrongType(column, where, text, "text whose questions stand between '[INST]' and '[/INST]'")
    for pattern in _INST_SYSTEM:
        within = pattern.fullmatch(exchanges[0][0])
        if within:
            system, exchanges[0] = within[1], (within[2], exchanges[0][1])
    spoken = [turn for asked, answer in exchanges for turn in (("user", asked), ("assistant", answer))]
    return [Message("system", system.strip()), *_messages(spoken, column, where)]


def _split(mark: re.Pattern[str], text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands before the first mark, and each speaker with what follows the mark."""
    before, *parts = mark.split(text)
    return before, list(zip(parts[::2], parts[1::2], strict=True))


def _messages(spoken: Sequence[tuple[str, str]], column: str, where: Where) -> list[Message]:
    return list(_said(spoken, column, where))


def _said(spoken: Sequence[tuple[str, str]], column: str, where: Where) -> Iterator[Message]:
    for place, (speaker, content) in enumerate(spoken):
        role: Role | None = ROLES.get(speaker.lower())
        if role is None:
            raise WrongType(f"{column}[{place}]", where, speaker, f"one of {', '.join(ROLES)}")
        yield said(role, content.strip(), f"{column}[{place}]", where)


def _bare(text: str) -> str:
    """Leave out the marks of the beginning and the end of a text."""
    for mark in _ENDS:
        text = text.replace(mark, "")
    return text.strip()
