"""Models of pictures and texts that answer: what a picture shows, and which texts are near to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tunesmith.data.media.pictures import decoded
from tunesmith.modalities.base import family_of
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.multimodal.encode import PairEncoder, TalkEncoder, special_token, tokenizer_of
from tunesmith.modalities.multimodal.families import FAMILIES
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.parts.adapter_layers import refuse_other
from tunesmith.modalities.parts.asking import Question
from tunesmith.modalities.parts.picture_inputs import format_of, marks, picture_inputs
from tunesmith.modalities.parts.picture_rules import PictureRule, Pixels
from tunesmith.spec.errors import BadValue, UnreadableMedia, Where
from tunesmith.spec.examples import PICTURE_MARK, CaptionedImage, Conversation, ImageQuestion, Message, PictureTalk
from tunesmith.training.forward import inner
from tunesmith.training.loading import load_pair, load_talker

ANSWER_TOKENS: Final = 128
"""Most tokens of an answer where nobody says otherwise."""
TEMPLATE: Final = "chat_template.jinja"
"""The template of an adapter, which may be another than its base's."""
AT_ONCE: Final = 64
"""Texts or pictures whose vectors are computed together."""
Vectors = NDArray[np.float32]


def load_predictor(
    model_dir: Path, adapter: Path | None = None, device: str = "cpu", precision: str = "fp32"
) -> TalkPredictor | PairPredictor:
    """Load a model folder, and an adapter onto it, ready to answer.

    Raises:
        ConfigError: the folder holds no model of pictures and texts.
        AdapterMismatch: the adapter's shapes are not those of the model.
    """
    family = family_of(str(read_json(model_dir / "config.json").get("model_type", "")), FAMILIES)
    pair = family.kind == "pair"
    model = (load_pair if pair else load_talker)(model_dir, precision)
    if adapter is not None:
        from peft import PeftModel

        refuse_other(model, adapter, model_dir)

        model = PeftModel.from_pretrained(model, str(adapter))
    model = model.to(device).eval()
    if pair:
        return PairPredictor(model, PairEncoder(model_dir), padding_of(model_dir, model))
    return TalkPredictor(model, TalkEncoder(model_dir, family, _options(model_dir, adapter)))


