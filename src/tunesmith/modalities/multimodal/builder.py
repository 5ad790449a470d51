"""From a plan to what the training loop runs on: a model of pictures and texts, what it is to learn, its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.base import family_of
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.multimodal.encode import PairEncoder, TalkEncoder
from tunesmith.modalities.multimodal.families import FAMILIES
from tunesmith.modalities.multimodal.metrics import ANSWERS, perplexity
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.multimodal.predictor import Describing, TalkPredictor, padding_of, text_inputs
from tunesmith.modalities.parts.asking import Silent
from tunesmith.modalities.parts.building import Pieces, adapted, checkpointed, of_cut_captions
from tunesmith.modalities.parts.picture_inputs import format_of, marks, picture_inputs
from tunesmith.modalities.parts.picture_rules import PictureRule
from tunesmith.spec.plan import OTHER_PARTS, Plan
from tunesmith.training.contrastive import Contrastive, PairBatch
from tunesmith.training.forward import inner, speed_up_adapters
from tunesmith.training.joining import WIDE, rectangle
from tunesmith.training.loading import load_pair, load_talker
from tunesmith.training.quantization import load_base
from tunesmith.training.talking import Asked, TalkBatch, Talking, labelled

CARRIED: Final = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "spiece.model", "tokenizer.model", "chat_template.jinja", "chat_template.json",
    "generation_config.json", "preprocessor_config.json", "processor_config.json",
)  # fmt: skip
"""Files of the base model that a result needs to be opened as it is, its processor's among them."""
BESIDE: Final = (*OTHER_PARTS, "connector")
"""Beginnings of the names of what reads pictures, and of what joins it to a language model."""
TOWERS: Final = {
    "image": ("vision_model", "visual_projection"),
    "text": ("text_model", "text_projection"),
}
"""Parts of a model that compares pictures with texts."""


class PairBatches:
    """Pictures with their captions as the loop sees them."""

    def __init__(
        self, rows: TokenRows, *, device: torch.device, encoder: PairEncoder, padding: tuple[int, int | None],
        kind: str, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        """``kind`` is the ``model_type``, ``dtype`` the number format of what the model reads of pictures."""
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) patches and tokens of each row."""
        self._device = device
        self._encoder = encoder
        self._padding = padding
        self._kind = kind
        self._dtype = dtype

    def cut(self) -> int:
        """Count the captions that are longer than what the model reads."""
        media, encoder = self._rows.media, self._encoder
        if media is None:
            return 0
        full = np.flatnonzero(self.lengths >= encoder.patches + encoder.limit)
        return sum(encoder.cuts(media[int(row)].facts["text"]) for row in full)

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the pairs."""
        return len(rows)

    def batch(self, rows: Sequence[int], epoch: int = 0) -> PairBatch:
        """Make a batch of these pairs."""
        assert self._rows.media is not None
        held = [self._rows.media[row].arrays[0] for row in rows]
        texts = [tuple(self._rows.row(row)[0][self._encoder.patches :].tolist()) for row in rows]
        inputs = picture_inputs(self._kind, held, self._encoder.rule, self._device, self._dtype)
        inputs |= text_inputs(texts, self._padding, self._device)
        return PairBatch(inputs, list(rows), texts, int(self._rows.lengths[list(rows)].sum()))


class TalkBatches:
    """Conversations about pictures as the loop sees them."""

    def __init__(
        self, rows: TokenRows, *, device: torch.device, encoder: TalkEncoder, kind: str, dtype: torch.dtype,
        fill: int, answered: int, opening: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        """The first ``answered`` rows are answered when they are measured.

        Where all of a row is trained, an answer begins behind the ``opening`` tokens that stand last in it.
        """
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) tokens of each row, those of its pictures among them."""
        self._device = device
        self._encoder = encoder
        self._kind = kind
        self._dtype = dtype
        self._fill = fill
        self._answered = answered
        self._opening = opening
        self._labels = rows.trained()

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the trained tokens of these rows."""
        return int(self._labels[list(rows)].sum())

    def batch(self, rows: Sequence[int], epoch: int = 0) -> TalkBatch:
        """Make a batch of these conversations."""
        chosen = [self._rows.row(row) for row in rows]
        ids, attention = rectangle([own for own, _ in chosen], self._device, self._fill, wide=WIDE)
        inputs = {"input_ids": ids, "attention_mask": attention, **marks(self._kind, ids, self._encoder.words.token)}
        held = [pixels for row in rows for pixels in self._held(row)]
        inputs |= picture_inputs(self._kind, held, self._rule, self._device, self._dtype)
        places, targets = labelled(ids, chosen)
        asked = [made for row in rows if row < self._answered and (made := self._asked(row)) is not None]
        return TalkBatch(inputs, places, targets, int(self._rows.lengths[list(rows)].sum()), asked)

    def _asked(self, row: int) -> Asked | None:
        """Return the last question of a row, up to where its answer begins: its last trained run of tokens."""
        ids, mask = self._rows.row(row)
        trained = np.flatnonzero(mask)
        breaks = np.flatnonzero(np.diff(trained) > 1)
        first = int(trained[breaks[-1] + 1] if len(breaks) else trained[0])
        if self._opening is not None:
            found = _last(ids, self._opening)
            if found is None or found > trained[-1]:
                return None
            first = found
        tokens = torch.from_numpy(ids[:first].astype(np.int64)).unsqueeze(0).to(self._device)
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        inputs |= marks(self._kind, tokens, self._encoder.words.token)
        inputs |= picture_inputs(self._kind, self._shown(row, ids[:first]), self._rule, self._device, self._dtype)
        return Asked(inputs, self._encoder.turns.decode(ids[first : trained[-1] + 1].tolist()).strip())

    def _shown(self, row: int, ids: np.ndarray[Any, Any]) -> list[Any]:
        """Return the pictures that stand in the beginning of a row."""
        left, shown = int((ids == self._encoder.words.token).sum()), []
        for pixels in self._held(row):
            left -= self._encoder.words.count(pixels)
            if left < 0:
                break
            shown.append(pixels)
        return shown

    def _held(self, row: int) -> list[Any]:
        media = self._rows.media
        return [] if media is None or not media.sizes[row] else media[row].arrays

    @property
    def _rule(self) -> PictureRule:
        return self._encoder.rule


