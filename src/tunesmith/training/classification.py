"""Telling classes of text apart: the cross entropy of one label for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.spec.errors import UnknownLabel
from tunesmith.training.batching import micro_batches
from tunesmith.training.joining import WIDE, rectangle
from tunesmith.training.pieces import Rows

LISTED: Final = 200
"""Classes that are reported one by one, at most; of more only the averages."""


@dataclass(frozen=True)
class LabelledBatch:
    """Rows side by side, padded on the right, each with its class."""

    inputs: dict[str, Tensor]
    """What the model reads, by its own names: ``input_ids`` and ``attention_mask`` (rows, longest) int64, or
    ``pixel_values`` (rows, 3, height, width)."""
    classes: Tensor
    """(rows,) int64"""
    tokens: int

    @property
    def labels(self) -> int:
        """Rows."""
        return len(self.classes)


Inputs = Callable[[TokenRows, Sequence[int], int], dict[str, Tensor]]
"""Makes what the model reads of some rows in an epoch, by its own names."""


class LabelledBatches:
    """Rows with classes as the loop sees them."""

    def __init__(self, rows: TokenRows, classes: Indices, device: torch.device, inputs: Inputs) -> None:
        """``classes`` is (rows,): the place of each row's class among those of the model."""
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) what each row counts: tokens, patches of a picture, frames of a recording."""
        self._classes = classes
        self._device = device
        self._inputs = inputs

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the rows."""
        return len(rows)

    def batch(self, rows: Sequence[int], epoch: int = 0) -> LabelledBatch:
        """Make a batch of these rows."""
        classes = torch.from_numpy(self._classes[list(rows)].astype(np.int64)).to(self._device)
        return LabelledBatch(self._inputs(self._rows, rows, epoch), classes, int(self.lengths[list(rows)].sum()))


def of_tokens(
    rows: TokenRows, chosen: Sequence[int], epoch: int, *, device: torch.device, fill: int
) -> dict[str, Tensor]:
    """Put the tokens of rows side by side, for models that read text."""
    ids, attention = rectangle([rows.row(row)[0] for row in chosen], device, fill, wide=WIDE)
    return {"input_ids": ids, "attention_mask": attention}


class Classification:
    """The loss of a sequence classifier, its accuracy, and how it does on each class."""

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        inputs: Inputs,
        classes: Sequence[str],
        labels: Sequence[str],
        given: bool,
        counts: Indices | None = None,
    ) -> None:
        """``classes`` are the model's, ``labels`` those of the data by their numbers.

        With ``counts``, (classes,) the training rows of each, all classes count the same in training, however many rows
        they have.

        ``given`` says that the user chose which rows are held out, so that a class which is not trained is a fault of
        the data; else such rows are left out.
        """
        self.warnings: list[str] = []
        self._model = model
        self._device = device
        self._inputs = inputs
        self._weights: Tensor | None = None
        if counts is not None:
            weights = counts.sum() / (len(counts) * counts)
            self._weights = torch.tensor(weights, dtype=torch.float32, device=device)
            """(classes,) what a row of each class counts, 1 on average over the rows."""
        self._classes = list(classes)
        self._labels = labels
        self._given = given

    def rows(self, rows: TokenRows, inputs: Inputs | None = None) -> LabelledBatches:
        """Make batches of these rows, of other ``inputs`` where rows to train on vary.

        Raises:
            UnknownLabel: a row has a class that is not trained.
        """
        assert rows.labels is not None
        places = np.array([self._place(label) for label in self._labels], np.int64)
        unknown = np.flatnonzero(places[rows.labels] < 0)
        if len(unknown):
            names = sorted({self._labels[number] for number in rows.labels[unknown]})
            if self._given:
                raise UnknownLabel(names, self._classes)
            self.warnings.append(f"{len(unknown)} rows held out are not used: no training row is {' or '.join(names)}.")
            rows = rows.take(np.flatnonzero(places[rows.labels] >= 0))
        assert rows.labels is not None
        return LabelledBatches(rows, places[rows.labels], self._device, inputs or self._inputs)

    def loss(self, batch: LabelledBatch) -> Tensor:
        """Sum of the cross entropy over the rows of a batch, in nats."""
        return nn.functional.cross_entropy(self._logits(batch), batch.classes, weight=self._weights, reduction="sum")

    def measure(self, batch: LabelledBatch) -> dict[str, float]:
        """Sum the loss, and for each class its rows, the rows taken for it, and those taken rightly."""
        logits = self._logits(batch)
        taken, count = logits.argmax(-1), len(self._classes)
        right = taken[taken == batch.classes]
        sums = {"loss": float(nn.functional.cross_entropy(logits, batch.classes, reduction="sum"))}
        for name, places in {"rows": batch.classes, "taken": taken, "right": right}.items():
            counts = torch.bincount(places, minlength=count).tolist()
            sums |= {f"{name} {number}": float(found) for number, found in enumerate(counts)}
        return sums

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Return accuracy, macro F1 (over the classes that occur), the largest class's share, and each class."""
        rows, taken, right = (
            np.array([sums[f"{name} {number}"] for number in range(len(self._classes))])
            for name in ("rows", "taken", "right")
        )
        scores = 2 * right / np.maximum(rows + taken, 1)
        found = {
            "accuracy": float(right.sum() / labels),
            "macro_f1": float(scores[rows + taken > 0].mean()),
            "majority_share": float(rows.max() / labels),
        }
        if len(self._classes) > LISTED:
            return found
        for name, count, score in zip(self._classes, rows, scores, strict=True):
            found |= {f"rows of {name}": float(count), f"f1 of {name}": float(score)}
        return found

    def confusion(self, rows: Rows, micro_tokens: int) -> dict[str, Any]:
        """Count what the rows of each class are taken for: a line for each class, in the order of ``classes``.

        The model has to be in the mode in which it is measured.
        """
        count = len(self._classes)
        found = torch.zeros(count * count, dtype=torch.int64)
        with torch.no_grad():
            for part in micro_batches(range(len(rows.lengths)), rows.lengths, micro_tokens):
                batch: LabelledBatch = rows.batch(part, 0)  # type: ignore[assignment]
                pairs = batch.classes * count + self._logits(batch).argmax(-1)
                found += torch.bincount(pairs, minlength=count * count).cpu()
        return {"classes": self._classes, "counts": found.view(count, count).tolist()}

    def _place(self, label: str) -> int:
        return self._classes.index(label) if label in self._classes else -1

    def _logits(self, batch: LabelledBatch) -> Tensor:
        """Compute (rows, classes) in 32 bits."""
        logits: Tensor = self._model(**batch.inputs).logits
        return logits.float()


def in_32_bits(head: nn.Module) -> None:
    """Let a head compute in 32 bits whatever the layers below it do; its sums decide between classes."""
    head.float()
    head.register_forward_pre_hook(_widened)


def _widened(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.float() for part in inputs)
