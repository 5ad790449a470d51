"""Why did a worker end that left no last word? From its exit code or signal to words, and what to do."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import Final

from tunesmith.runs.durable import read_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.recipe import Part


class Exit(Part):
    """How a worker ended: ``exit.json``, written by its parent process."""

    code: int | None
    """Exit status; None if a signal ended it."""
    signal: int | None
    peak_memory_bytes: int
    """Highest memory of the largest process of the run."""
    ended_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Explanation:
    """Why a run ended, in words."""

    reason: str
    """A few words, such as "killed, most likely out of memory"."""
    explanation: str
    """One sentence."""
    todo: str
    """What to do, one sentence."""


RUN: Final = "RUN"
"""Stands for the run's id in what to do."""
_LOG: Final = f"Look at the end of its output with `tunesmith runs logs {RUN}`"
_RESUME: Final = f"go on with `tunesmith runs resume {RUN}`"

CODES: Final = {
    0: Explanation("done", "The worker ended well.", "Nothing is to be done."),
    2: Explanation("wrong usage", "The worker was called with arguments that it does not know.", f"{_LOG}."),
    65: Explanation("data", "The data cannot be used as it is.", "Find its faults with `tunesmith data check`."),
    70: Explanation("the run failed", "The worker met a fault that it could not get over.", f"{_LOG}."),
    75: Explanation("paused", "The run saved its state and stopped.", f"To finish it, {_RESUME}."),
    76: Explanation("cancelled", "The run was cancelled.", "Start it again if it is still wanted."),
    78: Explanation(
        "configuration", "Model, output, machine or resume do not go together.", f"{_LOG}, mend what it names."
    ),
}
"""The exit codes of tunesmith."""

SIGNALS: Final[dict[int, Explanation]] = {
    signals.SIGKILL: Explanation(
        "killed, most likely out of memory",
        "The system or somebody killed the worker; when memory runs out, the system does.",
        f"Free memory or lower --micro-batch-tokens or --max-seq-length, then {_RESUME}.",
    ),
    signals.SIGSEGV: Explanation(
        "segmentation fault",
        "A library of the worker touched memory that is not its own.",
        f"Check the installation with `tunesmith doctor`, then {_RESUME}.",
    ),
    signals.SIGTERM: Explanation(
        "terminated", "Somebody, or the machine's shutdown, asked the worker to end.", f"To finish it, {_RESUME}."
    ),
    signals.SIGABRT: Explanation(
        "aborted", "A library of the worker gave up.", f"{_LOG}; the library's own words stand there."
    ),
    signals.SIGBUS: Explanation(
        "bus error",
        "A file in memory went away or shrank below the worker; a full disk or /dev/shm does that.",
        f"Free disk space and shared memory, then {_RESUME}.",
    ),
    signals.SIGILL: Explanation(
        "illegal instruction",
        "A library was built for another processor.",
        "Install builds for this machine's processor; `tunesmith doctor` names the packages.",
    ),
    signals.SIGFPE: Explanation("arithmetic fault", "A library divided whole numbers by zero.", f"{_LOG}."),
    signals.SIGHUP: Explanation("hung up", "The worker's terminal went away.", f"To finish it, {_RESUME}."),
    signals.SIGINT: Explanation("interrupted", "Somebody interrupted the worker.", f"To finish it, {_RESUME}."),
    signals.SIGXCPU: Explanation(
        "out of processor time", "A limit of processor time ended the worker.", f"Raise `ulimit -t`, then {_RESUME}."
    ),
    signals.SIGXFSZ: Explanation(
        "file too large", "A limit of file sizes ended the worker.", f"Raise `ulimit -f`, then {_RESUME}."
    ),
}
"""The signals that end processes."""

NO_TRACE: Final = Explanation(
    "died without a trace",
    "Worker and parent process are gone and left no exit status: the machine was restarted, or both were killed.",
    f"To finish it, {_RESUME}.",
)
NEVER_STARTED: Final = Explanation(
    "never started", "The command that made the run ended before it started a worker.", "Start the run again."
)


def explain(code: int | None, signal: int | None = None) -> Explanation:
    """Put an exit code or a signal into words; a shell's 128 + n counts as signal n."""
    if signal is None and code is not None and code > 128:
        signal = code - 128
    if signal is not None:
        return SIGNALS.get(signal) or Explanation(
            f"ended by signal {_name(signal)}", f"Signal {_name(signal)} ended the worker.", f"{_LOG}."
        )
    if code is None:
        return NO_TRACE
    return CODES.get(code) or Explanation(
        f"exit code {code}", f"The worker ended with exit code {code} and no last word.", f"{_LOG}."
    )


def exit_of(run: RunFolder) -> Exit | None:
    """Return how a run's worker ended, if its parent process has seen it."""
    content = read_json(run.path / "exit.json")
    return Exit.model_validate(content) if content is not None else None


def _name(signal: int) -> str:
    try:
        return signals.Signals(signal).name
    except ValueError:
        return str(signal)
