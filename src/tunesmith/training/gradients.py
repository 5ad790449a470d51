"""The gradient of a step: micro-batch by micro-batch, over all processes, within the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from tunesmith.spec.errors import OutOfMemory
from tunesmith.training.ahead import Ahead, ahead
from tunesmith.training.batching import draw_seed, halves, micro_batches
from tunesmith.training.device import Ranks, is_out_of_memory, release_memory
from tunesmith.training.evaluation import in_halves
from tunesmith.training.observer import Observer
from tunesmith.training.optimizers import Trainables
from tunesmith.training.pieces import Joint, TrainingPieces, able
from tunesmith.training.progress import Progress

Learn = Callable[[int, str, Mapping[str, float]], None]
"""Takes fewer tokens at once from now on: how many, why, and the numbers behind it."""


class Gradients:
    """Computes what a step adds up to; the optimizer finds it in ``trainables``."""

    def __init__(
        self,
        pieces: TrainingPieces,
        trainables: Trainables,
        *,
        seed: int,
        observer: Observer,
        device: torch.device,
        ranks: Ranks,
        learn: Learn,
    ) -> None:
        self._pieces = pieces
        self._train = ahead(pieces.train, device)
        self._trainables = trainables
        self._seed = seed
        self._observer = observer
        self._device = device
        self._ranks = ranks
        self._learn = learn

    def add_up(
        self, rows: Sequence[int], labels: int, progress: Progress, following: Sequence[int] = ()
    ) -> tuple[float, int]:
        """Add up the gradients of a step of ``rows``; return its mean loss and its tokens.

        ``following`` are the rows of the step that is likely to come next, so that its first batch may be made ahead.

        Raises:
            OutOfMemory: a single row does not fit.
        """
        self._trainables.reset()
        parts = micro_batches(rows, self._train.lengths, progress.micro_tokens)
        joint: Joint | None = able(self._pieces, Joint)
        self._expect(parts, following, progress, looks=joint is not None)
        if joint is not None:
            joint.meet(rows, self._look(joint, rows, parts, progress))
        loss, tokens = 0.0, 0
        for part in parts[self._ranks.rank :: self._ranks.world]:
            part_loss, part_tokens = self._micro_batch(part, labels, progress)
            loss, tokens = loss + part_loss, tokens + part_tokens
            self._observer.beat(progress.step)
        self._ranks.add_up(self._trainables.gradients())
        self._trainables.unscale(progress.loss_scale)
        loss, total = self._ranks.total(loss, tokens, device=self._device)
        # What one process learned from running out of memory holds for all: they must divide the next step alike.
        least = self._ranks.least(progress.micro_tokens, self._device)
        if least < progress.micro_tokens:
            self._learn(least, "memory ran out in another process; all go on with its limit", {})
        return loss, int(total)

    def _expect(
        self, parts: Sequence[Sequence[int]], following: Sequence[int], progress: Progress, *, looks: bool
    ) -> None:
        """Have the batches of this step, and of the next, made ahead; a joint step looks at each of its own twice."""
        if isinstance(self._train, Ahead):
            later = micro_batches(following, self._train.lengths, progress.micro_tokens)
            own, next_ = (some[self._ranks.rank :: self._ranks.world] for some in (parts, later))
            self._train.expect([*own, *(own if looks else ()), *next_], progress.epoch)

    def _look(
        self, joint: Joint, rows: Sequence[int], parts: Sequence[Sequence[int]], progress: Progress
    ) -> dict[str, torch.Tensor]:
        """Compute what all rows of a step bring into each other's losses, with the random numbers of the parts."""
        found: list[tuple[Sequence[int], dict[str, torch.Tensor]]] = []

        def compute(some: Sequence[int]) -> None:
            torch.manual_seed(draw_seed(self._seed, progress.step, some))
            seen = joint.look(self._train.batch(some, progress.epoch))
            found.append((some, {name: tensor.detach().cpu() for name, tensor in seen.items()}))

        with torch.no_grad():
            for part in parts[self._ranks.rank :: self._ranks.world]:
                in_halves(part, compute, lengths=self._train.lengths, step=progress.step + 1, device=self._device)
                self._observer.beat(progress.step)
        held = [each for part in self._ranks.all_of(found) for each in part]
        place_of = {row: place for place, row in enumerate(row for some, _ in held for row in some)}
        order = torch.tensor([place_of[row] for row in rows])
        names = held[0][1]
        return {name: torch.cat([seen[name] for _, seen in held])[order].to(self._device) for name in names}

    def _micro_batch(self, part: Sequence[int], labels: int, progress: Progress) -> tuple[float, int]:
        """Compute one micro-batch; when memory runs out, its halves, with the same step, rows and weighting."""
        torch.manual_seed(draw_seed(self._seed, progress.step, part))
        try:
            return self._attempt(part, labels, progress)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._trainables.discard()
        release_memory(self._device)
        return self._in_halves(part, labels, progress)

    def _attempt(self, part: Sequence[int], labels: int, progress: Progress) -> tuple[float, int]:
        """Compute forward and backward. What it holds dies with it, so that a failed attempt leaves its memory."""
        batch = self._train.batch(part, progress.epoch)
        loss = self._pieces.loss(batch) / labels
        (loss * progress.loss_scale).backward()  # type: ignore[no-untyped-call]
        self._trainables.collect()
        return loss.item(), batch.tokens

    def _in_halves(self, part: Sequence[int], labels: int, progress: Progress) -> tuple[float, int]:
        tokens = int(self._train.lengths[list(part)].sum())
        if len(part) == 1:
            raise OutOfMemory(progress.step + 1, tokens)
        learned = max(16, tokens // 2)
        if learned < progress.micro_tokens:
            reason = f"memory ran out at {tokens} tokens; the step goes on with half, the effective batch stays"
            self._learn(learned, reason, {"tokens": tokens})
        results = [self._micro_batch(half, labels, progress) for half in halves(part)]
        return sum(loss for loss, _ in results), sum(count for _, count in results)
