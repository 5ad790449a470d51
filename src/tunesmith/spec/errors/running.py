"""Errors of a run, and runs that were asked to end."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.spec.errors.base import TunesmithError


class RunError(TunesmithError):
    """The run failed."""

    code = "run_failed"
    status = 500
    exit_code = 70


class RunCrashed(RunError):
    """The worker ended without a last word."""

    code = "run_crashed"

    def __init__(self, run: str, reason: str, hint: str) -> None:
        super().__init__(f"Run {run} failed: {reason}. {hint}")


class Relayed(TunesmithError):
    """What another process found wrong, in its words and with its code."""

    def __init__(self, message: str, code: str, exit_code: int, status: int = 500) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.exit_code = exit_code  # type: ignore[misc]
        self.status = status  # type: ignore[misc]


class RunAbandoned(RunError):
    """A run that was given up before it was launched; nothing starts it any more."""

    code = "run_abandoned"
    status = 409

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} was given up before it was launched. Nothing is to be done: its job goes on.")


class SubtaskTooSlow(RunError):
    """A plan, a check or a preview took longer than it may."""

    code = "too_slow"
    status = 503

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The {what} was not done within {seconds:.0f} seconds and was ended. Try it again, or with less data."
        )


class SubtaskDied(RunError):
    """The process that made a plan, a check or a preview died of it."""

    code = "subtask_died"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"The process that did the {what} ended without an answer ({why}). Look at the data first.")


class NotANumber(RunError):
    """A loss, a gradient or a weight was not a number, twice."""

    code = "not_a_number"

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"Step {step}: {what} is not a number, also after going back "
            "with half the learning rate. "
            "Lower --learning-rate, or look at the data of this step."
        )


class ScoreNotANumber(RunError):
    """The loss of a model on rows that it is measured on is not a number."""

    code = "score_not_a_number"

    def __init__(self, model: str, precision: str) -> None:
        super().__init__(
            f"The loss of {model} on these rows is not a number: its weights are damaged, or too large for "
            f"{precision}. Try --precision fp32."
        )


class OutOfMemory(RunError):
    """A single row does not fit in memory."""

    code = "out_of_memory"

    def __init__(self, step: int, tokens: int) -> None:
        super().__init__(
            f"Step {step}: one row of {tokens} tokens does not fit in memory. "
            "Lower --max-seq-length or use --gradient-checkpointing."
        )


class MergeDiffers(RunError):
    """A merged model does not say what its base and adapter say."""

    code = "merge_differs"

    def __init__(self, adapter: str, found: float, allowed: float) -> None:
        super().__init__(
            f"{adapter}: merged, the model's logits differ by {found:.1%} of the largest ({allowed:.1%} is allowed). "
            "Nothing was written; use the adapter with its base, or try --dtype fp32."
        )


class ParityFailed(RunError):
    """An export does not say what the trained model says."""

    code = "parity_failed"

    def __init__(self, what: str, found: Sequence[str], advice: str) -> None:
        super().__init__(
            f"The {what} export was opened as its users would, and is not the model that was trained: "
            f"{'; '.join(found)}. Nothing was written. {advice}"
        )


class MemoryUsedUp(RunError):
    """The machine's memory ran out outside a training step."""

    code = "memory_used_up"

    def __init__(self, run: str) -> None:
        super().__init__(
            f"Run {run} ran out of memory. "
            "Free some, or lower --micro-batch-tokens or --max-seq-length, then resume it."
        )


class Interruption(TunesmithError):
    """The run was asked to end before it was done; not a fault."""

    code = "interrupted"
    status = 409
    exit_code = 76


class Paused(Interruption):
    """The run saved its state and stopped; it can be resumed."""

    code = "paused"
    exit_code = 75

    def __init__(self, run: str, step: int) -> None:
        super().__init__(f"Run {run} is paused at step {step}. Go on with: tunesmith runs resume {run}")


class Overtaken(Paused):
    """The run's lease has passed, or another attempt at its job has taken its place: what it made is stale."""

    code = "overtaken"

    def __init__(self, run: str, why: str) -> None:
        Interruption.__init__(self, f"Run {run} publishes nothing: {why}. Its job goes on with another run.")


class Cancelled(Interruption):
    """The run was cancelled."""

    code = "cancelled"
    exit_code = 76

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} was cancelled.")