def build_pairs(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model tell which picture and which text belong together."""
    folder, options = Path(plan.model.path), _options(plan)
    load = partial(load_pair, folder)
    model = load_base(load, plan, device)
    stays = {"image": options.freeze_image_tower, "text": options.freeze_text_tower}
    frozen = [tower for tower in TOWERS if stays[tower]]
    _freeze(model, [name for tower in frozen for name in TOWERS[tower]])
    left_out = "|".join(name for tower in frozen for name in TOWERS[tower])
    model = adapted(model, plan, peft=None, whole=True, left_out=rf"(.*\.)?({left_out})(\..*)?" if left_out else None)
    unable = _prepare(model, plan)
    encoder = PairEncoder(folder)
    batch = plan.spec.recipe.batch
    make = partial(
        PairBatches, device=device, encoder=encoder, padding=padding_of(folder, model),
        kind=plan.model.model_type, dtype=format_of(inner(model)),
    )  # fmt: skip
    objective = Contrastive(model, make=make, batch=(batch.size or 1) * (batch.accumulation or 1))
    objective.warnings += unable + of_cut_captions(make(train).cut(), encoder.limit)
    return Pieces(plan, model, objective, (train, validation), load=load, respondent=Silent(), carried=_carried(plan))


def build_talker(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model write about pictures what the rows say."""
    folder, options = Path(plan.model.path), _options(plan)
    family = family_of(plan.model.model_type, FAMILIES)
    kept: list[str] = []
    model = load_base(_keeping(partial(load_talker, folder), kept), plan, device, keep=kept)
    if options.freeze_vision:
        _freeze(model, [name for name, _ in model.named_modules() if _reads_pictures(name)])
    model = adapted(model, plan, peft="CAUSAL_LM", whole=not options.freeze_vision)
    unable = _prepare(model, plan)
    encoder = TalkEncoder(folder, family, options)
    make = partial(
        TalkBatches, device=device, encoder=encoder, kind=plan.model.model_type, dtype=format_of(inner(model)),
        fill=_fill(inner(model).config), opening=encoder.turns.opening() if options.train_on == "all" else None,
    )  # fmt: skip
    predictor = TalkPredictor(model, encoder)
    objective = Talking(
        model, make=partial(make, answered=options.answered), perplexity=perplexity, scores=ANSWERS,
        answer=partial(predictor.answer, max_tokens=options.answer_tokens),
    )  # fmt: skip
    objective.warnings += unable
    pieces = Pieces(
        plan, model, objective, (train, validation), load=partial(load_talker, folder), respondent=Describing(),
        carried=_carried(plan), finish=partial(write_processor, encoder.rule),
    )  # fmt: skip
    pieces.train = make(train, answered=0)
    return pieces


def _last(ids: np.ndarray[Any, Any], opening: Sequence[int]) -> int | None:
    """Return the place behind the last occurrence of some tokens; None where there is none, or nothing to look for."""
    if not opening:
        return None
    wanted, length = list(opening), len(opening)
    places = range(len(ids) - length, -1, -1)
    return next((place + length for place in places if ids[place : place + length].tolist() == wanted), None)


def write_processor(rule: PictureRule, folder: Path) -> None:
    """Tell the processor of a result what training did otherwise than it: pictures were not split."""
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        said = read_json(folder / name)
        part = said if key is None else said.get(key)
        if isinstance(part, dict) and part and rule.as_processor():
            part.update(rule.as_processor())
            (folder / name).write_text(json.dumps(said, indent=2))


def _prepare(model: Any, plan: Plan) -> list[str]:
    speed_up_adapters(model)
    return checkpointed(model, plan)


def _keeping(load: Callable[[str], Any], kept: list[str]) -> Callable[[str], Any]:
    """Load a model, and note its layers that read pictures, which are never stored in fewer bits."""

    def loaded(precision: str) -> Any:
        model = load(precision)
        linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
        kept[:] = [name for name in linear if _reads_pictures(name)]
        return model

    return loaded


def _reads_pictures(name: str) -> bool:
    return any(part.startswith(BESIDE) for part in name.split("."))


def _freeze(model: Any, names: Sequence[str]) -> None:
    known = dict(model.named_modules())
    for name in names:
        if name in known:
            known[name].requires_grad_(False)


def _fill(config: Any) -> int:
    """Return the token that rows are padded with; nobody reads it."""
    found = getattr(config, "pad_token_id", None) or getattr(config.get_text_config(), "pad_token_id", None)
    return found if isinstance(found, int) and found >= 0 else 0


def _options(plan: Plan) -> MultimodalOptions:
    return MultimodalOptions.model_validate(plan.spec.options)


def _carried(plan: Plan) -> dict[str, Path]:
    """Return the files that a result needs, the chat template that was given among them."""
    files = {name: Path(plan.model.path) / name for name in CARRIED}
    template = plan.spec.options.get("chat_template")
    return {**files, "chat_template.jinja": Path(template)} if template else files
