"""What is known of a run so far, gathered from its events, and how it reads: one line for each thing worth telling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tunesmith.cli.terminal import printable
from tunesmith.spec.events import (
    Acknowledged,
    CheckpointSaved,
    DecisionMade,
    Ended,
    Evaluated,
    Event,
    Failed,
    Finished,
    Phase,
    Picture,
    Prepared,
    Progress,
    RunSummary,
    Sample,
    Serving,
    Started,
    Step,
    Tested,
    Warned,
)
from tunesmith.spec.states import Request

ELSEWHERE: Final = frozenset({"perplexity", "majority_share", "chosen_reward", "rejected_reward"})
"""Measures that have a place of their own in the line, or that the events and the result's card tell."""


@dataclass
class Figures:
    """The newest event of each kind that a display needs."""

    phase: Phase | None = None
    started: Started | None = None
    started_at: float = 0.0
    step: Step | None = None
    first_evaluation: Evaluated | None = None
    evaluated: Evaluated | None = None
    last_word: Ended | Failed | Finished | None = None
    trained_tokens: int = 0
    landing: int | None = None
    """Last step of a run without end that is landing."""
    now: float = 0.0
    """Time of the newest event, in seconds since the epoch."""

    def take(self, event: Event) -> None:
        """Remember what an event says."""
        body = event.body
        self.now = event.time
        if isinstance(body, Phase):
            self.phase = body
        elif isinstance(body, Started):
            self.phase, self.started, self.started_at = None, body, event.time
        elif isinstance(body, Step):
            self.step = body
            self.trained_tokens += body.trained_tokens
        elif isinstance(body, DecisionMade):
            last = body.numbers.get("last_step")
            self.landing = self.landing if last is None else int(last)
        elif isinstance(body, Evaluated):
            self.evaluated = body
            self.first_evaluation = self.first_evaluation or body
        elif isinstance(body, (Ended, Failed, Finished)):
            self.last_word = body

    @property
    def seconds_left(self) -> float | None:
        """Time to the last step at the pace so far, evaluations included; None before the second step."""
        total = self.total_steps
        if total is None or self.started is None or self.step is None or self.step.step - self.started.step < 2:
            return None
        pace = (self.now - self.started_at) / (self.step.step - self.started.step)
        return max(0.0, pace * (total - self.step.step))

    @property
    def total_steps(self) -> int | None:
        """Step at which the run ends, as far as it is known; a run without end has one once it lands."""
        return self.landing or (self.started.total_steps if self.started else None)

    @property
    def steps_done(self) -> int:
        """Optimizer steps of the job so far, those of the runs that were resumed included."""
        if isinstance(self.last_word, Ended):
            return self.last_word.step
        newest = self.step or self.started
        return newest.step if newest else 0

    def step_line(self) -> str:
        """Say where training stands, in one line of plain words."""
        if self.started is None or self.step is None:
            return ""
        step, left, total, epochs = self.step, self.seconds_left, self.total_steps, self.started.epochs
        parts = [
            f"step {step.step}" if total is None else f"step {step.step}/{total}",
            f"epoch {step.epoch:.2f}" if epochs is None else f"epoch {step.epoch:.2f}/{epochs:.3g}",
            f"loss {step.loss:.4f}",
            step.pace(),
            f"{step.memory_bytes / 1e9:.1f} GB",
            *([f"{clock(left)} left"] if left is not None else []),
        ]
        return " | ".join(parts)

    def summary(self, *, run: str, state: str, output: str) -> RunSummary:
        """Sum up a run that was paused or cancelled, as ``finished`` does for one that succeeded."""
        seconds = self.now - self.started_at if self.started else 0.0
        step, evaluated = self.step, self.evaluated
        return RunSummary(
            run=run,
            state=state,
            steps=self.steps_done,
            epochs=step.epoch if step else 0.0,
            train_loss=(evaluated.train_loss if evaluated else None) or (step.loss if step else None),
            validation_loss=evaluated.validation_loss if evaluated else None,
            best_validation_loss=evaluated.best_validation_loss if evaluated else None,
            judged_by=evaluated.judged_by if evaluated else None,
            best=evaluated.best if evaluated else None,
            trained_tokens=self.trained_tokens,
            tokens_per_second=step.tokens_per_second if step else 0.0,
            counts=self.started.counts if self.started else "token",
            rows_per_second=step.rows_per_second if step else 0.0,
            peak_memory_bytes=step.memory_bytes if step else 0,
            seconds=seconds,
            output=output,
            stopped_because=self.last_word.request.value if isinstance(self.last_word, Ended) else state,
        )


