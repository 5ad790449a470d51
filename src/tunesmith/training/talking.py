"""Writing about pictures: the cross entropy of the trained tokens, and answers compared with the expected ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.forward import inner
from tunesmith.training.logits import summed_loss
from tunesmith.training.pieces import Rows


@dataclass(frozen=True)
class Asked:
    """The last question of a row, and the answer that it has there."""

    inputs: dict[str, Tensor]
    """What the model reads of it, by its own names."""
    expected: str


@dataclass(frozen=True)
class TalkBatch:
    """Some conversations side by side with their pictures, padded on the right."""

    inputs: dict[str, Tensor]
    """What the model reads, by its own names."""
    places: Tensor
    """(labels,) int64 into the flattened rectangle: where a trained token is predicted from."""
    targets: Tensor
    """(labels,) int64"""
    tokens: int
    asked: list[Asked] = field(default_factory=list)
    """What of these rows is to be answered when they are measured."""

    @property
    def labels(self) -> int:
        """Trained tokens."""
        return len(self.targets)


class Talking:
    """The loss of what is written about pictures; of some rows also how the model's own answers compare."""

    def __init__(
        self,
        model: Any,
        *,
        make: Callable[[TokenRows], Rows],
        answer: Callable[[Mapping[str, Tensor]], str],
        scores: Mapping[str, Callable[[str, str], float]],
        perplexity: Callable[[float], float],
    ) -> None:
        """``answer`` lets the model write; ``scores`` compare an answer with the expected one, by the metric's name."""
        self.warnings: list[str] = []
        self._model = model
        self._make = make
        self._answer = answer
        self._scores = scores
        self._perplexity = perplexity

    def rows(self, rows: TokenRows) -> Rows:
        """Make conversations of rows."""
        return self._make(rows)

    def loss(self, batch: TalkBatch) -> Tensor:
        """Sum of the cross entropy over the trained tokens of a batch, in nats; logits exist chunk by chunk."""
        head = inner(self._model).get_output_embeddings()
        hidden = self._before_head(head, batch).flatten(0, 1).index_select(0, batch.places)
        return summed_loss(hidden, head.weight, batch.targets, getattr(head, "bias", None))

    def measure(self, batch: TalkBatch) -> dict[str, float]:
        """Sum the loss of a batch, and the scores of the answers to what is asked of it."""
        sums = {"loss": float(self.loss(batch).detach()), "answered": float(len(batch.asked))}
        sums |= dict.fromkeys(self._scores, 0.0)
        for asked in batch.asked:
            said = self._answer(asked.inputs)
            for name, score in self._scores.items():
                sums[name] += score(said, asked.expected)
        return sums

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Return the perplexity, and the mean scores where something was answered."""
        found = {"perplexity": self._perplexity(sums["loss"] / labels)}
        answered = sums.get("answered", 0.0)
        return found | {name: sums[name] / answered for name in self._scores if answered}

    def _before_head(self, head: nn.Module, batch: TalkBatch) -> Tensor:
        """Return what the output head would read, (rows, longest, size); it is given a single place of each row.

        Families differ in where pictures join the tokens, but all end in one head.
        """
        caught: list[Tensor] = []

        def catch(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            caught.append(args[0])
            return (args[0][:, :1].detach(),)

        handle = head.register_forward_pre_hook(catch)
        try:
            self._model(**batch.inputs, use_cache=False)
        finally:
            handle.remove()
        return caught[-1]


def labelled(ids: Tensor, rows: Sequence[tuple[Any, Any]]) -> tuple[Tensor, Tensor]:
    """Return from where the trained tokens of rows side by side are predicted, and the tokens: (labels,) each."""
    places, targets = [], []
    for number, (own, mask) in enumerate(rows):
        trained = torch.from_numpy(mask.astype("int64")).nonzero().flatten()
        places.append(trained - 1 + number * ids.shape[1])
        targets.append(torch.from_numpy(own.astype("int64"))[trained])
    return torch.cat(places).to(ids.device), torch.cat(targets).to(ids.device)
