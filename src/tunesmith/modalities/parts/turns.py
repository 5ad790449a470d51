"""Examples to tokens: what a language model reads, and which of it is trained.

Conversations are rendered by the model's chat template. What the assistant says, with the token that ends its turn, is
found by rendering the conversation up to each answer and past it. Where a template writes earlier turns differently
once the conversation goes on (Qwen 3 leaves their thoughts out), every answer becomes a row of its own, rendered as it
will be asked for. No torch, no transformers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

from tokenizers import Encoding, Tokenizer

from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.base import Family
from tunesmith.modalities.chat_template import ChatTemplate, Template, TemplateRefusal, load, read_json, special_tokens
from tunesmith.modalities.family_templates import FamilyTemplate, fitting_template
from tunesmith.modalities.tool_turns import Prepared, ToolTurns
from tunesmith.spec.errors import (
    KindRefused,
    NoChatTemplate,
    NotALanguageModel,
    RowFault,
    TemplateRefused,
    UnreadableFile,
    Where,
)
from tunesmith.spec.examples import (
    Conversation,
    Example,
    LabelledText,
    Message,
    PlainText,
    Preference,
    PromptCompletion,
)

VERSION: Final = 2
"""Raised whenever the same example is encoded differently, so that cached tokens are made anew."""

PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ {'user': 'User: ', 'assistant': 'Assistant: '}.get(message.role, '') + message.content }}"
    "{{ eos_token if message.role == 'assistant' else '' }}{{ '\\n' }}"
    "{% endfor %}{{ 'Assistant:' if add_generation_prompt else '' }}"
)
"""For models that bring no template (GPT-2): speakers by name, the end-of-text token after every answer."""

TODAY: Final = datetime(2024, 7, 26)
"""The day that templates are told, so that the same rows are the same tokens on every day. It is the one that Llama 3
templates fall back on where there is no clock."""

_PROBE: Final = "Probe"
_PICTURES: Final = "Train a multimodal model with the pictures, or remove the rows"

Span = tuple[int, int]
"""Characters of a rendered text, from the first to one past the last."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A text that becomes one row."""

    text: str
    spans: tuple[Span, ...]
    """What is trained; every token where empty."""
    rendered: bool
    """Whether a template made it: special tokens stand in the text, and each span ends with the end of a turn."""
    where: Where
    labelled: bool = False
    """Whether it has a class: then the second token stands for the whole, as one thing to learn, and nothing closes
    the text that the tokenizer would not."""