class TalkPredictor:
    """Writes about pictures, with a model that was loaded or one in the middle of its training."""

    def __init__(self, model: Any, encoder: TalkEncoder) -> None:
        self._model = model
        self._encoder = encoder

    def predict(self, image: bytes | None, text: str | None, **options: Any) -> dict[str, Any]:
        """Answer ``text`` about a picture, either of which may be missing: ``{"text": ...}``.

        Options are those of ``chat``.

        Raises:
            BadValue: there is neither a picture nor a text, or ``chat`` refuses it.
        """
        if image is None and not text:
            raise BadValue("image", None, "a picture, or a text that is answered without one")
        pictures = [] if image is None else [image]
        asked = Message("user", PICTURE_MARK * len(pictures) + (text or ""))
        return {"text": self.chat([asked], pictures, **options)["text"]}

    def chat(
        self, messages: Sequence[Message], pictures: Sequence[bytes], *, max_tokens: int = ANSWER_TOKENS,
        **options: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Go on with a chat that has a ``PICTURE_MARK`` for each picture.

        Returns ``{"text", "prompt_tokens", "tokens", "finish_reason"}``.
        ``max_tokens`` is cut to what the model has room for. ``temperature`` (0: the likeliest), ``top_p``, ``top_k``,
        ``seed`` and ``stopped``, which is asked after each token whether to end, are options.

        Raises:
            BadValue: what is sent is no picture, or too much is said.
            NoChatTemplate: the template will not render the chat.
        """
        held = [seen(self._encoder.rule, picture) for picture in pictures]
        ids = self._encoder.prompt([self._asking(message) for message in messages], held)
        room = inner(self._model).config.get_text_config().max_position_embeddings - len(ids)
        if room < 1:
            raise BadValue("messages", f"{len(ids)} tokens with their pictures", "less than the model can read at once")
        written = self._written(self.inputs(ids, held), max_tokens=min(max_tokens, room), **options)
        complete = written[-1:] and written[-1] in self._encoder.turns.stop_ids
        return {
            "text": self._encoder.turns.decode(written).strip(), "prompt_tokens": len(ids), "tokens": len(written),
            "finish_reason": "stop" if complete else "length",
        }  # fmt: skip

    def _asking(self, message: Message) -> Message:
        """Ask about pictures that stand alone what the model was trained to be asked."""
        alone = (
            message.role == "user"
            and PICTURE_MARK in message.content
            and not message.content.replace(PICTURE_MARK, "").strip()
        )
        return replace(message, content=message.content + self._encoder.question) if alone else message

    def inputs(self, ids: Sequence[int], held: Sequence[Pixels]) -> dict[str, Tensor]:
        """Return what the model reads of a prompt's tokens and its pictures."""
        model = inner(self._model)
        device = next(model.parameters()).device
        tokens = torch.tensor([list(ids)], device=device)
        kind = model.config.model_type
        made = picture_inputs(kind, held, self._encoder.rule, device, format_of(model))
        return {
            "input_ids": tokens, "attention_mask": torch.ones_like(tokens), **made,
            **marks(kind, tokens, self._encoder.words.token),
        }  # fmt: skip

    def answer(self, inputs: Mapping[str, Tensor], *, max_tokens: int = ANSWER_TOKENS) -> str:
        """Write the likeliest answer to what was asked; the model's mode stays as it is."""
        return self._encoder.turns.decode(self._written(inputs, max_tokens=max_tokens)).strip()

    def _written(
        self, inputs: Mapping[str, Tensor], *, max_tokens: int, temperature: float = 0.0, top_p: float = 1.0,
        top_k: int = 0, seed: int | None = None, stopped: Callable[[], bool] = lambda: False,
    ) -> list[int]:  # fmt: skip
        """Return the tokens of an answer; what the model's folder says of how to draw them is left aside."""
        ends = sorted(self._encoder.turns.stop_ids)
        drawing: dict[str, Any] = {"do_sample": temperature > 0, "repetition_penalty": 1.0}
        if temperature > 0:
            drawing |= {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": 0.0}
        was_training = self._model.training
        self._model.eval()
        try:
            with torch.random.fork_rng(enabled=True), torch.inference_mode():
                torch.manual_seed(torch.seed() % 2**63 if seed is None else seed)
                written = inner(self._model).generate(
                    **inputs, max_new_tokens=max_tokens, eos_token_id=ends or None, pad_token_id=(ends or [0])[0],
                    stopping_criteria=[lambda ids, scores: torch.full((len(ids),), stopped(), device=ids.device)],
                    **drawing,
                )  # fmt: skip
        finally:
            self._model.train(was_training)
        tokens: list[int] = written[0, inputs["input_ids"].shape[1] :].tolist()
        return tokens


class PairPredictor:
    """Compares pictures with texts."""

    def __init__(self, model: Any, encoder: PairEncoder, padding: tuple[int, int | None]) -> None:
        """``padding`` is the token that fills texts up, and the length that all have, if they have one."""
        self._model = model
        self._encoder = encoder
        self._padding = padding

    def predict(self, image: bytes | None, text: str | None = None, **options: Any) -> dict[str, Any]:
        """Say how well each of the candidate texts fits a picture: ``{"labels": [{"label", "score"}, ...]}``.

        Candidates are ``options["candidates"]``, or the lines of ``text``; the best fit comes first. Scores add up to 1
        (of SigLIP, each is a probability of its own).

        Raises:
            BadValue: there is no picture, or nothing to compare it with.
        """
        candidates = [str(each) for each in options.get("candidates") or (text or "").splitlines() if str(each).strip()]
        if image is None:
            raise BadValue("image", None, "a picture")
        if not candidates:
            raise BadValue("labels", candidates, "a list of texts to compare the picture with")
        model = inner(self._model)
        near = torch.from_numpy(self.embed_image(image) @ self.embed_text(candidates).T)[0]
        logits = near * model.logit_scale.detach().float().exp().cpu()
        if hasattr(model, "logit_bias"):
            scores = torch.sigmoid(logits + model.logit_bias.detach().float().cpu())
        else:
            scores = logits.softmax(-1)
        found = [{"label": name, "score": float(score)} for name, score in zip(candidates, scores, strict=True)]
        return {"labels": sorted(found, key=lambda each: -float(str(each["score"])))}

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text: (texts, size)."""
        found = []
        for begin in range(0, len(texts), AT_ONCE):
            each = [self._encoder.text(text) for text in texts[begin : begin + AT_ONCE]]
            inputs = text_inputs(each, self._padding, self._device)
            with torch.inference_mode():
                found.append(_of_length_one(inner(self._model).get_text_features(**inputs)))
        return np.concatenate(found)

    def embed_image(self, images: bytes | Sequence[bytes]) -> Vectors:
        """Return a vector of length 1 for each picture: (pictures, size).

        Raises:
            BadValue: what is sent is no picture.
        """
        every = [images] if isinstance(images, bytes) else list(images)
        found, model = [], inner(self._model)
        for begin in range(0, len(every), AT_ONCE):
            held = [seen(self._encoder.rule, each) for each in every[begin : begin + AT_ONCE]]
            kind = model.config.model_type
            inputs = picture_inputs(kind, held, self._encoder.rule, self._device, format_of(model))
            with torch.inference_mode():
                found.append(_of_length_one(model.get_image_features(**inputs)))
        return np.concatenate(found)

    @property
    def _device(self) -> torch.device:
        device: torch.device = next(self._model.parameters()).device
        return device


class Describing:
    """Pictures with what is asked about them."""

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Ask for the last answer of held-out rows about pictures; a prompt is what the user says without one."""
        kinds = (CaptionedImage, ImageQuestion, PictureTalk, Conversation)
        rows = [example for example in held_out if isinstance(example, kinds)][:count]
        return [*map(self._question, rows), *(Question(prompt, "", prompt) for prompt in prompts)]

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Answer without drawing."""
        predictor, said = TalkPredictor(model, encoder), []
        for question in questions:
            if isinstance(question.asked, str):
                messages: Sequence[Message] = (Message("user", question.asked),)
                held: list[Pixels] = []
            else:
                messages, held = encoder.asked(question.asked)
            said.append(predictor.answer(predictor.inputs(encoder.prompt(messages, held), held)))
        return said

    @staticmethod
    def _question(example: CaptionedImage | ImageQuestion | PictureTalk | Conversation) -> Question:
        if isinstance(example, CaptionedImage):
            return Question(Path(example.image).name, example.caption, example)
        if isinstance(example, ImageQuestion):
            return Question(f"{Path(example.image).name}: {example.question}", example.answer, example)
        last = max(place for place, turn in enumerate(example.messages) if turn.role == "assistant")
        shown = next((turn.content for turn in reversed(example.messages[:last]) if turn.role == "user"), "")
        return Question(shown, example.messages[last].content, example)


def opened(content: bytes) -> Image.Image:
    """Return a picture that was sent, as RGB, turned as its camera says.

    Raises:
        BadValue: it is none.
    """
    try:
        return decoded(content, "what was sent", Where("picture", 1))
    except UnreadableMedia as error:
        raise BadValue("image", "what was sent", f"a picture ({error})") from None


def seen(rule: PictureRule, content: bytes) -> Pixels:
    """Return what a model sees of a picture that was sent.

    Raises:
        BadValue: it is none, or far too thin.
    """
    picture = opened(content)
    try:
        return rule.fit(picture)
    except ValueError as error:
        raise BadValue(
            "image", f"{picture.width} x {picture.height} pixels: {error}", "what the model can see"
        ) from None


def padding_of(model_dir: Path, model: Any) -> tuple[int, int | None]:
    """Return the token that fills texts up, and the length that all texts have, if the model was trained on one."""
    text = inner(model).config.text_config
    named = special_token(model_dir, "pad_token") or special_token(model_dir, "eos_token") or ""
    found = tokenizer_of(model_dir)[0].token_to_id(named)
    fill = found if found is not None else int(text.eos_token_id or 0)
    return fill, int(text.max_position_embeddings) if hasattr(inner(model), "logit_bias") else None


def text_inputs(
    texts: Sequence[Sequence[int]], padding: tuple[int, int | None], device: torch.device
) -> dict[str, Any]:
    """Return what a model that compares reads of texts, side by side."""
    fill, length = padding
    longest = length or max(len(ids) for ids in texts)
    ids = torch.full((len(texts), longest), fill, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(list(text), dtype=torch.int64)
        mask[row, : len(text)] = 1
    made = {"input_ids": ids.to(device)}
    return made if length else {**made, "attention_mask": mask.to(device)}


def _of_length_one(out: Any) -> Vectors:
    vectors = (out.pooler_output if hasattr(out, "pooler_output") else out).float()
    found: Vectors = (vectors / vectors.norm(dim=-1, keepdim=True)).cpu().numpy()
    return found


def _options(model_dir: Path, adapter: Path | None) -> MultimodalOptions:
    """Return the options that a result was trained with, as far as it says, and the template that lies beside it."""
    result = adapter or model_dir
    own = {"chat_template": str(result / TEMPLATE) if adapter and (adapter / TEMPLATE).is_file() else None}
    for name in ("adapter_info.json", "model_info.json"):
        said = read_json(result / name).get("training_config", {}).get("options") or {}
        if said:
            return MultimodalOptions.model_validate({**said, **own})
    return MultimodalOptions.model_validate(own)
