"""Direct preference optimisation: the better answer becomes more likely than the worse one, measured from the start.

The loss of a pair is ``-log sigmoid(beta * ((c - c0) - (r - r0)))`` with the log probabilities of the chosen and the
rejected answer, now and under the reference (https://arxiv.org/abs/2305.18290, eq. 7), which is the model as the run
begins: the base, or what the run that this one continues came to. The reference's are computed once, before the first
step, over rows in an order that nothing but the data decides, so that a resumed run finds the same numbers, or computes
them again bit for bit (where memory runs out, in halves, whose last bits may differ).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.runs.durable import replacing
from tunesmith.training.batching import micro_batches
from tunesmith.training.device import Ranks
from tunesmith.training.evaluation import in_halves
from tunesmith.training.forward import Forward, losses_of
from tunesmith.training.joining import JoinedBatch, PaddedBatch, join_pairs, pad

FILE: Final = "reference.npz"
"""Where a run keeps the reference's log probabilities, one array for each set of rows, by its content."""


@dataclass(frozen=True)
class PairBatch:
    """Some pairs, ready to compute on."""

    rows: JoinedBatch | PaddedBatch
    """The chosen and the rejected row of each pair, in turns."""
    owners: Tensor
    """(labelled tokens,) int64: the row that each of them belongs to."""
    reference: Tensor
    """(pairs, 2) Log probabilities under the reference, of the chosen and of the rejected answer."""
    tokens: int

    @property
    def labels(self) -> int:
        """Pairs."""
        return len(self.reference)


