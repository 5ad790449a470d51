"""Predicting the next token: what chat tuning and pretraining learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.forward import Forward, loss_of
from tunesmith.training.joining import TokenBatches


class NextToken:
    """The cross entropy of the labelled tokens, and with ``perplexity`` also e to its mean."""

    def __init__(
        self,
        model: Any,
        forward: Forward,
        device: torch.device,
        *,
        fill: int,
        perplexity: Callable[[float], float] | None = None,
    ) -> None:
        self.forward = forward
        self.warnings = list(forward.warnings)
        self._model = model
        self._device = device
        self._fill = fill
        self._perplexity = perplexity

    def rows(self, rows: TokenRows) -> TokenBatches:
        """Make batches of these rows."""
        return TokenBatches(rows, self._device, joined=self.forward.joined, fill=self._fill)

    def loss(self, batch: Any) -> Tensor:
        """Sum of the cross entropy over the labels of a batch, in nats."""
        return loss_of(self.forward, self._model, batch)

    def measure(self, batch: Any) -> dict[str, float]:
        """Sum the loss of a batch."""
        return {"loss": float(self.loss(batch))}

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Running text is judged by its perplexity; answers by their loss alone."""
        return {} if self._perplexity is None else {"perplexity": self._perplexity(sums["loss"] / labels)}