class TurnEncoder:
    """Encodes examples for one model."""

    def __init__(
        self,
        model_dir: Path,
        *,
        family: Family,
        train_on: Literal["assistant", "all"] = "assistant",
        chat_template: Path | None = None,
        today: datetime | None = TODAY,
        wrap: Callable[[Template, Tokenizer], Template] = lambda template, tokenizer: template,
    ) -> None:
        """Read a model's tokenizer and template; ``chat_template`` is a file that replaces the latter.

        ``today`` is the day that templates are told; None is the real one. ``wrap`` may put something around the
        template, such as what writes pictures.

        Raises:
            NotALanguageModel: the folder has no ``tokenizer.json``.
            NoChatTemplate: the template cannot be used.
            UnreadableFile: a file of the tokenizer is damaged.
        """
        self._source = str(chat_template or model_dir)
        self._train_on = train_on
        self._tokenizer, tokenizer_sha256 = _load_tokenizer(model_dir)
        self._special = special_tokens(model_dir)
        own = load(model_dir, chat_template, today=today)
        self.has_template = own is not None
        """Whether the model (or the user) brings a template; else its family's is used, or ``PLAIN_TEMPLATE``."""
        self.borrowed = None if own else self._family_template(family)
        """The family's template that is used, where there is one."""
        plain = self.borrowed.source if self.borrowed else PLAIN_TEMPLATE
        self.template: Template = wrap(own or ChatTemplate(plain, self._special, name=self._source), self._tokenizer)
        self._tool_turns = ToolTurns(self.template)
        self._eos = self._tokenizer.token_to_id(self._special.get("eos_token", ""))
        self._both_sides = family.kind == "encoder"
        self._ending = "" if self._both_sides else self._find_ending()
        self._ending_id = self._tokenizer.token_to_id(self._ending)
        added = self._tokenizer.get_added_tokens_decoder()
        self._special_ids = frozenset(number for number, token in added.items() if token.special)
        known = {self._eos, self._ending_id, *_end_tokens(model_dir)} - {None}
        self.stop_ids: frozenset[int] = frozenset(token for token in known if token is not None)
        """Tokens that end an answer."""
        content = [VERSION, tokenizer_sha256, self.template.source, self._special, train_on, self._both_sides]
        self.fingerprint: str = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        """Of everything that decides how an example is encoded."""

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Encode one example, untruncated.

        Raises:
            TemplateRefused: the template will not render it.
        """
        [result] = self.encode_many([example])
        if isinstance(result, RowFault):
            raise result
        return result

    def encode_many(self, examples: Sequence[Example]) -> list[list[EncodedRow] | RowFault]:
        """Encode each example, or say why it cannot be; on all cores, so faster than one by one."""
        results: list[list[EncodedRow] | RowFault] = []
        pieces: list[tuple[int, _Piece]] = []
        for number, example in enumerate(examples):
            try:
                pieces += [(number, piece) for piece in self._pieces(example)]
                results.append([])
            except RowFault as fault:
                fault.__traceback__ = fault.__context__ = None
                results.append(fault)
        for (number, piece), encoding in zip(pieces, self._encodings([piece for _, piece in pieces]), strict=True):
            row, rows = self._row(piece, encoding), results[number]
            if isinstance(row, RowFault):
                results[number] = row
            elif isinstance(rows, list):
                rows.append(row)
        return results

    def prompt(self, messages: Conversation | Sequence[Message | Mapping[str, Any]]) -> list[int]:
        """Return the tokens after which the model says what comes next in a conversation, which may have tools.

        Raises:
            NoChatTemplate: the template will not render the messages.
        """
        tools = None
        if isinstance(messages, Conversation):
            talk = self._tool_turns.prepared(messages.messages, messages.tools)
            messages, tools = talk.messages, talk.tools
        plain = [_plain(message) if isinstance(message, Message) else message for message in messages]
        try:
            text = self.template.render(plain, tools=tools, add_generation_prompt=True)
        except TemplateRefusal as refusal:
            raise NoChatTemplate(self._source, str(refusal)) from None
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def opening(self) -> list[int]:
        """Return the tokens with which a template begins an answer; none where it begins one with nothing."""
        question = [{"role": "user", "content": "Hello"}]
        try:
            before, asking = (self.template.render(question, add_generation_prompt=each) for each in (False, True))
        except TemplateRefusal:
            return []
        return list(self._encode(asking.removeprefix(before)).ids) if asking.startswith(before) else []

    def asked(self, conversation: Conversation) -> tuple[list[dict[str, Any]], list[Any] | None]:
        """Return the messages and the tools of a conversation as the template takes them."""
        talk = self._tool_turns.prepared(conversation.messages, conversation.tools)
        return talk.messages, talk.tools

    def text(self, prompt: str) -> list[int]:
        """Return the tokens of a bare text that the model shall continue, with those that it begins every text with."""
        ids = list(self._tokenizer.encode(prompt, add_special_tokens=True).ids)
        return ids[:-1] if ids[-1:] == [self._eos] else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return what tokens say, special ones left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def spell(self, ids: Sequence[int]) -> str:
        """Return what tokens say, special ones included; half a character reads as U+FFFD."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def _family_template(self, family: Family) -> FamilyTemplate | None:
        return fitting_template(family.templates, lambda token: self._tokenizer.token_to_id(token) is not None)

    def covering(self) -> tuple[int, list[int]]:
        """Return the token that covers others, and those that are no special ones.

        Raises:
            NotALanguageModel: the tokenizer has no token to cover others with.
        """
        mask = self._tokenizer.token_to_id(self._special.get("mask_token", ""))
        if mask is None:
            raise NotALanguageModel(self._source, "its tokenizer names no mask_token to cover words with")
        every = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return mask, sorted(set(every) - self._special_ids)

    # --- pieces of text ---

    def _pieces(self, example: Example) -> list[_Piece]:
        where = example.where
        if isinstance(example, PlainText):
            return [_Piece(example.text, (), rendered=False, where=where)]
        if isinstance(example, LabelledText):
            return [_Piece(example.text, (), rendered=False, where=where, labelled=True)]
        if self._both_sides and isinstance(example, Conversation | PromptCompletion | Preference):
            raise KindRefused(where, "row with an answer", "it sees both sides of a text and writes none")
        if isinstance(example, Conversation):
            return list(self._conversation(example))
        if isinstance(example, Preference):
            return list(self._pair(example))
        if not isinstance(example, PromptCompletion):
            raise KindRefused(where, "picture", "it reads text alone", _PICTURES)
        text = example.prompt + example.completion
        spans = ((len(example.prompt), len(text)),) if self._train_on == "assistant" else ()
        return [_Piece(text, spans, rendered=False, where=where)]

    def _conversation(
        self, conversation: Conversation, *, train_on: Literal["assistant", "all"] | None = None
    ) -> Iterator[_Piece]:
        talk, where = self._tool_turns.prepared(conversation.messages, conversation.tools), conversation.where
        if (train_on or self._train_on) == "all":
            yield _Piece(self._render(talk, len(talk.messages), where), (), rendered=True, where=where)
            return
        if not talk.trained:
            return
        whole = self._render(talk, talk.trained[-1] + 1, where)
        spans = self._stable_spans(talk, whole, where)
        if spans is not None:
            yield _Piece(whole, spans, rendered=True, where=where)
            return
        for place in talk.trained:
            yield self._served(talk, place, where)

    def _pair(self, preference: Preference) -> Iterator[_Piece]:
        """Render what was said before with the better end, then with the worse; only the ends are trained."""
        before = [replace(message, train=False) for message in preference.messages]
        for end in (preference.chosen, preference.rejected):
            whole = Conversation((*before, *end), preference.where, preference.tools)
            rows = list(self._conversation(whole, train_on="assistant"))
            if len(rows) != 1:
                raise TemplateRefused(preference.where, "an answer of several turns is written differently in each")
            yield rows[0]

    def _stable_spans(self, talk: Prepared, whole: str, where: Where) -> tuple[Span, ...] | None:
        """Find each answer in the whole text; None if a rendering up to there is not how the whole text begins."""
        spans: list[Span] = []
        for place in talk.trained:
            before = self._render(talk, place, where, asking=True)
            after = whole if place == talk.trained[-1] else self._render(talk, place + 1, where)
            if not (after.startswith(before) and whole.startswith(after)):
                return None
            spans.append(self._span(after, len(before), talk.messages[place], where))
        return tuple(spans)

    def _served(self, talk: Prepared, place: int, where: Where) -> _Piece:
        """Render a prompt as it will be served, and the answer behind it."""
        before = self._render(talk, place, where, asking=True)
        after = self._render(talk, place + 1, where)
        answer = talk.messages[place]
        if not after.startswith(before):
            begins = self._begins(talk, place, after, where)
            if begins < 0:
                raise TemplateRefused(where, f"it leaves out what turn {place + 1} says")
            after = before + after[begins:]
        span = self._span(after, len(before), answer, where)
        return _Piece(after, (span,), rendered=True, where=where)

    def _begins(self, talk: Prepared, place: int, after: str, where: Where) -> int:
        """Return where an answer begins in the text that ends with it; -1 if it is not to be found."""
        said = (talk.messages[place]["content"] or "").strip()
        if said:
            return after.rfind(said)
        unasked = self._render(talk, place, where)
        return len(unasked) if after.startswith(unasked) else -1

    def _span(self, text: str, begin: int, answer: Mapping[str, Any], where: Where) -> Span:
        """Return the characters of the answer that begins there, up to the end of its turn."""
        content = answer["content"] or ""
        ends = text.rfind(self._ending, begin)
        if ends < 0:
            raise TemplateRefused(where, f"it does not end an assistant turn with {self._ending}")
        written = text[begin:ends]
        if content not in written and _squeezed(content) not in _squeezed(written):
            raise TemplateRefused(where, "it does not repeat what an assistant turn says")
        if any(call["function"]["name"] not in written for call in answer.get("tool_calls", ())):
            raise TemplateRefused(where, "it leaves out a call that an assistant turn makes")
        return begin, ends + len(self._ending)

    def _render(self, talk: Prepared, turns: int, where: Where, *, asking: bool = False) -> str:
        """Render so many turns of a conversation."""
        try:
            return self.template.render(talk.messages[:turns], tools=talk.tools, add_generation_prompt=asking)
        except TemplateRefusal as refusal:
            raise TemplateRefused(where, str(refusal)) from None

    def _find_ending(self) -> str:
        """Return the text that ends an assistant turn: the first added token after an answer, else all of the rest."""
        messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _PROBE}]
        try:
            _, said, rest = self.template.render(messages).rpartition(_PROBE)
        except TemplateRefusal as refusal:
            raise NoChatTemplate(self._source, f"it renders no answer: {refusal}") from None
        if not said:
            raise NoChatTemplate(self._source, "it leaves out what the assistant says")
        added = self._tokenizer.get_added_tokens_decoder()
        found = (added[token].content for token in self._encode(rest).ids if token in added)
        ending = next((text for text in found if not text.isspace()), rest.strip())
        if not ending:
            raise NoChatTemplate(self._source, "nothing in it ends an assistant turn, so that a model would never stop")
        return str(ending)

    # --- tokens ---

    def _encode(self, text: str) -> Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _encodings(self, pieces: Sequence[_Piece]) -> Iterator[Encoding]:
        """Tokenise pieces in order; a text without a template gets the special tokens that its model begins with."""
        for rendered, alike in groupby(pieces, key=lambda piece: piece.rendered):
            texts = [piece.text for piece in alike]
            yield from self._tokenizer.encode_batch(texts, add_special_tokens=not rendered)

    def _row(self, piece: _Piece, encoding: Encoding) -> EncodedRow | RowFault:
        ids = list(encoding.ids)
        if piece.labelled:
            return EncodedRow(ids, [place == 1 for place in range(len(ids))])
        if self._both_sides:
            return EncodedRow(ids, [token not in self._special_ids for token in ids])
        mask = [not piece.spans] * len(ids)
        for begin, end in piece.spans:
            first, last = _tokens_of(encoding, piece.text, begin, end)
            mask[first : last + 1] = [True] * (last + 1 - first)
            if piece.rendered and self._ending_id is not None and ids[last] != self._ending_id:
                return TemplateRefused(piece.where, f"its {self._ending} is not read as one token")
        if not piece.rendered and self._eos is not None:
            if ids[-1:] == [self._eos]:
                ids, mask = ids[:-1], mask[:-1]
            ids, mask = [*ids, self._eos], [*mask, True]
        if mask:
            mask[0] = False
        if piece.rendered and piece.spans and sum(mask) >= len(mask) - 1:
            return TemplateRefused(piece.where, "nothing comes before the answer")
        return EncodedRow(ids, mask)


