"""A Modelfile for Ollama, whose TEMPLATE says in Go what the trained chat template says in Jinja.

The parts between turns are found by rendering a small conversation: what stands before and after what the user, the
assistant and the system say. Put together in Go, they are rendered beside the trained template, over conversations of
every shape and over prompts of the training. Only a template that gives the same text each time is written; for
another one the Modelfile has none, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities.chat_template import TemplateRefusal
from tunesmith.worker.export.go_template import render

if TYPE_CHECKING:
    from tunesmith.modalities.chat_template import Template

_S, _U, _A, _V = "Sysprobe", "Userprobe", "Ansprobe", "Vserprobe"
_SYSTEM: Final = {"role": "system", "content": _S}
_TALK: Final = [
    {"role": "user", "content": _U},
    {"role": "assistant", "content": _A},
    {"role": "user", "content": _V},
]
_UNPROVEN: Final = "the chat template is not put together of what stands before and after each turn"


@dataclass(frozen=True)
class OllamaTemplate:
    """A template in Go, or why there is none."""

    go: str | None
    why: str
    notes: tuple[str, ...] = ()
    """What a user must know of it."""


def modelfile(file: str, template: OllamaTemplate, stops: Sequence[str]) -> str:
    """Return the text of a Modelfile for a GGUF file beside it."""
    lines = [f"FROM ./{file}"]
    lines += [f"# {note}" for note in template.notes]
    if template.go is None:
        lines.append(f"# No TEMPLATE: {template.why}. Ollama falls back on what it finds in the file, unproven.")
    else:
        lines.append(f'TEMPLATE """{template.go}"""')
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in stops]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ollama_template(
    template: Template, prompts: Sequence[Sequence[Mapping[str, Any]]], *, begin: str
) -> OllamaTemplate:
    """Say a chat template in Go, proven over ``prompts`` too.

    ``begin`` is the text of the token that llama.cpp puts before every text by itself, empty where it puts none.
    """
    try:
        go = _put_together(template, begin)
    except (TemplateRefusal, ValueError):
        return OllamaTemplate(None, _UNPROVEN)
    if '"""' in go:
        return OllamaTemplate(None, 'it holds """, which ends a text in a Modelfile')
    notes = []
    has_system = _renders(template, [_SYSTEM, *_TALK])
    if not has_system:
        notes.append("The trained template takes no system prompt: one that is given here is left out.")
    trims = _trims(template)
    if trims:
        notes.append("The trained template trims blanks around what is said; Ollama does not.")
    shapes: list[Sequence[Mapping[str, Any]]] = [_TALK[:1], _TALK]
    shapes += [[_SYSTEM, *shape] for shape in (_TALK[:1], _TALK)] if has_system else []
    for messages in [*shapes, *prompts]:
        turns = [{**turn, "content": str(turn["content"]).strip() if trims else turn["content"]} for turn in messages]
        if begin + render(go, turns) != template.render(turns, add_generation_prompt=True):
            return OllamaTemplate(None, _UNPROVEN)
    return OllamaTemplate(go, "", tuple(notes))


def _put_together(template: Template, begin: str) -> str:
    """Build the Go template.

    Raises:
        TemplateRefusal, ValueError: the template is of another kind.
    """
    talk, asked = template.render(_TALK), template.render(_TALK, add_generation_prompt=True)
    head, between, again, after_user = _cut(talk, _U, _A, _V)
    _, _, after_answer = _cut(template.render(_TALK[:2]), _U, _A)
    before_answer = _without_start(between, after_user)
    before_user = _without_start(again, after_answer)
    head = _without_start(_without_end(head, before_user), begin)
    asking = _without_start(asked, talk)
    parts = {"user": (before_user, after_user), "assistant": (before_answer, after_answer)}
    system = _system(template, begin)
    opening, inside = _text(head), ""
    if system is not None and system[1].endswith(before_user):
        parts["system"] = (system[0], _without_end(system[1], before_user))
        opening = "{{ if not .System }}" + opening + "{{ end }}" if head else ""
    elif system is not None:
        before = _without_start(system[0], head + before_user)
        inside = "{{ if and $.System (eq $i 1) }}" + _text(before) + "{{ $.System }}" + _text(system[1]) + "{{ end }}"
    turns, test = "", "if"
    for role, (before, after) in parts.items():
        turns += f'{{{{ {test} eq .Role "{role}" }}}}' + _text(before) + (inside if role == "user" else "")
        turns += "{{ .Content }}" + _text(after)
        test = "else if"
    return opening + "{{ range $i, $_ := .Messages }}" + turns + "{{ end }}{{ end }}" + _text(asking)


def _system(template: Template, begin: str) -> tuple[str, str] | None:
    """Return what stands before what the system says, and between it and the user; None if no system may speak."""
    if not _renders(template, [_SYSTEM, *_TALK]):
        return None
    before, after, *_ = _cut(template.render([_SYSTEM, *_TALK]), _S, _U)
    return _without_start(before, begin), after


def _renders(template: Template, messages: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return all(str(message["content"]) in template.render(messages) for message in messages)
    except TemplateRefusal:
        return False


def _trims(template: Template) -> bool:
    spaced = [{**turn, "content": f" {turn['content']} "} for turn in _TALK]
    return template.render(spaced) == template.render(_TALK)


def _cut(text: str, *probes: str) -> list[str]:
    """Return what stands before, between and after the probes, each of which is there once and in order."""
    found = []
    for probe in probes:
        if text.count(probe) != 1:
            raise ValueError(probe)
        before, _, text = text.partition(probe)
        found.append(before)
    return [*found, text]


def _without_start(text: str, start: str) -> str:
    if not text.startswith(start):
        raise ValueError(start)
    return text.removeprefix(start)


def _without_end(text: str, end: str) -> str:
    if not text.endswith(end):
        raise ValueError(end)
    return text.removesuffix(end)


def _text(text: str) -> str:
    """Return a text as it stands in a Go template.

    Raises:
        ValueError: it holds what would begin an action.
    """
    if "{{" in text:
        raise ValueError(text)
    return text