def evaluation_line(body: Evaluated, *, unicode: bool = True) -> str:
    """Return the evaluation line of the training guide; plain words where the terminal has no Unicode."""
    fields = [
        ("📊", f"Evaluation #{body.number}"),
        ("⏱️", f"Time: {clock(body.seconds, hours=True)}"),
        ("📉", f"Train Loss: {'-' if body.train_loss is None else format(body.train_loss, '.4f')}"),
        ("📈", f"Val Loss: {body.validation_loss:.4f}"),
        *([] if body.perplexity is None else [("📖", f"Perplexity: {body.perplexity:.1f}")]),
        ("🎯", _best(body)),
        ("⏳", f"Patience: {body.patience}"),
        *(("📐", text) for text in _measures(body.metrics)),
    ]
    return " | ".join(f"{sign} {text}" if unicode else text for sign, text in fields)


def _best(body: Evaluated) -> str:
    """Return the best so far of what judges: the loss, or a metric (the loss alone is known before the first step)."""
    if body.judged_by is None or body.best is None:
        return f"Best Val: {body.best_validation_loss:.4f}"
    return f"Best {body.judged_by.title()}: {body.best:.4f}"


def tested_line(body: Tested) -> str:
    """Return what the result came to on the rows that were kept for it."""
    perplexity = [f"Perplexity: {body.metrics['perplexity']:.1f}"] if "perplexity" in body.metrics else []
    fields = [f"Loss: {body.loss:.4f}", *perplexity, *_measures(body.metrics)]
    return f"Test on {body.rows:,} rows kept for it | {' | '.join(fields)}"


def _measures(metrics: dict[str, float]) -> list[str]:
    """Return what a task measures beside its loss; a name with a blank is of a part, such as one class."""
    told = {name: value for name, value in metrics.items() if name not in ELSEWHERE and " " not in name}
    return [f"{name.replace('_', ' ').title()}: {value:.4f}" for name, value in told.items()]


def line_of(body: object, *, unicode: bool = True) -> str | None:
    """Return the line that tells an event, safe to print; None for one that the display shows in another way."""
    match body:
        case Evaluated():
            return evaluation_line(body, unicode=unicode)
        case Tested():
            return tested_line(body)
        case Prepared():
            faults = f", {body.faults} faulty rows left out" if body.faults else ""
            cached = " (from the cache)" if body.cached else ""
            return f"Data ready: {body.rows:,} rows{faults}{cached}{_shares(body)}"
        case Started():
            share = body.trainable_parameters / max(1, body.parameters)
            resumed = f", from step {body.step}" if body.step else ""
            held_out = f" ({body.validation_rows:,} held out)" if body.validation_rows else ""
            return (
                f"Training {share:.2%} of {body.parameters:,} parameters on {body.rows:,} rows{held_out}: "
                f"{'without end' if body.total_steps is None else f'{body.total_steps} steps'}{resumed}"
            )
        case Picture():
            return printable(f"Drew '{body.prompt}' {body.when} training, at step {body.step}: {body.file}")
        case CheckpointSaved():
            best = ", the best so far" if body.best else ""
            return f"Saved {printable(body.name)} ({body.bytes / 1e6:,.1f} MB{best})"
        case DecisionMade():
            return printable(f"Decided: {body.field} = {body.value} ({body.reason})")
        case Warned():
            return printable(f"Warning: {body.message}")
        case Progress():
            return printable(body.message)
        case Serving():
            return printable(f"Ready on {body.socket}")
        case Acknowledged():
            return _ACKNOWLEDGED[body.request].format(body.step)
        case Ended() if body.request is Request.PAUSE:
            return f"Paused at step {body.step}" + (f", saved in {body.checkpoint}" if body.checkpoint else "")
        case Ended():
            return f"Cancelled at step {body.step}"
        case _:
            return None


_ACKNOWLEDGED = {
    Request.NONE: "Going on at step {}",
    Request.CHECKPOINT: "Saving at step {}",
    Request.PAUSE: "Saving and stopping at step {}",
    Request.CANCEL: "Ending at step {}",
}


def _shares(body: Prepared) -> str:
    """Say where the tokens of the training rows went, or their patches or frames: nothing where there is no ledger."""
    shares = body.ledger.get("total", {}).get("shares", {})
    told = ", ".join(f"{share:g} % {name}" for name, share in shares.items() if share)
    return f"; {'patches' if body.counts == 'patch' else f'{body.counts}s'}: {told}" if told else ""


def phase_line(body: Phase) -> str:
    """Return what a run is doing, safe to print and as a sentence begins."""
    return printable(body.name[:1].upper() + body.name[1:])


def sample_lines(sample: Sample) -> list[tuple[str, str]]:
    """Return label and text of a prompt's answers, safe to print, in the order in which they are read."""
    answers = [("Question", sample.prompt), ("Before", sample.before), ("After", sample.after)]
    if sample.expected.strip():
        answers.insert(1, ("Expected", sample.expected))
    return [(label, printable(text.strip()) or "(nothing)") for label, text in answers]


def clock(seconds: float, *, hours: bool = False) -> str:
    """Write a duration as 2:13, 1:02:13 or, with ``hours``, always 00:02:13."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    if hours:
        return f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
