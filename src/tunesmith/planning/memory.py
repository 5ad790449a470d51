"""How much memory a run takes at its peak: sums over the model's shapes.

The constants stand at the top; each says what it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tunesmith.spec.plan import MemoryEstimate, ModelFacts
from tunesmith.spec.recipe import Method, Optimizer, Precision

GIB: Final = 2**30
OVERHEAD: Final = {"cpu": int(0.5 * GIB), "cuda": 1 * GIB}
"""The process itself: Python with torch, transformers and PEFT on a CPU (309 MiB imported, about 460 MiB with what
matrix products and the allocator keep); context, kernels and workspaces on a GPU."""
BYTES: Final = {Precision.BF16: 2, Precision.FP16: 2, Precision.FP32: 4}
MASTER: Final = 4
"""Bytes of a 32-bit value: master copies are kept and gradients added up in it."""
EIGHT_BIT: Final = 2 + 2 * MASTER / 256
"""Bytes that an 8-bit AdamW keeps for each trained weight: two averages, and a scale for 256 of each."""
MOMENTS: Final = {
    Optimizer.ADAMW_TORCH: 8.0,
    Optimizer.ADAMW_BNB_8BIT: EIGHT_BIT,
    Optimizer.PAGED_ADAMW_8BIT: EIGHT_BIT,
    Optimizer.ADAFACTOR: 0.0,
}
"""Bytes that an optimizer keeps for each trained weight; Adafactor keeps sums of rows and columns alone."""
SCALED: Final = 64
"""Weights of 4 bits that share a 32-bit scale."""
SCALES: Final = 256
"""Scales that share one of 32 bits where they are quantised too, to 8 bits each."""
UNPACKED: Final = 2
"""Matrices of one layer that stand in full at once while a quantised base is computed (gate and up)."""
LOGIT_NUMBERS: Final = 2**23
"""Logits that exist at once, at most (``training/logits.py``)."""
LOGIT_COPIES: Final = 3
"""32-bit copies of these: logits, their softmax, its gradient."""
SHORT: Final = 192
"""Columns up to which joined rows keep their attention weights (``training/documents.py``)."""


@dataclass(frozen=True)
class Kept:
    """Values that one token leaves behind in one layer for the backward pass."""

    hidden: int
    """In hidden widths: norms, projections, residuals."""
    intermediate: int
    """In intermediate widths: gate, up, the activation, their product."""
    attention: int
    """Per head and column of the attention weights."""
    columns: int | None
    """Most columns that are kept; None: all of the row's."""


KEPT: Final = {
    "fused": Kept(hidden=9, intermediate=4, attention=1, columns=SHORT),
    "documents": Kept(hidden=24, intermediate=6, attention=1, columns=SHORT),
    "stock": Kept(hidden=24, intermediate=14, attention=6, columns=None),
}
"""By the way rows are computed. Fitted from above to how a process grew over one pass of 1,024 tokens: a Llama (fused)
and a Qwen3 (documents) of SmolLM2-135M's shape, and GPT-2 (stock: dropout, and an activation in many steps)."""


@dataclass(frozen=True)
class Workload:
    """What is computed at once, and how."""

    model: ModelFacts
    method: Method
    adapter_weights: int
    """Weights of an adapter, whether or not the method has one."""
    precision: Precision
    device: str
    path: str
    """How rows are computed, a key of ``KEPT``."""
    tokens: int
    """Tokens in the largest micro-batch."""
    longest: int
    """Tokens of the longest row in it."""
    trained_share: float
    """Share of the tokens that carry a label."""
    checkpointing: bool
    available: int
    """Bytes."""
    optimizer: Optimizer = Optimizer.ADAMW_TORCH
    double: bool = False
    """Whether the scales of a 4-bit base are quantised too."""
    rank: int = 0
    """Of the adapter."""
    may_quantize: bool = False
    """Whether the base could be stored in 4 bits instead."""

    @property
    def trained(self) -> int:
        """Weights that are trained."""
        return self.adapter_weights if self.method.adapts else self.model.parameters

    def with_rank(self, rank: int) -> Workload:
        """Return the same work with an adapter of another rank."""
        return replace(self, rank=rank, adapter_weights=self.adapter_weights * rank // self.rank)

    def with_tokens(self, tokens: int, *, checkpointing: bool) -> Workload:
        """Return the same work in other portions; a row that is longer still goes alone."""
        return replace(self, tokens=max(tokens, self.longest), checkpointing=checkpointing)


def estimate(work: Workload) -> MemoryEstimate:
    """Add up the parts."""
    width = BYTES[work.precision]
    copied = 0 if work.precision is Precision.FP32 else work.trained
    activations = _activations(work, width)
    # The gradients of one pass come as its activations go; the sums of all passes stay.
    beyond = max(0, work.trained * width - activations)
    return MemoryEstimate(
        weights=_weights(work, width),
        gradients=work.trained * MASTER + beyond,
        optimizer=_moments(work) + copied * MASTER,
        activations=activations + _unpacked(work, width),
        logits=_logits(work),
        overhead=OVERHEAD[work.device],
        available=work.available,
    )


def _weights(work: Workload, width: int) -> int:
    """Count the base, whose linear layers may be quantised, and the adapter."""
    packed = work.model.linear_parameters if work.method.bits else 0
    whole = work.model.parameters - packed + (work.adapter_weights if work.method.adapts else 0)
    return whole * width + round(packed * _bytes_packed(work))


def _bytes_packed(work: Workload) -> float:
    """Return the bytes that a quantised weight takes, its share of the scales among them."""
    if work.method.bits != 4:
        return 1 + MASTER / max(1, work.model.hidden)
    return 0.5 + (1 / SCALED + MASTER / (SCALED * SCALES) if work.double else MASTER / SCALED)


def _moments(work: Workload) -> int:
    if work.optimizer is not Optimizer.ADAFACTOR:
        return round(work.trained * MOMENTS[work.optimizer])
    model = work.model
    tables = 0 if work.method.adapts else model.vocabulary + model.hidden
    return (sum(model.linear_widths.values()) + tables) * MASTER


def _unpacked(work: Workload, width: int) -> int:
    return UNPACKED * work.model.hidden * work.model.intermediate * width if work.method.bits else 0


def _activations(work: Workload, width: int) -> int:
    model = work.model
    if model.unit_bytes is not None:
        return work.tokens * model.unit_bytes * width // MASTER
    kept = KEPT[work.path]
    columns = work.longest if kept.columns is None else min(work.longest, kept.columns)
    hidden = max(model.hidden, model.heads * (model.head_dim or 0))
    values = kept.hidden * hidden + kept.intermediate * model.intermediate + kept.attention * model.heads * columns
    kept_layers = 1 if work.checkpointing else model.layers
    inputs = model.layers * model.hidden if work.checkpointing else 0
    return work.tokens * width * (kept_layers * values + inputs)


def _logits(work: Workload) -> int:
    """Count one chunk of logits and, where the output head is trained, its gradient in 32 bits."""
    positions = max(1, round(work.tokens * work.trained_share))
    chunk = min(max(LOGIT_NUMBERS, 16 * work.model.vocabulary), positions * work.model.vocabulary)
    head = work.model.vocabulary * work.model.hidden if work.method is Method.FULL else 0
    return (chunk * LOGIT_COPIES + head) * MASTER
