"""Filling in what was covered: masked language modelling for models that see both sides of a text.

Of the tokens that may be covered a share is chosen; of those 80 % become the mask, 10 % some other token, and 10 % stay
as they are (https://arxiv.org/abs/1810.04805, section 3.1). The choice follows from seed, epoch and row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.data.token_rows import Ids, Indices, TokenRows
from tunesmith.training.forward import inner
from tunesmith.training.joining import WIDE, PaddedBatch, rectangle
from tunesmith.training.logits import summed_loss

COVERED: Final = 0.8
"""Share of the chosen tokens that become the mask."""
EXCHANGED: Final = 0.1
"""Share of them that become some other token."""


class MaskedBatches:
    """Rows of which other tokens are covered in each epoch."""

    def __init__(
        self, rows: TokenRows, device: torch.device, *, fill: int, share: float, mask: int, ordinary: Indices, seed: int
    ) -> None:
        """``mask`` is the token that covers; ``ordinary`` are those that may take another's place."""
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) tokens of each row."""
        self._device = device
        self._fill = fill
        self._share = share
        self._mask = mask
        self._ordinary = ordinary
        self._seed = seed

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the tokens that are chosen in these rows in this epoch."""
        return sum(len(self._chosen(row, self._random(row, epoch))) for row in rows)

    def batch(self, rows: Sequence[int], epoch: int = 0) -> PaddedBatch:
        """Make a batch of these rows as they are covered in this epoch."""
        each, places, targets = [], [], []
        for row in rows:
            random = self._random(row, epoch)
            own, chosen = self._rows.row(row)[0], self._chosen(row, random)
            each.append(self._covered(own, chosen, random))
            places.append(chosen)
            targets.append(own[chosen])
        ids, attention = rectangle(each, self._device, self._fill, wide=WIDE)
        flat = np.concatenate([chosen + number * ids.shape[1] for number, chosen in enumerate(places)])
        wanted = torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(self._device)
        return PaddedBatch(
            ids, attention, torch.from_numpy(flat).to(self._device), wanted, sum(len(own) for own in each)
        )

    def _random(self, row: int, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, epoch, row])

    def _chosen(self, row: int, random: np.random.Generator) -> Indices:
        """Draw the places to learn from, at least one where there is any that may be covered."""
        able = np.flatnonzero(self._rows.row(row)[1])
        drawn = random.random(len(able))
        if not len(able):
            return able
        chosen: Indices = able[drawn < max(self._share, drawn.min() + 1e-12)]
        return chosen

    def _covered(self, own: Ids, chosen: Indices, random: np.random.Generator) -> Ids:
        fate = random.random(len(chosen))
        others = random.choice(self._ordinary, len(chosen))
        exchanged = np.where(fate < COVERED + EXCHANGED, others, own[chosen])
        covered = own.copy()
        covered[chosen] = np.where(fate < COVERED, self._mask, exchanged)
        return covered


class Masking:
    """The cross entropy of the covered tokens, and e to its mean."""

    def __init__(
        self, model: Any, *, make: Callable[[TokenRows], MaskedBatches], perplexity: Callable[[float], float]
    ) -> None:
        """``make`` makes batches of rows; ``perplexity`` turns a mean loss into one."""
        self.warnings: list[str] = []
        self._model = model
        self._make = make
        self._perplexity = perplexity

    def rows(self, rows: TokenRows) -> MaskedBatches:
        """Make batches of these rows."""
        return self._make(rows)

    def loss(self, batch: PaddedBatch) -> Tensor:
        """Sum of the cross entropy over the covered tokens of a batch, in nats."""
        head = inner(self._model).get_output_embeddings()
        reached = self._before(head, batch).flatten(0, 1).index_select(0, batch.places)
        return summed_loss(reached, head.weight, batch.targets, head.bias)

    def measure(self, batch: PaddedBatch) -> dict[str, float]:
        """Sum the loss of a batch."""
        return {"loss": float(self.loss(batch))}

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Say between how many tokens the model hesitates for each covered one."""
        return {"perplexity": self._perplexity(sums["loss"] / labels)}

    def _before(self, head: nn.Module, batch: PaddedBatch) -> Tensor:
        """Compute what reaches the output head, (rows, longest, hidden): its logits are needed at few places."""
        reached: list[Tensor] = []

        def catch(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            reached.append(inputs[0])
            return (inputs[0][:, :0],)

        catching = head.register_forward_pre_hook(catch)
        try:
            self._model(input_ids=batch.ids, attention_mask=batch.attention)
        finally:
            catching.remove()
        return reached[0]
