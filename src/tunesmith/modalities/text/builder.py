"""From a plan to what the training loop runs on: the model with its adapter, what it is to learn, its rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.base import RUNNING_TEXT
from tunesmith.modalities.parts.asking import Silent
from tunesmith.modalities.parts.building import Pieces, adapted, of_random_parts, own_pass, remembering
from tunesmith.modalities.parts.classes import classification, trained_classes
from tunesmith.modalities.text.metrics import perplexity
from tunesmith.modalities.text.options import TextOptions
from tunesmith.modalities.text.predictor import Classifying, Continuing, Conversing
from tunesmith.spec.plan import Plan, settled
from tunesmith.training.classification import in_32_bits, of_tokens
from tunesmith.training.forward import Forward, build_forward, inner
from tunesmith.training.loading import head_parts, load_classifier, load_masked, load_model
from tunesmith.training.masking import MaskedBatches, Masking
from tunesmith.training.next_token import NextToken
from tunesmith.training.preference import Preferences
from tunesmith.training.quantization import load_base

CARRIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
"""Files of the base model that a result needs to be used the way it was trained."""


def build(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a language model learn the next token."""
    load = partial(load_model, Path(plan.model.path))
    model = adapted(load_base(load, plan, device), plan, peft="CAUSAL_LM")
    running = plan.data.kinds.keys() <= RUNNING_TEXT
    objective = NextToken(
        model, _forward(model, plan), device, fill=_fill(model), perplexity=perplexity if running else None
    )
    respondent = Continuing() if running else Conversing()
    return Pieces(plan, model, objective, (train, validation), load=load, respondent=respondent, carried=_carried(plan))


def build_preference(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a language model prefer the better of two answers."""
    load, options = partial(load_model, Path(plan.model.path)), _options(plan)
    model = adapted(load_base(load, plan, device), plan, peft="CAUSAL_LM")
    objective = Preferences(
        model,
        _forward(model, plan),
        device,
        fill=_fill(model),
        beta=options.dpo_beta,
        smoothing=options.dpo_label_smoothing,
        micro_tokens=settled(plan.spec.recipe.batch.micro_tokens, "recipe.batch.micro_tokens"),
        base=f"{plan.model.fingerprint} {plan.spec.recipe.method} {plan.spec.recipe.precision}",
    )
    return Pieces(
        plan, model, objective, (train, validation), load=load, respondent=Conversing(), carried=_carried(plan)
    )


def build_classifier(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model tell classes of text apart; ``labels`` names the numbers in ``TokenRows.labels``.

    Raises:
        TooFewClasses: the training rows have fewer than two classes.
        UnknownLabel: a row that the user holds out has a class that is not trained.
    """
    classes, _ = trained_classes(train, labels)
    fresh: list[str] = []
    load = remembering(partial(load_classifier, Path(plan.model.path), classes=classes, seed=plan.spec.seed), fresh)
    model = load_base(load, plan, device, keep=fresh)
    heads = dict(head_parts(model))
    for head in heads.values():
        in_32_bits(head)
    outside = [name for name in fresh if name.partition(".")[0] not in heads]
    model = adapted(model, plan, peft="SEQ_CLS", trained=[*heads, *outside])
    own_pass(model, plan)
    read = partial(of_tokens, device=device, fill=_fill(model))
    objective = classification(model, plan, device, read, classes=classes, labels=labels)
    objective.warnings += of_random_parts(outside)
    return Pieces(
        plan, model, objective, (train, validation), carried=_carried(plan),
        load=load, respondent=Classifying(classes, settled(plan.spec.recipe.length, "recipe.length")),
        about={"classes": classes},
    )  # fmt: skip


def build_masked(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> Pieces:
    """Make a model fill in covered tokens."""
    from tunesmith.modalities.text.encode import TextEncoder

    fresh: list[str] = []
    folder = Path(plan.model.path)
    load = remembering(partial(load_masked, folder, seed=plan.spec.seed), fresh)
    model = adapted(load_base(load, plan, device, keep=fresh), plan, peft=None, trained=fresh)
    own_pass(model, plan)
    mask, ordinary = TextEncoder(folder).covering()
    options = _options(plan)
    make = partial(
        MaskedBatches, device=device, fill=_fill(model), share=options.mlm_probability,
        mask=mask, ordinary=np.array(ordinary), seed=plan.spec.seed,
    )  # fmt: skip
    objective = Masking(model, make=make, perplexity=perplexity)
    objective.warnings += of_random_parts(fresh)
    return Pieces(plan, model, objective, (train, validation), load=load, respondent=Silent(), carried=_carried(plan))


def _carried(plan: Plan) -> dict[str, Path]:
    """Return the files that a result needs, the chat template that was given among them."""
    files = {name: Path(plan.model.path) / name for name in CARRIED}
    template = plan.spec.options.get("chat_template")
    return {**files, "chat_template.jinja": Path(template)} if template else files


def _options(plan: Plan) -> TextOptions:
    return TextOptions.model_validate(plan.spec.options)


def _forward(model: Any, plan: Plan) -> Forward:
    recipe, execution = plan.spec.recipe, plan.execution
    return build_forward(
        model,
        attention=execution.attention,
        fused=execution.fused,
        joined=recipe.batch.joined,
        length=settled(recipe.length, "recipe.length"),
        checkpointing=bool(recipe.gradient_checkpointing),
    )


def _fill(model: Any) -> int:
    """Return the token that rows are padded with; nobody reads it."""
    return getattr(inner(model).config, "pad_token_id", None) or 0
