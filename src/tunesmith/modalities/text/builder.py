"""From a plan to what the training loop runs on: the model with its adapter, its pass, its rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.text.metrics import perplexity
from tunesmith.spec.errors import MissingTarget, NotALanguageModel
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Method
from tunesmith.training.adapters import add_adapter, trained_copy
from tunesmith.training.forward import ATTENTION, Forward, build_forward, inner
from tunesmith.training.joining import TokenBatches
from tunesmith.training.logits import summed_loss
from tunesmith.training.precision import DTYPES

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
        self._head = inner(model).get_output_embeddings()
        self._initial = trained_copy(model) if plan.spec.recipe.method is Method.LORA else None

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
        return summed_loss(self._forward(batch), self._head.weight, batch.targets)

    def metrics(self, loss: float) -> dict[str, float]:
        """Running text is judged by its perplexity; answers by their loss alone."""
        return {"perplexity": perplexity(loss)} if self.plan.spec.task == "pretraining" else {}

    def initial_weights(self) -> dict[str, Tensor]:
        """Values of the trained parameters before the first step."""
        if self._initial is not None:
            return self._initial
        fresh = load_model(Path(self.plan.model.path), "fp32")
        return {name: parameter.detach() for name, parameter in fresh.named_parameters()}

    def save(self, folder: Path) -> None:
        """Write an adapter folder for PEFT, or a whole model folder for transformers."""
        folder.mkdir(parents=True, exist_ok=True)
        # Clones: the layers' weights are views of joined tensors, which safetensors would refuse.
        state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.plan.spec.recipe.method is Method.LORA:
            self.model.peft_config["default"].base_model_name_or_path = self.plan.model.path
            self.model.save_pretrained(folder, state_dict=state, safe_serialization=True)
        else:
            inner(self.model).save_pretrained(folder, state_dict=state)
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
    model = load_model(Path(plan.model.path), recipe.precision or "fp32").to(device)
    _align(model)
    if recipe.method is Method.LORA:
        model = _with_adapter(model, plan)
    forward = build_forward(
        model,
        attention=execution.attention,
        fused=execution.fused,
        joined=recipe.batch.joined,
        length=recipe.length or 0,
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
        return AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[precision], local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise NotALanguageModel(str(folder), str(error).strip().splitlines()[0]) from error


def _with_adapter(model: Any, plan: Plan) -> Any:
    adapter = plan.spec.recipe.adapter
    targets = adapter.targets or []
    known = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    for target in targets:
        if target not in known:
            raise MissingTarget(target, plan.model.linear_layers)
    return add_adapter(
        model,
        rank=adapter.rank or 8,
        alpha=adapter.alpha or 16,
        dropout=adapter.dropout,
        targets=targets,
        seed=plan.spec.seed,
    )


def _align(model: torch.nn.Module) -> None:
    """Give every parameter memory of its own: mapped files lie at odd addresses, and those show in the last bit."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    for buffer in model.buffers():
        buffer.data = buffer.data.clone()
