"""The training loop, readable top to bottom.

A step takes the rows that the seed and the place in the data name, computes them micro-batch by micro-batch, adds the
gradients up weighted by tokens, and updates. Nothing here depends on the time or on free memory, so a run that is
killed and resumed from a checkpoint computes the same numbers, bit for bit, as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tunesmith.spec.errors import NotANumber
from tunesmith.spec.events import DecisionMade, Evaluated, Step, Warned
from tunesmith.spec.states import Request
from tunesmith.training.adaptive import Change, change
from tunesmith.training.batching import step_rows
from tunesmith.training.course import batch_of_pass, landing_steps, steps_left, steps_per_epoch
from tunesmith.training.device import Ranks, peak_memory
from tunesmith.training.evaluation import Measured, measure
from tunesmith.training.gradients import Gradients
from tunesmith.training.loop_settings import LoopSettings, Origin
from tunesmith.training.observer import Observer
from tunesmith.training.optimizers import Trainables, build_optimizer, clip, set_rate
from tunesmith.training.pieces import Rows, TrainingPieces
from tunesmith.training.precision import FIRST_SCALE
from tunesmith.training.progress import Progress
from tunesmith.training.schedules import factor, landing_factor, warmup_steps
from tunesmith.training.state import forget_optimizer, load_optimizer, load_state, load_weights, save_state
from tunesmith.training.stopping import Stop, training_stop, validation_stop
from tunesmith.training.trend import WINDOW


class Loop:
    """One run of training over the pieces that a modality built."""

    def __init__(
        self,
        pieces: TrainingPieces,
        settings: LoopSettings,
        observer: Observer,
        device: torch.device,
        ranks: Ranks,
        origin: Origin | None = None,
    ) -> None:
        self.pieces = pieces
        self.settings = settings
        self.course = settings.course
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
        self.gradients = Gradients(
            pieces, self.trainables, seed=settings.seed, observer=observer, device=device, ranks=ranks,
            learn=self._learn,
        )  # fmt: skip
        self.rows = len(pieces.train.lengths)
        self.weights_of: int | None = None
        """Step whose weights the model holds at the end."""
        self._origin = origin
        self._began = time.monotonic()
        self._speed: list[tuple[int, int, float]] = []
        self.progress = self._at_the_start()
        if origin is not None:
            self._take_over(origin)
        self._find_end()

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint of this run."""
        self.progress = load_state(folder, self.trainables, self.optimizer)
        if self.progress.landing is None:
            self._find_end()
        else:
            self._rise_again()
        self._began = time.monotonic() - self.progress.seconds

    def run(self) -> str:
        """Train to the end and return why it ended; the best weights are then in the model.

        A request to pause or cancel ends it too, with the request's name; a run that lands does so when cancelled.
        """
        self.pieces.model.train()
        if self.progress.step == self.progress.base and self.progress.start_loss is None:
            self._evaluate_start()
        if self.progress.stopped and self.progress.total == self.total:
            return self._end(self.progress.stopped)  # It was killed after its last step, before the result was written.
        while self.total is None or self.progress.step < self.total:
            request = self._answer()
            if request is not None:
                return request.value
            if not self._step():
                continue
            stopped = self._evaluate_and_save()
            if stopped:
                return self._end(stopped)
        return self._end("all steps done" if self.progress.landing is None else "landed")

    @property
    def epoch(self) -> float:
        """Passes over the training rows so far."""
        return self.progress.epoch + self.progress.place / self.rows

    @property
    def epochs(self) -> float | None:
        """Passes over the training rows that this run is to make; None without an end."""
        if self.course.max_steps is None or self.total is None:
            return self.course.epochs
        share = (self.total - self.progress.base) / steps_per_epoch(self.rows, self.course.batch)
        return share if self.course.epochs is None else min(share, self.course.epochs)

    def write(self, folder: Path) -> None:
        """Write the state of the run into a folder."""
        self._note_time()
        self.progress.total = self.total
        save_state(folder, self.trainables, self.optimizer, self.progress)

    def measure(self, rows: Rows) -> Measured:
        """Measure rows with the weights that the model holds."""
        return measure(
            self.pieces,
            rows,
            micro_tokens=self.progress.micro_tokens,
            step=self.progress.step,
            ranks=self.ranks,
            device=self.device,
            observer=self.observer,
        )

    def _end(self, reason: str) -> str:
        self._take_best()
        self._note_time()
        return reason

    # --- where it begins and ends ---------------------------------------------------------------------------------

    def _at_the_start(self) -> Progress:
        scale = FIRST_SCALE.get(self.settings.precision, 1.0)
        return Progress(batch=self.course.batch, micro_tokens=self.settings.micro_tokens, loss_scale=scale)

    def _take_over(self, origin: Origin) -> None:
        """Begin with what another run came to."""
        load_weights(origin.folder, self.trainables)
        if origin.state:
            load_optimizer(origin.folder, self.trainables, self.optimizer)
            theirs = Progress.read(origin.folder)
            self.progress.step = self.progress.base = theirs.step
            self.progress.clock = self.progress.clock_base = theirs.clock
            self.progress.warmup = theirs.warmup

    def _find_end(self) -> None:
        """Find the step at which the run ends and what the rate's schedule spans; both None without an end."""
        course, progress = self.course, self.progress
        whole = _least(steps_left(course, self.rows, course.batch), course.max_steps)
        self._span = None if whole is None else math.ceil(progress.clock_base) + whole
        if not progress.base or progress.warmup is None:
            whole = self._span or steps_per_epoch(self.rows, course.batch)
            progress.warmup = warmup_steps(whole, self.settings.warmup_ratio, self.settings.warmup_steps)
        self._warmup = progress.warmup  # A state that is continued is warm: it does not rise a second time.
        left = steps_left(course, self.rows, progress.batch, progress.epoch, progress.place)
        self.total = _least(
            None if left is None else progress.step + left,
            None if course.max_steps is None else progress.base + course.max_steps,
            None if progress.landing is None else progress.landing + landing_steps(progress.landing),
        )

    def _answer(self) -> Request | None:
        """Do what was asked, between two steps; return what ends the run."""
        request = self._request()
        if request is Request.CHECKPOINT:
            self.observer.save(self, best=False, reason="asked for")
        elif request is Request.CANCEL and self.course.lands:
            if self.progress.landing is None:
                self.observer.acknowledge(request, self.progress.step)
                self._land()
        elif request is not Request.NONE:
            return request
        return None

    def _rise_again(self) -> None:
        """Forget a landing where the limit that the run landed at, or had ahead of it, is another by now."""
        landing, self.progress.landing = self.progress.landing, None
        self._find_end()
        if self.total == self.progress.limit:
            self.progress.landing = landing
            self._find_end()

    def _land(self) -> None:
        """Begin the last part, and save at once, so that a kill on the way down changes nothing."""
        step = self.progress.step
        self.progress.landing, self.progress.limit = step, self.total
        self._find_end()
        assert self.total is not None
        self._decided(
            "recipe.mode",
            "landing",
            f"the learning rate falls to nothing over the last {self.total - step} step(s), then the result is saved",
            {"step": step, "last_step": self.total},
        )
        self.observer.save(self, best=False, reason="landing")

    # --- one step -------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Make one optimizer step; False when the run went back instead."""
        began, progress = time.monotonic(), self.progress
        self._grow()
        if self._is_near_its_limit():
            self._land()
        rows = step_rows(self.rows, progress.batch, self.settings.seed, progress.epoch, progress.place)
        labels = self.pieces.train.labels(rows, progress.epoch)
        place = progress.place + len(rows)
        following = step_rows(self.rows, progress.batch, self.settings.seed, progress.epoch, place)
        loss, tokens = self.gradients.add_up(rows, labels, progress, following)
        norm = clip(self.trainables.gradients(), self.settings.max_grad_norm)
        if not math.isfinite(loss) or not math.isfinite(norm):
            if not (math.isfinite(loss) and self._scale_down()):
                layer = self.trainables.sick()
                self._go_back(progress.step + 1, f"the gradient of '{layer}'" if layer else "the training loss")
            return False
        rate = self._rate()
        set_rate(self.optimizer, rate)
        self.trainables.apply(self.optimizer)
        progress.scale_up()
        progress.advance(self.rows, len(rows), clock=self._tick())
        progress.tokens += tokens
        progress.trained_tokens += labels
        progress.remember(loss)
        self._tell(loss, norm, rate, (tokens, labels, len(rows)), time.monotonic() - began)
        return True

    def _grow(self) -> None:
        """Take the batch of this pass, where it grows from pass to pass."""
        progress = self.progress
        if self.course.growth <= 1:
            return
        batch = batch_of_pass(self.course, self.rows, progress.epoch)
        if batch != progress.batch:
            numbers = {"cycle": progress.epoch + 1, "from": progress.batch, "to": batch}
            self._decided("recipe.batch.size", batch, f"cycle {progress.epoch + 1}: the batch grows", numbers)
            progress.batch = batch

    def _is_near_its_limit(self) -> bool:
        """Whether a run that lands must begin to, in order to have landed at its limit."""
        if not self.course.lands or self.progress.landing is not None or self.total is None:
            return False
        return self.progress.step + landing_steps(self.progress.step) >= self.total

    def _learn(self, micro_tokens: int, reason: str, numbers: Mapping[str, float]) -> None:
        self.progress.micro_tokens = micro_tokens
        numbers = {"step": self.progress.step + 1, **numbers}
        self._decided("recipe.batch.micro_tokens", micro_tokens, reason, numbers)

    def _rate(self) -> float:
        progress, fall, clock = self.progress, 1.0, self.progress.clock
        if progress.landing is not None and self.total is not None:
            since = progress.step - progress.landing
            clock -= since  # A landing begins at the rate that there was.
            fall = landing_factor(since, self.total - progress.landing)
        shape = factor(self.settings.curve, clock, self._span, self._warmup)
        return self.settings.learning_rate * shape * fall * progress.rate_factor * progress.pace

    def _tick(self) -> float:
        """Return how far a step moves the schedule on: what is left of it, shared out among the steps that are left.

        That is 1, unless the batch has changed on the way.
        """
        progress = self.progress
        if self._span is None or self.total is None or progress.landing is not None:
            return 1.0
        return (self._span - progress.clock) / (self.total - progress.step)

    def _scale_down(self) -> bool:
        """Have a step whose gradient overflowed repeated with the loss scaled lower, if it is scaled at all (fp16)."""
        lowered = self.progress.scale_down()
        if lowered:
            step, layer, scale = self.progress.step + 1, self.trainables.sick(), self.progress.loss_scale
            reason = f"the gradient of '{layer}' overflowed at step {step}; the loss is scaled by {scale:g} from here"
            self._decided("recipe.precision", self.settings.precision, reason, {"step": step, "scale": scale})
        return lowered

    def _go_back(self, failed_at: int, what: str) -> None:
        """Return to the last good checkpoint with half the rate, once; the second time the run fails."""
        if self.progress.recoveries:
            raise NotANumber(failed_at, what)
        learned = self.progress.micro_tokens
        checkpoint = self.observer.checkpoint_of(None)
        self.trainables.reset()
        if checkpoint is None:
            self._start_over()
        else:
            self.progress = load_state(checkpoint, self.trainables, self.optimizer)
        self.progress.micro_tokens = min(learned, self.progress.micro_tokens)
        self.progress.rate_factor *= 0.5
        self.progress.recoveries += 1
        self._find_end()
        self._decided(
            "recipe.learning_rate",
            self.settings.learning_rate * self.progress.rate_factor,
            f"{what} was not a number at step {failed_at}; "
            f"back to step {self.progress.step} with half the learning rate",
            {"step": failed_at, "back_to": self.progress.step},
        )

    def _start_over(self) -> None:
        start, learned = self.progress.start_loss, self.progress.micro_tokens
        self.trainables.load(self.pieces.initial_weights())
        forget_optimizer(self.optimizer)
        self.progress = replace(self._at_the_start(), micro_tokens=learned, start_loss=start)
        if self._origin is not None:
            self._take_over(self._origin)
        if start is not None:
            self.progress.history.append([self.progress.step, None, start])

    # --- evaluation -----------------------------------------------------------------------------------------------

    def _evaluate_and_save(self) -> str | None:
        """Evaluate and save where this step is due; return why training stops, if it does."""
        progress, last = self.progress, self.total is not None and self.progress.step >= self.total
        better, stop = False, None
        if last or progress.place == 0 or progress.place // progress.batch % self.settings.evaluate_every == 0:
            found = None if self.pieces.validation is None else self.measure(self.pieces.validation)
            if found is not None and not math.isfinite(found.loss):
                layer = self.trainables.broken()
                self._go_back(progress.step, f"a weight of '{layer}'" if layer else "the validation loss")
                return None
            better = found is not None and self._judge(found)
            adapted = not last and self._adapt(better=better)
            stop = None if last or adapted else self._stop()
        progress.stopped = stop.reason if stop else None
        if better or last or stop or progress.step % self.settings.save_every == 0:
            best = f"best validation {self.settings.judge.name}"
            reason = best if better else "end of training" if last or stop else "interval"
            self.observer.save(self, best=better, reason=reason)
        return progress.stopped

    def _stop(self) -> Stop | None:
        """Judge whether going on makes sense, and say what the judgement went by."""
        progress, limits = self.progress, self.settings.stops
        if self.settings.adaptive and len(progress.judged) < WINDOW:
            limits = replace(limits, patience=None)  # The last change gets as many evaluations as decide the next one.
        found = training_stop(progress.losses, limits)
        if found is None and self.pieces.validation is not None:
            found = validation_stop(progress.judged, progress.waited, limits, self.settings.judge.name)
        if found is not None:
            self._decided(found.field, "stop", found.reason, {"step": progress.step, **found.numbers})
        return found

    def _adapt(self, *, better: bool) -> bool:
        """Change rate and batch by the trend of the validation loss; True where something changed."""
        progress = self.progress
        if not self.settings.adaptive or progress.clock < self._warmup:
            return False
        losses = [one.validation_loss for one in progress.judged if one.train_loss is not None]
        made = change(losses, pace=progress.pace, batch=progress.batch, first_batch=self.course.batch)
        if made is None or (better and made.goes_back):
            return False
        back = self._back_to_best() if made.goes_back else ""
        self._tell_change(made, back)
        progress.pace, progress.batch = made.pace, made.batch
        progress.window, progress.waited = len(progress.history), 0
        self._find_end()
        return True

    def _back_to_best(self) -> str:
        """Take weights and optimizer of the best evaluation; the place in the data stays. Return it in words."""
        checkpoint = self.observer.checkpoint_of(self.progress.best_step) if self.progress.best_step else None
        if checkpoint is None:
            return ""
        load_weights(checkpoint, self.trainables)
        load_optimizer(checkpoint, self.trainables, self.optimizer)
        return f"; back to the weights of step {self.progress.best_step}"

    def _tell_change(self, made: Change, back: str) -> None:
        progress, rate = self.progress, self.settings.learning_rate * self.progress.rate_factor
        seen = {
            "plateau": "the validation loss stands still",
            "rise": "the validation loss rises",
            "improvement": "the validation loss falls steadily",
        }[made.kind]
        numbers = {"step": progress.step, **made.numbers}
        if made.pace != progress.pace:
            reason = f"{seen} ({made.numbers['change']:+.1%} in {WINDOW} evaluations){back}"
            self._decided("recipe.learning_rate", rate * made.pace, reason, {**numbers, "rate_factor": made.pace})
        if made.batch != progress.batch:
            reason = f"{seen} ({made.numbers['change']:+.1%} in {WINDOW} evaluations): steadier steps{back}"
            self._decided("recipe.batch.size", made.batch, reason, {**numbers, "batch": made.batch})

    def _evaluate_start(self) -> None:
        if self.settings.forced:
            reason = "automatic stops are ignored, and the result has the last weights"
            self._decided("recipe.force_epochs", True, reason, {} if self.epochs is None else {"epochs": self.epochs})
        if self.pieces.validation is None:
            return
        found = self.measure(self.pieces.validation)
        if not math.isfinite(found.loss):
            self.observer.say(Warned(message="The validation loss before the first step is not a number."))
            return
        self.progress.start_loss = found.loss
        self.progress.history.append([self.progress.step, None, found.loss])
        self.observer.say(self._evaluated(0, found, best=found.loss))

    def _judge(self, found: Measured) -> bool:
        """Note and tell an evaluation; True when it is the best so far."""
        progress = self.progress
        progress.evaluations += 1
        progress.validation_loss = found.loss
        value = self.settings.judge.value(found.loss, found.metrics)
        better = self.settings.judge.improved(found.loss, value, progress.best_loss, progress.best)
        progress.waited = 0 if better else progress.waited + 1
        if better:
            progress.best_loss, progress.best_step = found.loss, progress.step
            progress.best = value if math.isfinite(value) else None
        progress.history.append([progress.step, progress.train_loss, found.loss])
        best = found.loss if progress.best_loss is None else progress.best_loss
        self.observer.say(self._evaluated(progress.evaluations, found, best=best))
        return better

    def _evaluated(self, number: int, found: Measured, *, best: float) -> Evaluated:
        return Evaluated(
            number=number,
            step=self.progress.step,
            epoch=self.epoch,
            seconds=time.monotonic() - self._began,
            train_loss=self.progress.train_loss,
            validation_loss=found.loss,
            best_validation_loss=best,
            patience=self.progress.waited,
            perplexity=found.metrics.get("perplexity"),
            metrics=found.metrics,
            judged_by=None if self.settings.judge.metric is None else self.settings.judge.name,
            best=self.progress.best,
        )

    def _take_best(self) -> None:
        """Put the weights of the best evaluation back into the model (without validation the last ones stay)."""
        self.weights_of = self.progress.step
        if self.settings.forced or self.progress.best_step in (None, self.progress.step):
            return
        self.ranks.wait()
        checkpoint = self.observer.checkpoint_of(self.progress.best_step)
        if checkpoint is None:
            self.observer.say(Warned(message="The best checkpoint is gone; the result has the last weights."))
            return
        load_weights(checkpoint, self.trainables)
        self.weights_of = self.progress.best_step

    # --- telling --------------------------------------------------------------------------------------------------

    def _tell(self, loss: float, norm: float, rate: float, counts: tuple[int, int, int], seconds: float) -> None:
        """Say what a step came to; ``counts`` are its tokens, labels and rows."""
        tokens, labels, rows = counts
        self._speed = [*self._speed[-19:], (tokens, rows, seconds)]
        spent = max(sum(part for *_, part in self._speed), 1e-9)
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
                tokens_per_second=sum(count for count, *_ in self._speed) / spent,
                rows_per_second=sum(count for _, count, _ in self._speed) / spent,
                counts=self.settings.counts,
                memory_bytes=peak_memory(self.device),
            )
        )

    def _decided(self, field: str, value: object, reason: str, numbers: Mapping[str, float]) -> None:
        self.observer.say(DecisionMade(field=field, value=value, reason=reason, numbers=dict(numbers)))

    def _note_time(self) -> None:
        self.progress.seconds = time.monotonic() - self._began

    def _request(self) -> Request:
        """Read what was asked; every process acts on what the first one read."""
        order = list(Request)
        return order[self.ranks.from_first(order.index(self.observer.request()), self.device)]


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
