"""From a batch to the hidden states at its labels: fast paths for families that were shown equal, and the stock path.

``documents`` registers joined-row attention with transformers once; ``fused`` runs the whole decoder over joined rows.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tunesmith.training.adapters import has_dora
from tunesmith.training.decoder import JoinedDecoder, supports
from tunesmith.training.documents import attend
from tunesmith.training.dropping import speed_up_dropout
from tunesmith.training.joining import JoinedBatch, PaddedBatch
from tunesmith.training.logits import label_losses, label_scores, scores_of, summed_loss
from tunesmith.training.projection import group_of, project

ATTENTION = "tunesmith_documents"
"""Name under which transformers knows the joined-row attention."""
FLASH = "flash_attention_2"
"""Name under which it knows that of the flash-attn package."""


class Forward(Protocol):
    """Hidden states, after the last norm, at the places from which labels are predicted: (labels, hidden)."""

    joined: bool
    """Whether it takes joined rows (else padded ones)."""
    logits: bool
    """Whether it gives logits instead: where a model does more after its last layer than multiply with its head."""
    warnings: list[str]
    """What the user should know about the choice."""

    def __call__(self, batch: Any) -> Tensor:
        """Compute them."""
        ...


class Fused:
    """Our own pass over the modules of a Llama-shaped decoder."""

    joined = True
    logits = False

    def __init__(self, decoder: Any, checkpointing: bool) -> None:
        self.warnings: list[str] = []
        self._decoder = JoinedDecoder(decoder)
        self._decoder.checkpointing = checkpointing

    def __call__(self, batch: JoinedBatch) -> Tensor:
        """Compute over joined rows."""
        return self._decoder(batch.ids, batch.positions, batch.layout).index_select(0, batch.places)


class Documents:
    """transformers' own pass, with joined-row attention inside and adapters computed in the model's number format."""

    joined = True
    logits = False

    def __init__(self, decoder: Any) -> None:
        self.warnings: list[str] = []
        register_attention()
        decoder.config._attn_implementation = ATTENTION
        speed_up_adapters(decoder)
        self._decoder = decoder

    def __call__(self, batch: JoinedBatch) -> Tensor:
        """Compute over joined rows."""
        out = self._decoder(
            input_ids=batch.ids.unsqueeze(0),
            position_ids=batch.positions.unsqueeze(0),
            attention_mask=None,
            use_cache=False,
            layout=batch.layout,
        )
        hidden: Tensor = out.last_hidden_state[0].index_select(0, batch.places)
        return hidden


class Stock:
    """The model's own pass over padded rows: right for every family, fast for none."""

    joined = False
    logits = False

    def __init__(self, decoder: Any, warnings: list[str]) -> None:
        self.warnings = warnings
        self._decoder = decoder

    def __call__(self, batch: PaddedBatch) -> Tensor:
        """Compute over padded rows."""
        out = self._decoder(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False)
        hidden: Tensor = out.last_hidden_state.flatten(0, 1).index_select(0, batch.places)
        return hidden


class Whole:
    """The model's own pass to its logits, for models whose head is more than one product."""

    joined = False
    logits = True

    def __init__(self, model: Any, warnings: list[str]) -> None:
        self.warnings = warnings
        self._model = model

    def __call__(self, batch: PaddedBatch) -> Tensor:
        """Compute logits over padded rows."""
        out = self._model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False)
        logits: Tensor = out.logits.flatten(0, 1).index_select(0, batch.places)
        return logits


def loss_of(forward: Forward, model: Any, batch: Any) -> Tensor:
    """Sum of the cross entropy over the labels of a batch, in nats."""
    if forward.logits:
        return nn.functional.cross_entropy(forward(batch).float(), batch.targets, reduction="sum")
    return summed_loss(forward(batch), inner(model).get_output_embeddings().weight, batch.targets)


def losses_of(forward: Forward, model: Any, batch: Any) -> Tensor:
    """Cross entropy of each label of a batch alone, in nats: (labels,) in 32 bits."""
    if forward.logits:
        return nn.functional.cross_entropy(forward(batch).float(), batch.targets, reduction="none")
    return label_losses(forward(batch), inner(model).get_output_embeddings().weight, batch.targets)


