"""From a plan to what the training loop runs on: a model of recordings, what it is to learn, its rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.audio.encode import Vocabulary, prompt_of, tokenizer_of
from tunesmith.modalities.audio.metrics import errors
from tunesmith.modalities.audio.options import AudioOptions
from tunesmith.modalities.audio.predictor import InFormat, Speller, Transcribing, Writer
from tunesmith.modalities.parts.asking import Silent
from tunesmith.modalities.parts.building import Pieces, adapted, checkpointed, of_random_parts, remembering
from tunesmith.modalities.parts.classes import classification, trained_classes
from tunesmith.modalities.parts.hearing import PREPROCESSOR, Hearing, hearing_of
from tunesmith.modalities.parts.sound_batches import Ears, Samples
from tunesmith.spec.errors import MissingTarget
from tunesmith.spec.plan import Plan, settled
from tunesmith.training.bf16_attention import speed_up_attention
from tunesmith.training.classification import in_32_bits
from tunesmith.training.convolutions import hear_side_by_side
from tunesmith.training.forward import inner, speed_up_adapters
from tunesmith.training.loading import load_sound_classifier, load_speller, load_writer_of_speech
from tunesmith.training.quantization import load_base
from tunesmith.training.transcription import SpeechRows, Transcription

CARRIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
)
"""Files of the base model that a result needs to be used the way it was trained."""
BEYOND_ADAPTERS = {"wavlm": ("q_proj", "k_proj", "v_proj", "out_proj")}
"""Layers whose weights a model reads past any adapter, so that one there would learn nothing."""


def build_recognizer(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model write down what is said."""
    _refuse_targets(plan)
    return (_build_writer if plan.model.kind == "speech" else _build_speller)(plan, train, validation, device)


def _build_writer(plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device) -> Pieces:
    options, folder = _options(plan), Path(plan.model.path)
    hearing = hearing_of(folder, options.max_seconds)
    prompt, ears = prompt_of(folder, options.language), Ears(hearing, device)
    fresh: list[str] = []
    load = remembering(partial(load_writer_of_speech, folder), fresh)
    model = adapted(load_base(load, plan, device, keep=fresh), plan, peft=None, trained=fresh, whole=True)
    speed_up_adapters(model)
    speed_up_attention(inner(model))
    if options.freeze_encoder:
        inner(model).model.encoder.requires_grad_(False)
    unable = checkpointed(model, plan)
    writer = Writer(model, prompt, tokenizer_of(folder))
    make = partial(SpeechRows, hear=partial(_hear, ears), numbers=list, prompt=len(prompt.ids))
    objective = Transcription(writer, make=make, errors=errors)
    objective.warnings += unable + of_random_parts(fresh)
    pieces = Pieces(
        plan, model, objective, (train, validation), load=load, carried=_carried(folder),
        respondent=Transcribing(lambda samples: writer.texts(ears.inputs([samples]))[0]),
        finish=partial(_finish, folder, hearing, None),
    )  # fmt: skip
    if options.spec_augment:
        pieces.train = make(train, random=partial(_random, plan.spec.seed))
    return pieces


def _build_speller(plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device) -> Pieces:
    options, folder = _options(plan), Path(plan.model.path)
    hearing = hearing_of(folder, options.max_seconds)
    ears, codes = Ears(hearing, device), _codes(train)
    brought = Vocabulary.of_folder(folder)
    vocabulary = brought or Vocabulary.of_codes(codes)
    fresh: list[str] = []
    load = remembering(
        partial(
            load_speller, folder, seed=plan.spec.seed, pieces=len(vocabulary.pieces), blank=vocabulary.blank,
            own=vocabulary.own,
        ),
        fresh,
    )  # fmt: skip
    model = load_base(load, plan, device, keep=fresh)
    in_32_bits(model.lm_head)
    model = _adapted(model, plan, options, heads=["lm_head"])
    unable = checkpointed(model, plan)
    speller = Speller(model, vocabulary)
    make = partial(SpeechRows, hear=partial(_hear, ears), numbers=vocabulary.ids, prompt=0)
    objective = Transcription(speller, make=make, errors=errors)
    objective.warnings += unable + of_random_parts([name for name in fresh if name != "lm_head"])
    lacking = vocabulary.lacks(codes)
    if lacking:
        shown = " ".join(lacking[:20])
        objective.warnings.append(f"The model's vocabulary lacks {shown}: it learns to pass over these characters.")
    if brought is None:
        count = len(vocabulary.pieces) - 5
        objective.warnings.append(
            f"The model brings no vocabulary: the {count} characters of the training transcripts are its vocabulary."
        )
    pieces = Pieces(
        plan, model, objective, (train, validation), load=load, carried=_carried(folder),
        respondent=Transcribing(
            lambda samples: speller.texts(ears.inputs([samples]), ears.lengths([samples]))[0]
        ),
        about={"vocabulary": list(vocabulary.pieces)},
        finish=partial(_finish, folder, hearing, None if brought else vocabulary),
    )  # fmt: skip
    if options.spec_augment:
        pieces.train = make(train, random=partial(_random, plan.spec.seed))
    return pieces


