"""A model's chat template, rendered without transformers: the same text as its ``apply_chat_template``.

Templates come with models, so they run in a sandbox (transformers' guide "Chat templates" describes them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunesmith.spec.errors import NoChatTemplate, UnreadableFile

SPECIAL_TOKENS: Final = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Tokens that a template may name."""


class TemplateRefusal(Exception):
    """The template will not render these messages; the text is its own."""


class Template(Protocol):
    """What renders the messages of a conversation."""

    @property
    def source(self) -> str:
        """What decides how messages are rendered."""
        ...

    @property
    def special_tokens(self) -> dict[str, str]:
        """The tokens that it may name."""
        ...

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        add_generation_prompt: bool = False,
    ) -> str:
        """Return the text of a conversation (see ``ChatTemplate``)."""
        ...


class ChatTemplate:
    """Renders messages as a model wants to see them."""

    def __init__(
        self, source: str, special_tokens: Mapping[str, str], *, name: str, today: datetime | None = None
    ) -> None:
        """Compile a template.

        ``name`` is what to call it in errors; ``today`` is the date that it is told, the real one if None.

        Raises:
            NoChatTemplate: it is no Jinja template.
        """
        self.source = source
        self.special_tokens = dict(special_tokens)
        environment = _environment(today)
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise NoChatTemplate(name, " ".join(str(error).split())) from None
        # Every rendering copies the globals, and copying Jinja's chain of maps takes half of its time.
        self._template.globals = dict(self._template.globals)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        add_generation_prompt: bool = False,
    ) -> str:
        """Return the text of a conversation, with what comes before an answer if asked.

        ``tools`` are definitions of functions; a template that knows none leaves them out (``tool_turns`` finds out).

        Raises:
            TemplateRefusal: the template does not take these messages.
        """
        try:
            return self._template.render(
                self.special_tokens,
                messages=[dict(message) for message in messages],
                tools=list(tools) if tools else None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
            )
        except Exception as error:  # noqa: BLE001  a template is someone's program and can raise anything
            raise TemplateRefusal(" ".join(str(error).split()) or type(error).__name__) from None


def load(model_dir: Path, override: Path | None = None, *, today: datetime | None = None) -> ChatTemplate | None:
    """Return a model's chat template, or the one in another file; None if the model has none.

    Raises:
        NoChatTemplate: there is one and it cannot be used.
        UnreadableFile: a file that holds one cannot be read.
    """
    where = override or model_dir
    source = _read(override) if override else _find(model_dir)
    if source is None:
        return None
    return ChatTemplate(source, special_tokens(model_dir), name=str(where), today=today)


def special_tokens(model_dir: Path) -> dict[str, str]:
    """Return the special tokens that a tokenizer's configuration names, as text."""
    config = read_json(model_dir / "special_tokens_map.json") | read_json(model_dir / "tokenizer_config.json")
    named = ((name, config.get(name)) for name in SPECIAL_TOKENS)
    return {name: token["content"] if isinstance(token, dict) else str(token) for name, token in named if token}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds; an empty one if there is no such file.

    Raises:
        UnreadableFile: the file is there and holds something else.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFile(path, str(error)) from None
    if not isinstance(content, dict):
        raise UnreadableFile(path, "it holds no JSON object")
    return content


def _find(model_dir: Path) -> str | None:
    """Look where transformers looks: the template's own file first, then the tokenizer's configuration."""
    own = model_dir / "chat_template.jinja"
    if own.exists():
        return _read(own)
    for name in ("tokenizer_config.json", "chat_template.json"):
        found = read_json(model_dir / name).get("chat_template")
        if found is not None:
            return _default(found, model_dir)
    return None


def _default(found: object, model_dir: Path) -> str:
    """Choose among named templates."""
    if isinstance(found, str):
        return found
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict) and each.get("name") == "default" and isinstance(each.get("template"), str):
            return str(each["template"])
    raise NoChatTemplate(str(model_dir), "it has several and none is the default")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(path, str(error)) from None


def _environment(today: datetime | None) -> ImmutableSandboxedEnvironment:
    def strftime_now(pattern: str) -> str:
        return (today or datetime.now()).strftime(pattern)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _raise, "strftime_now": strftime_now}
    return environment


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON as it is; Jinja's own filter would escape HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


class _Generation(Extension):
    """``{% generation %}``: marks what the model writes; it renders as what it holds."""

    tags = {"generation"}  # noqa: RUF012  jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        """Return what stands between the tags, in a scope of its own."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)