def scores_of_labels(forward: Forward, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
    """Cross entropy of each label alone, in nats, and whether it is the likeliest token: both (labels,)."""
    if forward.logits:
        return scores_of(forward(batch), batch.targets)
    return label_scores(forward(batch), inner(model).get_output_embeddings().weight, batch.targets)


def build_forward(
    model: Any, *, attention: str, fused: bool, joined: bool, checkpointing: bool, length: int
) -> Forward:
    """Choose the pass for a causal language model (or PEFT's wrapper of one) and rows of up to ``length`` tokens."""
    decoder = decoder_of(inner(model))
    warnings = []
    plain = head_is_plain(inner(model))
    joined = joined and plain
    if attention == "documents" and joined and _sees_less(decoder.config, length):
        warnings.append(
            f"Rows may be longer than the model's attention window: its own attention is used ({length} tokens)."
        )
        joined = False
    if attention == "documents" and joined and bool(getattr(decoder.config, "attention_dropout", 0.0)):
        warnings.append("The model drops attention weights while it trains: its own attention is used.")
        joined = False
    if attention == "documents" and joined and fused and supports(decoder) and not has_dora(decoder):
        return Fused(decoder, checkpointing)
    if checkpointing:
        inner(model).gradient_checkpointing_enable({"use_reentrant": False})
        inner(model).enable_input_require_grads()
    if attention == FLASH:
        inner(model).set_attn_implementation(FLASH)
    if plain and joined and attention == "documents":
        return Documents(decoder)
    speed_up_dropout(inner(model))
    return Stock(decoder, warnings) if plain else Whole(inner(model), warnings)


def head_is_plain(model: Any) -> bool:
    """Whether logits are the last hidden states times the head's weight and nothing else; asked of the model itself."""
    head = model.get_output_embeddings()
    if head is None or getattr(head, "bias", None) is not None:
        return False
    if getattr(model.config.get_text_config(), "final_logit_softcapping", None):  # shows in large logits alone
        return False
    ids = torch.arange(min(8, head.weight.shape[0]), device=head.weight.device).unsqueeze(0)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            own = model(input_ids=ids, use_cache=False).logits[0].float()
            ours = decoder_of(model)(input_ids=ids, use_cache=False).last_hidden_state[0] @ head.weight.t()
    finally:
        model.train(was_training)
    largest = float(own.abs().max())
    # Damaged weights give no number, of which nothing can be said.
    return math.isfinite(largest) and bool(torch.allclose(own, ours.float(), rtol=1e-3, atol=1e-3 * largest))


def _sees_less(config: Any, length: int) -> bool:
    """Whether a sliding window is shorter than the rows."""
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return window is not None and length > int(window)


def decoder_of(model: Any) -> Any:
    """Return the layers below the output head (Llama 4 does not name them, so it gives itself)."""
    found = model.get_decoder()
    return model.model if found is model else found


def inner(model: Any) -> Any:
    """Return the transformers model inside PEFT's wrapper, if there is one."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def register_attention() -> None:
    """Make joined-row attention known to transformers."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, lambda *args, **kwargs: None)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float, **kwargs: Any
) -> tuple[Tensor, None]:
    """Joined-row attention as transformers calls it: (1, heads, tokens, size) in, (1, tokens, heads, size) out."""
    parts = [states[0].transpose(0, 1).contiguous() for states in (query, key, value)]
    return attend(parts[0], parts[1], parts[2], kwargs["layout"], scaling).unsqueeze(0), None


def speed_up_adapters(model: Any) -> None:
    """Compute every adapted linear layer of a model as one projection, where PEFT's own would do no more."""
    for module in list(model.modules()):
        base = getattr(module, "base_layer", None)
        if "default" in getattr(module, "lora_A", {}) and isinstance(base, nn.Linear) and not has_dora(module):
            _speed_up(module)


def _speed_up(module: Any) -> None:
    """Compute a PEFT layer as one projection: its adapter in the number format of the base, with little kept."""
    stock, group = module.forward, group_of([module])

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if module.disable_adapters or args or kwargs:
            plain: Tensor = stock(x, *args, **kwargs)
            return plain
        return project(x.flatten(0, -2), group, training=module.training).view(*x.shape[:-1], -1)

    module.forward = forward
