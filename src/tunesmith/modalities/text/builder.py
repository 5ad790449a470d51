"""From a plan to what the training loop runs on: the model with its adapter, what it is to learn, its rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities import task_of
from tunesmith.modalities.base import RUNNING_TEXT
from tunesmith.modalities.text.metrics import perplexity
from tunesmith.modalities.text.options import TextOptions
from tunesmith.modalities.text.predictor import Classifying, Continuing, Conversing, Question, Respondent, Silent
from tunesmith.spec.errors import MissingTarget, TooFewClasses
from tunesmith.spec.plan import Plan, settled
from tunesmith.training.adapters import add_adapter, trained_copy
from tunesmith.training.classification import Classification, in_32_bits
from tunesmith.training.device import Ranks
from tunesmith.training.dropping import ATTENTION as DROPPING
from tunesmith.training.dropping import speed_up_dropout
from tunesmith.training.forward import ATTENTION, Forward, build_forward, inner, speed_up_adapters
from tunesmith.training.loading import Fresh, head_parts, load_classifier, load_masked, load_model
from tunesmith.training.masking import MaskedBatches, Masking
from tunesmith.training.next_token import NextToken
from tunesmith.training.pieces import Objective, Rows
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


class TextPieces:
    """A language model, what it is to learn, and rows of tokens."""

    def __init__(
        self,
        plan: Plan,
        model: Any,
        objective: Objective,
        sides: tuple[TokenRows, TokenRows],
        *,
        load: Callable[[str], Any],
        respondent: Respondent,
        about: dict[str, Any] | None = None,
    ) -> None:
        """Make the rows of ``sides``, training and validation; ``load`` loads the model anew in a number format."""
        self.plan = plan
        self.model = model
        self.objective = objective
        self.about = about or {}
        """What the result's description shall say of the task, such as its classes."""
        self.train: Rows = objective.rows(sides[0])
        self.validation: Rows | None = self.rows(sides[1])
        self._load = load
        self._respondent = respondent
        self._adapts = settled(plan.spec.recipe.method, "recipe.method").adapts
        self._initial = trained_copy(model) if self._adapts else None

    @property
    def warnings(self) -> list[str]:
        """What the user should know of how it is computed."""
        return self.objective.warnings

    def rows(self, rows: TokenRows) -> Rows | None:
        """Make the task's rows of token rows that are held out; None where there are none that it can measure."""
        made = self.objective.rows(rows) if len(rows) else None
        return made if made is not None and len(made.lengths) else None

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Compute what stays the same for the whole run."""
        self.objective.warm_up(folder, earlier, beat, ranks)

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether that lies in these folders already."""
        return self.objective.is_warm(folder, earlier)

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Choose ``count`` held-out examples to ask the model before and after training, and add the ``prompts``."""
        return self._respondent.questions(held_out, prompts, count)

    def answers(self, questions: Sequence[Question], encoder: Any, *, base: bool = False) -> list[str]:
        """Let the model, or the ``base`` under its adapter, answer."""
        with self.answering(base=base) as model:
            return self._respondent.answers(model, encoder, questions)

    @property
    def keeps_base(self) -> bool:
        """Whether the base model is still there under an adapter."""
        return self._initial is not None

    @contextmanager
    def answering(self, *, base: bool = False) -> Iterator[Any]:
        """Lend the model (or the ``base`` under its adapter) for answers: with its own attention, without gradients."""
        config = inner(self.model).config
        attention, was_training = config._attn_implementation, self.model.training
        config._attn_implementation = "sdpa" if attention in (ATTENTION, DROPPING) else attention
        try:
            with torch.no_grad(), self.model.disable_adapter() if base else nullcontext():
                yield self.model.eval()
        finally:
            config._attn_implementation = attention
            self.model.train(was_training)

    def loss(self, batch: Any) -> Tensor:
        """Sum of the loss over the labels of a batch, in nats."""
        return self.objective.loss(batch)

    def measure(self, batch: Any) -> dict[str, float]:
        """Sum what the task measures over a batch."""
        return self.objective.measure(batch)

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Turn the sums over all rows into what the task reports."""
        return self.objective.metrics(sums, labels)

    def initial_weights(self) -> dict[str, Tensor]:
        """Values of the trained parameters before the first step."""
        if self._initial is not None:
            return self._initial
        return trained_copy(self._load(self.plan.model.dtype))

    def save(self, folder: Path) -> None:
        """Write an adapter folder for PEFT, or a whole model folder for transformers."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._adapts:
            state = trained_copy(self.model)
            self.model.peft_config["default"].base_model_name_or_path = self.plan.model.path
            self.model.save_pretrained(folder, state_dict=state, safe_serialization=True)
        else:
            inner(self.model).save_pretrained(folder, state_dict=_separate(self.model.state_dict()))
        for name in CARRIED:
            source = Path(self.plan.model.path) / name
            if source.is_file():
                shutil.copyfile(source, folder / name)
        template = self.plan.spec.options.get("chat_template")
        if template:
            shutil.copyfile(template, folder / "chat_template.jinja")


def build(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> TextPieces:
    """Make a language model learn the next token."""
    load = partial(load_model, Path(plan.model.path))
    model = _adapted(load_base(load, plan, device), plan)
    running = plan.data.kinds.keys() <= RUNNING_TEXT
    objective = NextToken(
        model, _forward(model, plan), device, fill=_fill(model), perplexity=perplexity if running else None
    )
    respondent = Continuing() if running else Conversing()
    return TextPieces(plan, model, objective, (train, validation), load=load, respondent=respondent)


def build_preference(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> TextPieces:
    """Make a language model prefer the better of two answers."""
    load, options = partial(load_model, Path(plan.model.path)), _options(plan)
    model = _adapted(load_base(load, plan, device), plan)
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
    return TextPieces(plan, model, objective, (train, validation), load=load, respondent=Conversing())


def build_classifier(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> TextPieces:
    """Make a model tell classes of text apart; ``labels`` names the numbers in ``TokenRows.labels``.

    Raises:
        TooFewClasses: the training rows have fewer than two classes.
        UnknownLabel: a row that the user holds out has a class that is not trained.
    """
    assert train.labels is not None
    trained = {labels[number] for number in np.unique(train.labels)}
    if len(trained) < 2:
        raise TooFewClasses(trained)
    classes = sorted(trained)
    fresh: list[str] = []
    load = _remembering(partial(load_classifier, Path(plan.model.path), classes=classes, seed=plan.spec.seed), fresh)
    model = load_base(load, plan, device, keep=fresh)
    heads = dict(head_parts(model))
    for head in heads.values():
        in_32_bits(head)
    outside = [name for name in fresh if name.partition(".")[0] not in heads]
    model = _adapted(model, plan, trained=[*heads, *outside])
    _own_pass(model, plan)
    given = any(dataset.validation or dataset.test for dataset in plan.spec.datasets)
    objective = Classification(model, device, fill=_fill(model), classes=classes, labels=labels, given=given)
    objective.warnings += _of_random_parts(outside)
    return TextPieces(
        plan, model, objective, (train, validation),
        load=load, respondent=Classifying(classes, settled(plan.spec.recipe.length, "recipe.length")),
        about={"classes": classes},
    )  # fmt: skip


def build_masked(
    plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, *, labels: Sequence[str] = ()
) -> TextPieces:
    """Make a model fill in covered tokens."""
    from tunesmith.modalities.text.encode import TextEncoder

    fresh: list[str] = []
    folder = Path(plan.model.path)
    load = _remembering(partial(load_masked, folder, seed=plan.spec.seed), fresh)
    model = _adapted(load_base(load, plan, device, keep=fresh), plan, trained=fresh)
    _own_pass(model, plan)
    mask, ordinary = TextEncoder(folder).covering()
    options = _options(plan)
    make = partial(
        MaskedBatches, device=device, fill=_fill(model), share=options.mlm_probability,
        mask=mask, ordinary=np.array(ordinary), seed=plan.spec.seed,
    )  # fmt: skip
    objective = Masking(model, make=make, perplexity=perplexity)
    objective.warnings += _of_random_parts(fresh)
    return TextPieces(plan, model, objective, (train, validation), load=load, respondent=Silent())


def _options(plan: Plan) -> TextOptions:
    return TextOptions.model_validate(plan.spec.options)


def _remembering(load: Callable[..., Fresh], fresh: list[str]) -> Callable[[str], Any]:
    """Load only the model, and note the names of what starts at random."""

    def loaded(precision: str) -> Any:
        found = load(precision=precision)
        fresh[:] = found.parts
        return found.model

    return loaded


def _of_random_parts(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"The model's files do not hold {', '.join(names)}: they start at random, from the seed."]


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


def _own_pass(model: Any, plan: Plan) -> None:
    """Prepare a model that runs its own pass over padded rows."""
    speed_up_adapters(model)
    speed_up_dropout(inner(model))
    if plan.spec.recipe.gradient_checkpointing:
        inner(model).gradient_checkpointing_enable({"use_reentrant": False})
        inner(model).enable_input_require_grads()


def _fill(model: Any) -> int:
    """Return the token that rows are padded with; nobody reads it."""
    return getattr(inner(model).config, "pad_token_id", None) or 0


def _adapted(model: Any, plan: Plan, *, trained: Sequence[str] = ()) -> Any:
    """Put the plan's adapter on; ``trained`` are modules that train as a whole beside it."""
    if not settled(plan.spec.recipe.method, "recipe.method").adapts:
        return model
    adapter = plan.spec.recipe.adapter
    targets = settled(adapter.targets, "recipe.adapter.targets")
    known = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    for target in targets:
        if target not in known:
            raise MissingTarget(target, plan.model.linear_layers)
    return add_adapter(
        model,
        rank=settled(adapter.rank, "recipe.adapter.rank"),
        alpha=settled(adapter.alpha, "recipe.adapter.alpha"),
        dropout=adapter.dropout,
        targets=targets,
        seed=plan.spec.seed,
        dora=adapter.dora,
        rslora=adapter.rslora,
        task=task_of(plan.spec.task).peft,
        trained=trained,
    )


def _separate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that are views of joined ones, which safetensors would refuse; tied ones stay one."""
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    return {
        name: copies.setdefault((tensor.data_ptr(), tensor.shape), tensor.detach().clone())
        for name, tensor in state.items()
    }