class PairBatches:
    """Pairs as the loop sees them: one row of the loop is a chosen and a rejected row of tokens."""

    def __init__(self, rows: TokenRows, device: torch.device, *, joined: bool, fill: int) -> None:
        self._rows = rows
        self._device = device
        self._joined = joined
        self._fill = fill
        self.lengths: Indices = rows.lengths[0::2] + rows.lengths[1::2]
        """(pairs,) tokens of both rows."""
        self.reference = torch.zeros(len(self.lengths), 2)

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the pairs."""
        return len(rows)

    def batch(self, rows: Sequence[int], epoch: int = 0) -> PairBatch:
        """Make a batch of these pairs."""
        pairs = [(self._rows.row(2 * pair), self._rows.row(2 * pair + 1)) for pair in rows]
        each = [row for pair in pairs for row in pair]
        made = join_pairs(pairs, self._device) if self._joined else pad(each, self._device, self._fill)
        owners = np.repeat(np.arange(len(each)), [int(mask.sum()) for _, mask in each])
        return PairBatch(
            made, torch.from_numpy(owners).to(self._device), self.reference[list(rows)].to(self._device), made.tokens
        )

    @functools.cached_property
    def key(self) -> str:
        """A name for the content of these rows."""
        content = hashlib.sha256(self._rows.lengths.tobytes())
        for row in range(len(self._rows)):
            ids, mask = self._rows.row(row)
            content.update(ids.tobytes())
            content.update(mask.tobytes())
        return content.hexdigest()[:32]


class Preferences:
    """The DPO loss over pairs, with what it says of their rewards."""

    def __init__(
        self,
        model: Any,
        forward: Forward,
        device: torch.device,
        *,
        fill: int,
        beta: float,
        smoothing: float = 0.0,
        micro_tokens: int,
        base: str,
    ) -> None:
        """Make the objective of a model.

        ``smoothing`` is the share of pairs taken to be labelled the wrong way round (cDPO,
        https://ericmitchell.ai/cdpo.pdf). ``base`` names the base model by its content; ``micro_tokens`` are computed
        at once for the reference.
        """
        self.forward = forward
        self.warnings = list(forward.warnings)
        self._model = model
        self._device = device
        self._fill = fill
        self._beta = beta
        self._smoothing = smoothing
        self._micro_tokens = micro_tokens
        self._base = base
        self._made: list[PairBatches] = []

    def rows(self, rows: TokenRows) -> PairBatches:
        """Make pairs of rows that stand in turns; ``warm_up`` gives them their reference."""
        made = PairBatches(rows, self._device, joined=self.forward.joined, fill=self._fill)
        self._made.append(made)
        return made

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Find the reference's log probabilities, in this run or one that it resumes, or compute them.

        Raises:
            OutOfMemory: a single pair does not fit.
        """
        own = self._kept(folder)
        values = own or self._first_kept(earlier)
        if not ranks.least(int(values is not None), self._device):  # All processes find it, or all of them compute.
            values = {self._key(rows): self._reference(rows, beat, ranks) for rows in self._made}
        assert values is not None
        for rows in self._made:
            rows.reference = torch.from_numpy(values[self._key(rows)])
        if own is None and ranks.first:
            with replacing(folder / FILE) as file:
                np.savez(file, allow_pickle=False, **values)

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether the reference is kept in one of these folders."""
        return self._first_kept([folder, *earlier]) is not None

    def loss(self, batch: PairBatch) -> Tensor:
        """Sum of the loss over the pairs of a batch."""
        return self._losses(_margins(self._rewards(batch))).sum()

    def measure(self, batch: PairBatch) -> dict[str, float]:
        """Sum over a batch: the loss, the rewards, and how often the chosen answer has the higher one."""
        rewards = self._rewards(batch)
        margins, sums = _margins(rewards), rewards.sum(0)
        return {
            "loss": float(self._losses(margins).sum()),
            "chosen": float(sums[0]),
            "rejected": float(sums[1]),
            "right": float((margins > 0).sum()),
        }

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Return the share of pairs told apart, and the mean rewards and their difference."""
        return {
            "reward_accuracy": sums["right"] / labels,
            "reward_margin": (sums["chosen"] - sums["rejected"]) / labels,
            "chosen_reward": sums["chosen"] / labels,
            "rejected_reward": sums["rejected"] / labels,
        }

    def _rewards(self, batch: PairBatch) -> Tensor:
        """Return beta times how much more likely each answer is than under the reference: (pairs, 2)."""
        return self._beta * (self._log_probabilities(batch) - batch.reference)

    def _losses(self, margins: Tensor) -> Tensor:
        right, wrong = nn.functional.logsigmoid(margins), nn.functional.logsigmoid(-margins)
        return -(1 - self._smoothing) * right - self._smoothing * wrong

    def _log_probabilities(self, batch: PairBatch) -> Tensor:
        """Sum the log probabilities of the labelled tokens of each row: (pairs, 2), in 32 bits."""
        losses = losses_of(self.forward, self._model, batch.rows)
        sums = torch.zeros(2 * batch.labels, dtype=torch.float32, device=losses.device)
        return -sums.index_add(0, batch.owners, losses).view(-1, 2)

    def _reference(self, rows: PairBatches, beat: Callable[[], None], ranks: Ranks) -> np.ndarray:
        """Compute the log probabilities under the weights as they now are, those of a continued adapter included.

        Each process computes its share of the parts, and leaves the others' zero.
        """
        values = torch.zeros(len(rows.lengths), 2, dtype=torch.float32, device=self._device)

        def compute(part: Sequence[int]) -> None:
            values[list(part)] = self._log_probabilities(rows.batch(part)).to(values.device)

        was_training = self._model.training
        self._model.eval()
        try:
            with torch.no_grad():
                parts = micro_batches(range(len(rows.lengths)), rows.lengths, self._micro_tokens)
                for part in parts[ranks.rank :: ranks.world]:
                    in_halves(part, compute, lengths=rows.lengths, step=0, device=self._device)
                    beat()
        finally:
            self._model.train(was_training)
        ranks.add_up([values])
        return values.cpu().numpy()

    def _key(self, rows: PairBatches) -> str:
        return hashlib.sha256(f"{self._base} {self._micro_tokens} {rows.key}".encode()).hexdigest()[:32]

    def _first_kept(self, folders: Sequence[Path]) -> dict[str, np.ndarray] | None:
        return next((kept for kept in map(self._kept, folders) if kept is not None), None)

    def _kept(self, folder: Path) -> dict[str, np.ndarray] | None:
        """Read what a run kept, if it is all there and of this data and this base."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as held:
                values = {key: held[key] for key in map(self._key, self._made)}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        sizes = {self._key(rows): (len(rows.lengths), 2) for rows in self._made}
        return values if all(values[key].shape == size for key, size in sizes.items()) else None


def _margins(rewards: Tensor) -> Tensor:
    return rewards[:, 0] - rewards[:, 1]