def build_classifier(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model tell classes of recordings apart; ``labels`` names the numbers in ``TokenRows.labels``.

    Raises:
        TooFewClasses: the training recordings have fewer than two classes.
        UnknownLabel: a recording that the user holds out has a class that is not trained.
    """
    _refuse_targets(plan)
    classes, counts = trained_classes(train, labels)
    options, folder = _options(plan), Path(plan.model.path)
    hearing = hearing_of(folder, options.max_seconds)
    fresh: list[str] = []
    load = remembering(partial(load_sound_classifier, folder, classes=classes, seed=plan.spec.seed), fresh)
    model = load_base(load, plan, device, keep=fresh)
    heads = [name for name in ("projector", "classifier") if hasattr(model, name)]
    for name in heads:
        in_32_bits(model.get_submodule(name))
    model = _adapted(model, plan, options, heads=heads)
    unable = checkpointed(model, plan)
    heard = partial(_heard, ears=Ears(hearing, device))
    objective = classification(
        InFormat(model), plan, device, heard, classes=classes, labels=labels,
        counts=counts if options.balance else None,
    )  # fmt: skip
    objective.warnings += unable + of_random_parts([name for name in fresh if name.partition(".")[0] not in heads])
    pieces = Pieces(
        plan, model, objective, (train, validation), load=load, respondent=Silent(), about={"classes": classes},
        carried=_carried(folder), finish=partial(_finish, folder, hearing, None),
    )  # fmt: skip
    if options.spec_augment:
        pieces.train = objective.rows(train, partial(heard, seed=plan.spec.seed))
    return pieces


def _heard(
    rows: TokenRows, chosen: Sequence[int], epoch: int, *, ears: Ears, seed: int | None = None
) -> dict[str, Tensor]:
    """Make what a model hears of recordings; with a ``seed`` they are varied in each epoch."""
    assert rows.media is not None
    heard = [rows.media[row].arrays[0] for row in chosen]
    randoms = [] if seed is None else [_random(seed, epoch, row) for row in chosen]
    inputs, covered = ears.inputs(heard, randoms), ears.spans(heard, randoms)
    return inputs if covered is None else {**inputs, "covered": covered}


def _hear(
    ears: Ears, heard: Sequence[Samples], randoms: Sequence[np.random.Generator]
) -> tuple[dict[str, Tensor], list[int], Tensor | None]:
    return ears.inputs(heard, randoms), ears.lengths(heard), ears.spans(heard, randoms)


def _random(seed: int, epoch: int, row: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, row])


def _codes(train: TokenRows) -> set[int]:
    """Return the characters (code points) of all transcripts."""
    found: set[int] = set()
    for row in range(len(train)):
        ids, mask = train.row(row)
        found.update(np.unique(ids[mask.astype(bool)]).tolist())
    return found


def _adapted(model: Any, plan: Plan, options: AudioOptions, heads: Sequence[str]) -> Any:
    """Put the plan's adapter on, and leave what hears as it is where that was asked, or its convolutions alone."""
    if options.freeze_encoder:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] in heads)
    elif options.freeze_convolutions and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    model = adapted(model, plan, peft=None, trained=list(heads), whole=True)
    speed_up_adapters(model)
    speed_up_attention(inner(model))
    hear_side_by_side(model)
    if options.freeze_encoder:
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.requires_grad_(False)
    return model


def _refuse_targets(plan: Plan) -> None:
    """Refuse adapters on layers whose weights the model reads past them.

    Raises:
        MissingTarget: there are such.
    """
    method, beyond = settled(plan.spec.recipe.method, "recipe.method"), BEYOND_ADAPTERS.get(plan.model.model_type, ())
    for target in (plan.spec.recipe.adapter.targets or []) if method.adapts else []:
        if target in beyond:
            raise MissingTarget(target, [name for name in plan.model.linear_layers if name not in beyond])


def _options(plan: Plan) -> AudioOptions:
    return AudioOptions.model_validate(plan.spec.options)


def _carried(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in CARRIED}


def _finish(model_dir: Path, hearing: Hearing, vocabulary: Vocabulary | None, folder: Path) -> None:
    """Write what the base lacks of what ``transformers.pipeline`` needs: a vocabulary, and how recordings are heard."""
    if vocabulary is not None:
        vocabulary.write(folder)
    if (model_dir / PREPROCESSOR).is_file():
        shutil.copyfile(model_dir / PREPROCESSOR, folder / PREPROCESSOR)
        return
    said: dict[str, Any] = {"sampling_rate": hearing.rate, "padding_value": 0.0}
    if hearing.way == "wave":
        said |= {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "do_normalize": True}
        said |= {"return_attention_mask": hearing.masked}
    elif hearing.way == "mel":
        said |= {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": hearing.mels}
        said |= {"chunk_length": round(hearing.window or 30)}
    else:
        steps, mean, deviation = hearing.bands
        said |= {"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": hearing.mels, "max_length": steps}
        said |= {"mean": mean, "std": deviation, "do_normalize": hearing.normalized}
    (folder / PREPROCESSOR).write_text(json.dumps(said, indent=2))
