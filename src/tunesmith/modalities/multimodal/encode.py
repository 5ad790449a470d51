"""From pictures with texts to rows: pixels at the size that the model sees, tokens with a place for each picture.

A model that compares pictures with texts reads both apart. One that writes about pictures reads a conversation in which
each picture stands as exactly as many tokens as the model makes of it; how conversations are rendered and which turns
are trained is what language models do as well (``parts/turns.py``). No torch, no transformers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from tunesmith.data.media import payload, pictures
from tunesmith.data.picture_talks import PLACE
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.base import Family, family_of
from tunesmith.modalities.chat_template import Template, TemplateRefusal, read_json, special_tokens
from tunesmith.modalities.multimodal.families import FAMILIES
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.parts.picture_rules import ALIKE, PictureRule, Pixels, rule_of
from tunesmith.modalities.parts.turns import TurnEncoder
from tunesmith.spec.errors import KindRefused, NotALanguageModel, TemplateRefused, UnreadableMedia, Where
from tunesmith.spec.examples import (
    KINDS,
    PICTURE_MARK,
    CaptionedImage,
    Conversation,
    Example,
    ImageQuestion,
    Message,
    PictureTalk,
)

VERSION: Final = 2
"""Raised whenever the same example is encoded differently, so that what is cached is made anew."""
PATCH: Final = 16
"""Pixels of a patch's side: what a picture that is compared with a text counts, whatever the model makes of it."""
_PROBE, _REPLY = "Probe", "Reply"


def encoder_of(model_dir: Path, options: MultimodalOptions) -> PairEncoder | TalkEncoder:
    """Make the encoder of a model folder."""
    family = family_of(str(read_json(model_dir / "config.json").get("model_type", "")), FAMILIES)
    return PairEncoder(model_dir) if family.kind == "pair" else TalkEncoder(model_dir, family, options)