def _tokens_of(encoding: Encoding, text: str, begin: int, end: int) -> tuple[int, int]:
    """Return the first and the last token that hold characters of a span."""
    first, last = encoding.char_to_token(begin), encoding.char_to_token(end - 1)
    if first is not None and last is not None and text[end - 1].isascii():
        return first, last
    held = [number for number, (start, stop) in enumerate(_extents(encoding)) if start < end and stop > begin]
    return (held[0], held[-1]) if held else (0, -1)


def _extents(encoding: Encoding) -> Iterator[Span]:
    """Yield the characters of each token, with the blanks that some tokenizers leave out of their offsets."""
    reached = 0
    for start, stop in encoding.offsets:
        yield min(start, reached), stop
        reached = max(reached, stop)


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _load_tokenizer(model_dir: Path) -> tuple[Tokenizer, str]:
    """Return the tokenizer and the sha256 of its file; what it would cut or pad is left whole."""
    path = model_dir / "tokenizer.json"
    if not path.is_file():
        raise NotALanguageModel(str(model_dir), "the folder has no tokenizer.json")
    try:
        content = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # noqa: BLE001  the library raises no class of its own
        raise UnreadableFile(path, str(error)) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, hashlib.sha256(content).hexdigest()


def _end_tokens(model_dir: Path) -> list[int]:
    """Return the tokens at which the model's own configuration stops an answer."""
    found: list[int] = []
    for name in ("config.json", "generation_config.json"):
        ends = read_json(model_dir / name).get("eos_token_id")
        found += [token for token in (ends if isinstance(ends, list) else [ends]) if isinstance(token, int)]
    return found
