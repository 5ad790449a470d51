"""How much memory a run takes at its peak: sums over the model's shapes.

The constants stand at the top; each says what it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tunesmith.spec.plan import MemoryEstimate, ModelFacts
from tunesmith.spec.recipe import Method, Precision

GIB: Final = 2**30
OVERHEAD: Final = {"cpu": int(0.6 * GIB), "cuda": 1 * GIB}
"""The process itself: Python with torch and transformers on a CPU; context, kernels and workspaces on a GPU."""
BYTES: Final = {Precision.BF16: 2, Precision.FP32: 4}
MASTER: Final = 4
"""Bytes of a 32-bit value: master copies and gradients are kept in it."""
MOMENTS: Final = 8
"""Bytes that AdamW keeps for each trained weight: two 32-bit averages."""
HIDDEN_KEPT: Final = 12
"""Values per token and layer, in hidden widths, kept for the backward pass: norms, projections, residuals."""
INTERMEDIATE_KEPT: Final = 4
"""The same in intermediate widths: gate, up, the activated gate, their product."""
ATTENTION_COLUMNS: Final = 256
"""Columns of attention weights kept per token and head; longer rows go through a kernel that keeps none."""
LOGIT_POSITIONS: Final = 1024
"""Positions whose logits exist at once, at most."""
LOGIT_COPIES: Final = 3
"""32-bit copies of these: logits, their softmax, its gradient."""


@dataclass(frozen=True)
class Workload:
    """What is computed at once, and how."""

    model: ModelFacts
    method: Method
    adapter_weights: int
    """Trained weights of an adapter; 0 for full training."""
    precision: Precision
    device: str
    tokens: int
    """Tokens in the largest micro-batch."""
    longest: int
    """Tokens of the longest row in it."""
    trained_share: float
    """Share of the tokens that carry a label."""
    checkpointing: bool
    available: int
    """Bytes."""

    def with_tokens(self, tokens: int, *, checkpointing: bool) -> Workload:
        """Return the same work in other portions; a row that is longer still goes alone."""
        return replace(self, tokens=max(tokens, self.longest), checkpointing=checkpointing)


def estimate(work: Workload) -> MemoryEstimate:
    """Add up the parts."""
    width = BYTES[work.precision]
    trained = work.adapter_weights or work.model.parameters
    copied = trained if work.precision is Precision.BF16 else 0
    return MemoryEstimate(
        weights=(work.model.parameters + work.adapter_weights) * width,
        gradients=trained * MASTER,
        optimizer=trained * MOMENTS + copied * MASTER,
        activations=_activations(work, width),
        logits=_logits(work),
        overhead=OVERHEAD[work.device],
        available=work.available,
    )


def _activations(work: Workload, width: int) -> int:
    model = work.model
    values = HIDDEN_KEPT * model.hidden + INTERMEDIATE_KEPT * model.intermediate
    values += 2 * model.heads * min(work.longest, ATTENTION_COLUMNS)
    kept_layers = 1 if work.checkpointing else model.layers
    inputs = model.layers * model.hidden if work.checkpointing else 0
    return work.tokens * width * (kept_layers * values + inputs)


def _logits(work: Workload) -> int:
    positions = min(LOGIT_POSITIONS, max(1, round(work.tokens * work.trained_share)))
    return positions * work.model.vocabulary * MASTER * LOGIT_COPIES
