"""From a plan to what the training loop runs on: the model with its adapter, its pass, its rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.text.metrics import perplexity
from tunesmith.spec.errors import MissingTarget, NotALanguageModel
from tunesmith.spec.plan import Plan, settled
from tunesmith.training.adapters import add_adapter, trained_copy
from tunesmith.training.forward import ATTENTION, Forward, build_forward, inner, loss_of
from tunesmith.training.joining import TokenBatches
from tunesmith.training.precision import DTYPES
from tunesmith.training.quantization import load_base

CARRIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)
"""Files of the base model that a result needs to be used the way it was trained."""


class TextPieces:
    """A causal language model and rows of tokens."""

    def __init__(
        self, plan: Plan, model: Any, forward: Forward, train: TokenBatches, validation: TokenBatches | None
    ) -> None:
        self.plan = plan
        self.model = model
        self.train = train
        self.validation = validation
        self.warnings = list(forward.warnings)
        self._forward = forward
        self._adapts = settled(plan.spec.recipe.method, "recipe.method").adapts
        self._initial = trained_copy(model) if self._adapts else None

    @property
    def keeps_base(self) -> bool:
        """Whether the base model is still there under an adapter."""
        return self._initial is not None

    @contextmanager
    def answering(self, *, base: bool = False) -> Iterator[Any]:
        """Lend the model (or the ``base`` under its adapter) for answers: with its own attention, without gradients."""
        config = inner(self.model).config
        attention, was_training = config._attn_implementation, self.model.training
        config._attn_implementation = "sdpa" if attention == ATTENTION else attention
        try:
            with torch.no_grad(), self.model.disable_adapter() if base else nullcontext():
                yield self.model.eval()
        finally:
            config._attn_implementation = attention
            self.model.train(was_training)

    def loss(self, batch: Any) -> Tensor:
        """Sum of the cross entropy over the labels of a batch, in nats."""
        return loss_of(self._forward, self.model, batch)

    def measure(self, batch: Any) -> dict[str, float]:
        """Sum the loss of a batch."""
        return {"loss": float(self.loss(batch))}

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Running text is judged by its perplexity; answers by their loss alone."""
        return {"perplexity": perplexity(sums["loss"] / labels)} if self.plan.spec.task == "pretraining" else {}

    def initial_weights(self) -> dict[str, Tensor]:
        """Values of the trained parameters before the first step."""
        if self._initial is not None:
            return self._initial
        return trained_copy(load_model(Path(self.plan.model.path), self.plan.model.dtype))

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


def build(plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device) -> TextPieces:
    """Load the model of a plan, make its parameters trainable, and choose its pass."""
    recipe, execution = plan.spec.recipe, plan.execution
    model = load_base(partial(load_model, Path(plan.model.path)), plan, device)
    if settled(recipe.method, "recipe.method").adapts:
        model = _with_adapter(model, plan)
    forward = build_forward(
        model,
        attention=execution.attention,
        fused=execution.fused,
        joined=recipe.batch.joined,
        length=settled(recipe.length, "recipe.length"),
        checkpointing=bool(recipe.gradient_checkpointing),
    )
    fill = getattr(inner(model).config, "pad_token_id", None) or 0
    batches = [TokenBatches(rows, device, joined=forward.joined, fill=fill) for rows in (train, validation)]
    return TextPieces(plan, model, forward, batches[0], batches[1] if len(validation) else None)


def load_model(folder: Path, precision: str) -> Any:
    """Load a causal language model from a local folder.

    Raises:
        NotALanguageModel: transformers has no causal language model for it.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=DTYPES[precision], local_files_only=True, use_safetensors=True
        )
    except (ValueError, KeyError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise NotALanguageModel(str(folder), why) from error


def _with_adapter(model: Any, plan: Plan) -> Any:
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
    )


def _separate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that are views of joined ones, which safetensors would refuse; tied ones stay one."""
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    return {
        name: copies.setdefault((tensor.data_ptr(), tensor.shape), tensor.detach().clone())
        for name, tensor in state.items()
    }