class PairEncoder:
    """Reads pictures and their captions for a model that compares them."""

    sampled = 100
    """Pictures that a plan looks at: decoding takes a hundredth of a second and more for each."""

    def __init__(self, model_dir: Path) -> None:
        """Read how the model reads pictures and texts.

        Raises:
            NotALanguageModel: the folder has no ``tokenizer.json``.
        """
        self.rule: PictureRule = rule_of(model_dir)
        self._tokenizer, content = tokenizer_of(model_dir)
        text = read_json(model_dir / "config.json").get("text_config") or {}
        self.limit = int(text.get("max_position_embeddings") or (64 if _type(model_dir).startswith("siglip") else 77))
        """Tokens of a text that the model reads at most."""
        self._lower = _type(model_dir) == "siglip2"
        """Whether it knows small letters alone, as its tokenizer in transformers sees to, whatever the file says."""
        parts = ["pair", VERSION, hashlib.sha256(content).hexdigest(), self.rule.as_list(), self.limit]
        self.fingerprint: str = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        """Of everything that decides how an example is encoded."""
        self.patches = max(2, (self.rule.height // PATCH) * (self.rule.width // PATCH))
        """What a picture counts, before the tokens of its caption."""

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Read one picture and its caption.

        Raises:
            RowFault: the picture cannot be read, or the row is not about one.
        """
        if not isinstance(example, CaptionedImage):
            why = "it compares pictures with their captions"
            raise KindRefused(example.where, KINDS[type(example)], why)
        pixels = fitted(self.rule, example.image, example.where)
        ids = [0] * self.patches + self.text(example.caption)
        mask = [place == 1 for place in range(len(ids))]
        return [EncodedRow(ids, mask, payload.pack({"text": example.caption}, [pixels]))]

    def text(self, caption: str) -> list[int]:
        """Return the tokens of a text; of a long one the beginning, with the token that ends it."""
        ids = self._whole(caption)
        return ids if len(ids) <= self.limit else [*ids[: self.limit - 1], ids[-1]]

    def cuts(self, caption: str) -> bool:
        """Whether a text is longer than what the model reads."""
        return len(self._whole(caption)) > self.limit

    def _whole(self, caption: str) -> list[int]:
        return list(self._tokenizer.encode(caption.lower() if self._lower else caption).ids)


class TalkEncoder:
    """Reads conversations about pictures for a model that writes."""

    sampled = 100
    """Rows that a plan looks at: decoding takes a hundredth of a second and more for each."""

    def __init__(self, model_dir: Path, family: Family, options: MultimodalOptions) -> None:
        """Read how the model reads pictures, and how its template writes them.

        Raises:
            NotALanguageModel: the folder has no tokenizer, or one without a token for pictures.
            NoChatTemplate: the template cannot be used.
        """
        self.rule: PictureRule = rule_of(model_dir)
        self.question = options.prompt
        """What a picture is asked with where nothing is said."""
        self._model_dir = model_dir
        template = None if options.chat_template is None else Path(options.chat_template)
        self.turns = TurnEncoder(
            model_dir, family=family, train_on=options.train_on, chat_template=template, wrap=self._wrap
        )
        """Renders conversations and finds what is trained of them."""
        parts = ["talk", VERSION, self.turns.fingerprint, self.rule.as_list(), str(self.words), self.question]
        self.fingerprint: str = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        """Of everything that decides how an example is encoded."""

    @property
    def has_template(self) -> bool:
        """Whether the model (or the user) brings a template."""
        return self.turns.has_template

    @property
    def borrowed(self) -> Any:
        """The family's template that is used, where there is one."""
        return self.turns.borrowed

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Encode one example, untruncated; each row brings the pictures that stand in it.

        Raises:
            RowFault: a picture cannot be read, or the template will not render the row.
        """
        names, conversation = self._talk(example)
        held = [fitted(self.rule, name, example.where) for name in names]
        self.template.pictures = [self.words.of(pixels) for pixels in held]
        try:
            rows = self.turns(conversation)
        finally:
            self.template.pictures = []
        return [self._with_pictures(row, held, example.where) for row in rows]

    def prompt(self, messages: Sequence[Message], held: Sequence[Pixels] = ()) -> list[int]:
        """Return the tokens after which the model answers; each ``PICTURE_MARK`` in the messages stands for a picture.

        Raises:
            NoChatTemplate: the template will not render the messages.
        """
        self.template.pictures = [self.words.of(pixels) for pixels in held]
        try:
            return self.turns.prompt(list(messages))
        finally:
            self.template.pictures = []

    def spell(self, ids: Sequence[int]) -> str:
        """Return what tokens say, those of a picture once: there may be hundreds of them, all alike."""
        once, run, size = list[int](), 0, self.words.fixed or len(ids)
        for each in ids:
            run = run + 1 if each == self.words.token else 0
            if not run or (run - 1) % size == 0:
                once.append(each)
        return self.turns.spell(once)

    def asked(self, example: Example) -> tuple[tuple[Message, ...], list[Pixels]]:
        """Return what is said up to the last answer of an example, a mark for each picture, and the pictures.

        Raises:
            RowFault: a picture cannot be read.
        """
        names, talk = self._talk(example)
        said = talk.messages[: max(place for place, turn in enumerate(talk.messages) if turn.role == "assistant")]
        shown = sum(turn.content.count(PICTURE_MARK) for turn in said)
        return said, [fitted(self.rule, name, example.where) for name in names[:shown]]

    def _talk(self, example: Example) -> tuple[tuple[str, ...], Conversation]:
        """Return the names of the pictures, and the conversation with a mark for each."""
        where = example.where
        match example:
            case CaptionedImage():
                said = Message("user", f"{PICTURE_MARK}{self.question}"), Message("assistant", example.caption)
                return (example.image,), Conversation(said, where)
            case ImageQuestion():
                question = example.question.replace(PLACE, "").strip()
                said = Message("user", f"{PICTURE_MARK}{question}"), Message("assistant", example.answer)
                return (example.image,), Conversation(said, where)
            case PictureTalk():
                return example.images, Conversation(marked(example), where)
            case Conversation():
                return (), example
        raise KindRefused(where, KINDS[type(example)], "it writes about pictures")

    def _with_pictures(self, row: EncodedRow, held: Sequence[Pixels], where: Where) -> EncodedRow:
        """Add the pictures that stand in a row: all, or the first ones where the row ends before the others."""
        there = row.ids.count(self.words.token)
        counts = [self.words.count(pixels) for pixels in held]
        shown = next((place for place in range(len(held) + 1) if sum(counts[:place]) == there), None)
        if shown is None:
            what = f"its text holds {self.words.image} beside the {len(held)} picture(s) of the row"
            raise TemplateRefused(where, what)
        if not shown:
            return row
        mask = [trained and token != self.words.token for trained, token in zip(row.mask, row.ids, strict=True)]
        last = len(row.ids) - 1 - row.ids[::-1].index(self.words.token)
        return EncodedRow(row.ids, mask, payload.pack({"whole": last + 1}, list(held[:shown])))

    def _wrap(self, template: Template, tokenizer: Tokenizer) -> Template:
        self.words: PictureWords = words_of(self._model_dir, self.rule, tokenizer)
        self.template: PictureTemplate = PictureTemplate(template, self.words)
        return self.template


def marked(talk: PictureTalk) -> tuple[Message, ...]:
    """Return the turns of a talk with a mark for each picture; those that no turn names come first.

    Raises:
        KindRefused: the turns name more pictures than there are.
    """
    named = sum(turn.content.count(PLACE) for turn in talk.messages if turn.role == "user")
    if named > len(talk.images):
        why = f"its turns name {named} pictures and it has {len(talk.images)}"
        raise KindRefused(talk.where, "conversation", why, f"Take out the {PLACE} that stand for none")
    ahead = PICTURE_MARK * (len(talk.images) - named)
    turns: list[Message] = []
    for turn in talk.messages:
        content = turn.content
        if turn.role == "user":
            content = ahead + PICTURE_MARK.join(part.strip() for part in content.split(PLACE))
            ahead = ""
        turns.append(Message(turn.role, content, turn.train, turn.tool_calls))
    return tuple(turns)


def fitted(rule: PictureRule, name: str, where: Where) -> Pixels:
    """Decode a picture at the size that a model sees.

    Raises:
        RowFault: it cannot be read.
    """
    try:
        return rule.fit(pictures.decode(name, where))
    except ValueError as error:
        raise UnreadableMedia(where, name, str(error)) from None


def tokenizer_of(model_dir: Path) -> tuple[Tokenizer, bytes]:
    """Return the tokenizer of a folder, which neither cuts nor pads, and the content of its file.

    Raises:
        NotALanguageModel: there is none.
    """
    path = model_dir / "tokenizer.json"
    if not path.is_file():
        raise NotALanguageModel(str(model_dir), "the folder has no tokenizer.json")
    content = path.read_bytes()
    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, content


# --- how pictures stand among tokens ---


@dataclass(frozen=True)
class PictureWords:
    """How a family writes a picture into a text."""

    placeholder: str
    """What its template writes."""
    image: str
    """The token that stands for a part of a picture, as text."""
    token: int
    """Its number."""
    fixed: int
    """Tokens of every picture; 0: as many as its pixels make, in parts of ``side`` pixels."""
    side: int = 0
    before: str = ""
    after: str = ""
    """What stands around the tokens, in place of the placeholder."""
    bare: str = ""
    """What is written where a template takes only text; empty: the placeholder and a line end."""

    def count(self, pixels: Pixels) -> int:
        """Count the tokens of a picture."""
        return self.fixed or (pixels.shape[0] // self.side) * (pixels.shape[1] // self.side)

    def of(self, pixels: Pixels) -> str:
        """Return the text that stands for a picture."""
        return self.before + self.image * self.count(pixels) + self.after


def words_of(model_dir: Path, rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    """Return how the model of a folder writes pictures.

    Raises:
        NotALanguageModel: its tokenizer has no such token.
    """
    config = read_json(model_dir / "config.json")
    name = _type(model_dir)
    words = _WORDS[ALIKE.get(name, name)](config, rule, tokenizer)
    for part in (words.image, words.placeholder):
        if tokenizer.token_to_id(part) is None:
            raise NotALanguageModel(str(model_dir), f"its tokenizer has no token {part or 'for pictures'}")
    return words


def _named(config: Mapping[str, Any], tokenizer: Tokenizer, keys: Sequence[str], usual: str) -> tuple[str, int]:
    """Return a token that a configuration names by number, as text and number; the usual one where it names none."""
    number = next((config[key] for key in keys if isinstance(config.get(key), int)), tokenizer.token_to_id(usual))
    return (tokenizer.id_to_token(number) or "", number) if number is not None else ("", -1)


_IMAGE: Final = ("image_token_id", "image_token_index")


def _llava(config: Mapping[str, Any], rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    vision = config.get("vision_config") or {}
    patch = vision.get("patch_size") or 14
    first = vision.get("model_type", "clip_vision_model") == "clip_vision_model"
    dropped = config.get("vision_feature_select_strategy", "default") == "default"
    image, token = _named(config, tokenizer, _IMAGE, "<image>")
    count = (rule.height // patch) * (rule.width // patch) + int(first) - int(dropped)
    return PictureWords(image, image, token, count)


def _qwen(config: Mapping[str, Any], rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    image, token = _named(config, tokenizer, _IMAGE, "<|image_pad|>")
    bare = f"<|vision_start|>{image}<|vision_end|>"
    return PictureWords(image, image, token, 0, side=rule.patch * rule.merge, bare=bare)


def _smolvlm(config: Mapping[str, Any], rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    patch = (config.get("vision_config") or {}).get("patch_size") or 14
    factor = config.get("scale_factor") or 2
    image, token = _named(config, tokenizer, _IMAGE, "<image>")
    edge = "<fake_token_around_image>"
    count = (rule.height // patch) ** 2 // factor**2
    return PictureWords(image, image, token, count, before=f"{edge}<global-img>", after=edge, bare=image)


def _gemma(config: Mapping[str, Any], rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    image, token = _named(config, tokenizer, _IMAGE, "<image_soft_token>")
    begin, _ = _named(config, tokenizer, ("boi_token_id", "boi_token_index"), "<start_of_image>")
    end, _ = _named(config, tokenizer, ("eoi_token_id", "eoi_token_index"), "<end_of_image>")
    count = config.get("mm_tokens_per_image") or 256
    return PictureWords(begin, image, token, count, before=f"\n\n{begin}", after=f"{end}\n\n", bare=begin)


def _llama4(config: Mapping[str, Any], rule: PictureRule, tokenizer: Tokenizer) -> PictureWords:
    vision = config.get("vision_config") or {}
    patch, ratio = vision.get("patch_size") or 14, vision.get("pixel_shuffle_ratio") or 0.5
    image, token = _named(config, tokenizer, _IMAGE, "<|patch|>")
    count = (rule.height // patch) * (rule.width // patch) // round(1 / ratio**2)
    before = "<|image_start|><|image|>"
    return PictureWords("<|image|>", image, token, count, before=before, after="<|image_end|>", bare="<|image|>")


_WORDS: Final[dict[str, Callable[[Mapping[str, Any], PictureRule, Tokenizer], PictureWords]]] = {
    "llava": _llava,
    "qwen2_vl": _qwen,
    "smolvlm": _smolvlm,
    "gemma3": _gemma,
    "llama4": _llama4,
}


class PictureTemplate:
    """A chat template around which pictures are written: as parts of a turn where it takes them, else as text."""

    def __init__(self, template: Template, words: PictureWords) -> None:
        self.pictures: list[str] = []
        """The texts that stand for the pictures of the conversation that is being rendered, in their order."""
        self._template = template
        self._words = words
        self._in_parts = self._takes_parts()

    @property
    def source(self) -> str:
        """What decides how messages are rendered."""
        return self._template.source

    @property
    def special_tokens(self) -> dict[str, str]:
        """The tokens that it may name."""
        return self._template.special_tokens

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        add_generation_prompt: bool = False,
    ) -> str:
        """Return the text of a conversation, in which each picture stands as its tokens.

        Raises:
            TemplateRefusal: the template does not take these messages, or writes other pictures than there are.
        """
        written = [self._written(message) for message in messages]
        text = self._template.render(written, tools=tools, add_generation_prompt=add_generation_prompt)
        wanted = sum(str(message.get("content") or "").count(PICTURE_MARK) for message in messages)
        parts = text.split(self._words.placeholder)
        if len(parts) - 1 != wanted or wanted > len(self.pictures):
            raise TemplateRefusal(f"it writes {len(parts) - 1} of {wanted} pictures as {self._words.placeholder}")
        return parts[0] + "".join(
            picture + part for picture, part in zip(self.pictures[:wanted], parts[1:], strict=True)
        )

    def _written(self, message: Mapping[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, str):
            return dict(message)
        if not self._in_parts:
            bare = self._words.bare or f"{self._words.placeholder}\n"
            return {**message, "content": content.replace(PICTURE_MARK, bare)}
        parts: list[dict[str, str]] = []
        for place, said in enumerate(content.split(PICTURE_MARK)):
            parts += [{"type": "image"}] if place else []
            parts += [{"type": "text", "text": said}] if said or PICTURE_MARK not in content else []
        return {**message, "content": parts}

    def _takes_parts(self) -> bool:
        """Whether the template writes a picture where a turn has one as a part, and texts as they are."""
        asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": _PROBE}]}
        said = {"role": "assistant", "content": [{"type": "text", "text": _REPLY}]}
        try:
            text = self._template.render([asked, said])
        except TemplateRefusal:
            return False
        there = all(part in text for part in (self._words.placeholder, _PROBE, _REPLY))
        return there and "'type'" not in text and '"type"' not in text


def special_token(model_dir: Path, name: str) -> str | None:
    """Return a special token of a folder's tokenizer, as text."""
    return special_tokens(model_dir).get(name)


def _type(model_dir: Path) -> str:
    return str(read_json(model_dir / "config.json").get("model_type", ""))
