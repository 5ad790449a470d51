"""The training loop, readable top to bottom.

A step takes the rows that seed and step number name, computes them micro-batch by micro-batch, adds the gradients up
weighted by tokens, and updates. Nothing here depends on the time or on free memory, so a run that is killed and resumed
from a checkpoint computes the same numbers, bit for bit, as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from tunesmith.spec.errors import NotANumber, OutOfMemory
from tunesmith.spec.events import Body, DecisionMade, Evaluated, Step, Warned
from tunesmith.spec.states import Request
from tunesmith.training.batching import draw_seed, halves, micro_batches, step_rows, steps_per_epoch
from tunesmith.training.device import Ranks, is_out_of_memory, peak_memory, release_memory
from tunesmith.training.optimizers import Trainables, build_optimizer, clip, set_rate
from tunesmith.training.pieces import Rows, TrainingPieces
from tunesmith.training.schedules import factor, warmup_steps
from tunesmith.training.state import Progress, forget_optimizer, load_state, load_weights, save_state
from tunesmith.training.stopping import improved, out_of_patience


@dataclass(frozen=True)
class LoopSettings:
    """Plain parameters of the loop; every one comes from the plan."""

    seed: int
    effective_batch: int
    """Rows of one optimizer step."""
    micro_tokens: int
    epochs: float
    max_steps: int | None
    optimizer: str
    learning_rate: float
    schedule: str
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    evaluate_every: int
    save_every: int
    patience: int
    min_delta: float


class Observer(Protocol):
    """Whom the loop tells what happens, and who keeps its checkpoints."""

    def say(self, body: Body) -> None:
        """Hear an event."""
        ...

    def beat(self, step: int) -> None:
        """Hear, between any two parts of a step or an evaluation, that the run lives."""
        ...

    def request(self) -> Request:
        """Tell what was asked of the run."""
        ...

    def save(self, loop: Loop, *, best: bool, reason: str) -> None:
        """Commit a checkpoint of ``loop`` (by ``loop.write``)."""
        ...

    def checkpoint_of(self, step: int | None) -> Path | None:
        """Return the folder of a checkpoint that verifies: of ``step``, or the newest."""
        ...


class Loop:
    """One run of training over the pieces that a modality built."""

    def __init__(
        self, pieces: TrainingPieces, settings: LoopSettings, observer: Observer, device: torch.device, ranks: Ranks
    ) -> None:
        self.pieces = pieces
        self.settings = settings
        self.observer = observer
        self.device = device
        self.ranks = ranks
        self.trainables = Trainables(pieces.model)
        self.optimizer = build_optimizer(
            self.trainables,
            name=settings.optimizer,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.rows = len(pieces.train.lengths)
        self.per_epoch = steps_per_epoch(self.rows, settings.effective_batch)
        self.total = math.ceil(settings.epochs * self.per_epoch)
        if settings.max_steps is not None:
            self.total = min(self.total, settings.max_steps)
        self.warmup = warmup_steps(self.total, settings.warmup_ratio)
        self.progress = Progress(micro_tokens=settings.micro_tokens)
        self.weights_of: int | None = None
        """Step whose weights the model holds at the end."""
        self._began = time.monotonic()
        self._speed: list[tuple[int, float]] = []

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self.progress = load_state(folder, self.trainables, self.optimizer)
        self._began = time.monotonic() - self.progress.seconds

    def run(self) -> str:
        """Train to the end and return why it ended; the best weights are then in the model.

        A request to pause or cancel ends it too, with the request's name.
        """
        self.pieces.model.train()
        if self.progress.evaluations == 0 and self.progress.start_loss is None:
            self._evaluate_start()
        if self.progress.stopped and self.progress.total == self.total:
            return self._end(self.progress.stopped)  # It was killed after its last step, before the result was written.
        while self.progress.step < self.total:
            request = self._request()
            if request is Request.CHECKPOINT:
                self.observer.save(self, best=False, reason="asked for")
            elif request is not Request.NONE:
                return request.value
            if not self._step():
                continue
            stopped = self._evaluate_and_save()
            if stopped:
                return self._end(stopped)
        return self._end("all steps done")

    @property
    def epoch(self) -> float:
        """Passes over the training rows so far."""
        return self.progress.step / self.per_epoch

    def write(self, folder: Path) -> None:
        """Write the state of the run into a folder."""
        self._clock()
        self.progress.total = self.total
        save_state(folder, self.trainables, self.optimizer, self.progress)

    @property
    def _pass(self) -> int:
        """Which pass over the training rows the step belongs to, counted from 0."""
        return self.progress.step // self.per_epoch

    def _end(self, reason: str) -> str:
        self._take_best()
        self._clock()
        return reason

    # --- one step -------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Make one optimizer step; False when the run went back instead."""
        began = time.monotonic()
        rows = step_rows(self.rows, self.settings.effective_batch, self.settings.seed, self.progress.step)
        labels = self.pieces.train.labels(rows, self._pass)
        loss, tokens = self._gradients(rows, labels)
        norm = clip(self.trainables.gradients(), self.settings.max_grad_norm)
        if not math.isfinite(loss) or not math.isfinite(norm):
            self._go_back()
            return False
        rate = self._rate()
        set_rate(self.optimizer, rate)
        self.trainables.apply(self.optimizer)
        self.progress.step += 1
        self.progress.tokens += tokens
        self.progress.trained_tokens += labels
        self.progress.remember(loss)
        self._tell(loss, norm, rate, tokens, labels, time.monotonic() - began)
        return True

    def _gradients(self, rows: Sequence[int], labels: int) -> tuple[float, int]:
        """Add up the gradients of the step, over all processes; return mean loss and tokens."""
        self.trainables.reset()
        parts = micro_batches(rows, self.pieces.train.lengths, self.progress.micro_tokens)
        loss, tokens = 0.0, 0
        for part in parts[self.ranks.rank :: self.ranks.world]:
            part_loss, part_tokens = self._micro_batch(part, labels)
            loss, tokens = loss + part_loss, tokens + part_tokens
            self.observer.beat(self.progress.step)
        self.ranks.add_up(self.trainables.gradients())
        loss, total = self.ranks.total(loss, tokens, device=self.device)
        # What one process learned from running out of memory holds for all: they must divide the next step alike.
        self.progress.micro_tokens = self.ranks.least(self.progress.micro_tokens, self.device)
        return loss, int(total)

    def _micro_batch(self, part: Sequence[int], labels: int) -> tuple[float, int]:
        """Compute one micro-batch; when memory runs out, its halves, with the same step, rows and weighting."""
        torch.manual_seed(draw_seed(self.settings.seed, self.progress.step, part))
        try:
            return self._attempt(part, labels)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.trainables.discard()
        release_memory(self.device)
        return self._in_halves(part, labels)

    def _attempt(self, part: Sequence[int], labels: int) -> tuple[float, int]:
        """Compute forward and backward. What it holds dies with it, so that a failed attempt leaves its memory."""
        batch = self.pieces.train.batch(part, self._pass)
        loss = self.pieces.loss(batch) / labels
        loss.backward()  # type: ignore[no-untyped-call]
        self.trainables.collect()
        return loss.item(), batch.tokens

    def _in_halves(self, part: Sequence[int], labels: int) -> tuple[float, int]:
        tokens = int(self.pieces.train.lengths[list(part)].sum())
        if len(part) == 1:
            raise OutOfMemory(self.progress.step + 1, tokens)
        learned = max(16, tokens // 2)
        if learned < self.progress.micro_tokens:
            self.progress.micro_tokens = learned
            self.observer.say(
                DecisionMade(
                    field="recipe.batch.micro_tokens",
                    value=learned,
                    reason=f"memory ran out at {tokens} tokens; the step goes on with half, the effective batch stays",
                    numbers={"step": self.progress.step + 1, "tokens": tokens},
                )
            )
        results = [self._micro_batch(half, labels) for half in halves(part)]
        return sum(loss for loss, _ in results), sum(count for _, count in results)

    def _rate(self) -> float:
        shape = factor(self.settings.schedule, self.progress.step, self.total, self.warmup)
        return self.settings.learning_rate * shape * self.progress.rate_factor

    def _go_back(self) -> None:
        """Return to the last good checkpoint with half the rate, once; the second time the run fails."""
        layer = self._sick_layer()
        if self.progress.recoveries:
            raise NotANumber(self.progress.step + 1, layer)
        failed_at, learned = self.progress.step + 1, self.progress.micro_tokens
        checkpoint = self.observer.checkpoint_of(None)
        self.trainables.reset()
        if checkpoint is None:
            self.trainables.load(self.pieces.initial_weights())
            forget_optimizer(self.optimizer)
            start = self.progress.start_loss
            history: list[list[float | None]] = [] if start is None else [[0, None, start]]
            self.progress = Progress(micro_tokens=learned, start_loss=start, history=history)
        else:
            self.progress = load_state(checkpoint, self.trainables, self.optimizer)
            self.progress.micro_tokens = min(learned, self.progress.micro_tokens)
        self.progress.rate_factor *= 0.5
        self.progress.recoveries += 1
        self.observer.say(
            DecisionMade(
                field="recipe.learning_rate",
                value=self.settings.learning_rate * self.progress.rate_factor,
                reason=f"the gradient of '{layer}' was not a number at step {failed_at}; "
                f"back to step {self.progress.step} with half the learning rate",
                numbers={"step": failed_at, "back_to": self.progress.step},
            )
        )

    def _sick_layer(self) -> str:
        for name, grad in zip(self.trainables.names, self.trainables.gradients(), strict=True):
            if not bool(torch.isfinite(grad).all()):
                return name
        return "the loss"

    # --- evaluation -----------------------------------------------------------------------------------------------

    def _evaluate_and_save(self) -> str | None:
        """Evaluate and save where this step is due; return why training stops, if it does."""
        step = self.progress.step
        last = step >= self.total
        due = last or step % self.settings.evaluate_every == 0 or step % self.per_epoch == 0
        better, stopped = False, None
        if due and self.pieces.validation is not None:
            better = self._evaluate()
            if out_of_patience(self.progress.waited, self.settings.patience) and not last:
                stopped = f"no better validation loss in {self.progress.waited} evaluations"
        self.progress.stopped = stopped
        if better or last or stopped or step % self.settings.save_every == 0:
            reason = "best validation loss" if better else "end of training" if last or stopped else "interval"
            self.observer.save(self, best=better, reason=reason)
        return stopped

    def _evaluate_start(self) -> None:
        if self.pieces.validation is None:
            return
        loss, metrics = self._measure(self.pieces.validation)
        self.progress.start_loss = loss
        self.progress.history.append([0, None, loss])
        self.observer.say(self._evaluated(0, loss, metrics, best=loss))

    def _evaluate(self) -> bool:
        """Measure the validation loss; True when it is the best so far."""
        assert self.pieces.validation is not None
        progress, (loss, metrics) = self.progress, self._measure(self.pieces.validation)
        progress.evaluations += 1
        progress.validation_loss = loss
        better = math.isfinite(loss) and improved(loss, progress.best_loss, self.settings.min_delta)
        progress.waited = 0 if better else progress.waited + 1
        if better:
            progress.best_loss, progress.best_step = loss, progress.step
        progress.history.append([progress.step, progress.train_loss, loss])
        best = loss if progress.best_loss is None else progress.best_loss
        self.observer.say(self._evaluated(progress.evaluations, loss, metrics, best=best))
        return better

    def _measure(self, rows: Rows) -> tuple[float, dict[str, float]]:
        """Mean loss over all labels of ``rows``, and what else the task measures, computed in parts like training."""
        self.pieces.model.eval()
        everything = range(len(rows.lengths))
        parts = micro_batches(everything, rows.lengths, self.progress.micro_tokens)
        sums: Counter[str] = Counter()
        with torch.no_grad():
            for part in parts[self.ranks.rank :: self.ranks.world]:
                self._add_part(sums, rows, part)
                self.observer.beat(self.progress.step)
        self.pieces.model.train()
        labels = max(1, rows.labels(everything, 0))
        found = self._over_all_ranks(sums)
        return found["loss"] / labels, self.pieces.metrics(found, labels)

    def _over_all_ranks(self, sums: Counter[str]) -> dict[str, float]:
        """Add the sums of all processes up; each of them knows the same names, in any order."""
        names = sorted(sums)
        return dict(zip(names, self.ranks.total(*(sums[name] for name in names), device=self.device), strict=True))

    def _add_part(self, sums: Counter[str], rows: Rows, part: Sequence[int]) -> None:
        try:
            sums.update(self.pieces.measure(rows.batch(part, 0)))
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(part) == 1:
                raise OutOfMemory(self.progress.step, int(rows.lengths[part[0]])) from error
        release_memory(self.device)
        for half in halves(part):
            self._add_part(sums, rows, half)

    def _evaluated(self, number: int, loss: float, metrics: dict[str, float], *, best: float) -> Evaluated:
        return Evaluated(
            number=number,
            step=self.progress.step,
            epoch=self.epoch,
            seconds=time.monotonic() - self._began,
            train_loss=self.progress.train_loss,
            validation_loss=loss,
            best_validation_loss=best,
            patience=self.progress.waited,
            perplexity=metrics.get("perplexity"),
            metrics=metrics,
        )

    def _take_best(self) -> None:
        """Put the weights of the best evaluation back into the model (without validation the last ones stay)."""
        self.weights_of = self.progress.step
        if self.progress.best_step in (None, self.progress.step):
            return
        self.ranks.wait()
        checkpoint = self.observer.checkpoint_of(self.progress.best_step)
        if checkpoint is None:
            self.observer.say(Warned(message="The best checkpoint is gone; the result has the last weights."))
            return
        load_weights(checkpoint, self.trainables)
        self.weights_of = self.progress.best_step

    # --- telling --------------------------------------------------------------------------------------------------

    def _tell(self, loss: float, norm: float, rate: float, tokens: int, labels: int, seconds: float) -> None:
        self._speed = [*self._speed[-19:], (tokens, seconds)]
        spent = sum(part for _, part in self._speed)
        self.observer.say(
            Step(
                step=self.progress.step,
                epoch=self.epoch,
                loss=loss,
                learning_rate=rate,
                grad_norm=norm,
                tokens=tokens,
                trained_tokens=labels,
                seconds=seconds,
                tokens_per_second=sum(count for count, _ in self._speed) / max(spent, 1e-9),
                memory_bytes=peak_memory(self.device),
            )
        )

    def _clock(self) -> None:
        self.progress.seconds = time.monotonic() - self._began

    def _request(self) -> Request:
        """Read what was asked; every process acts on what the first one read."""
        order = list(Request)
        return order[self.ranks.from_first(order.index(self.observer.request()), self.device)]
