"""How a run stands, from its folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from tunesmith.runs.control import asked
from tunesmith.runs.event_log import read_lines
from tunesmith.runs.exits import NEVER_STARTED, RUN, Exit, Explanation, exit_of, explain
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.handle import handle_of, is_running
from tunesmith.runs.rank_faults import CRASH, noted_fault
from tunesmith.spec.errors import Cancelled, Paused, RunError
from tunesmith.spec.events import Body, Ended, Evaluated, Event, Failed, Finished, Started, Step, parse
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import Reason, Request, RunState, move

B = TypeVar("B")

LOSSES: Final = 10
"""Steps whose mean is the training loss."""


class RunStatus(Part):
    """How a run stands."""

    id: str
    kind: Kind
    name: str
    state: RunState
    reason: str | None
    """Why it ended, in words. None while it goes on."""
    todo: str | None
    """What to do about it, one sentence, where the reason is not the run's own."""
    step: int | None
    total_steps: int | None
    epoch: float | None
    train_loss: float | None
    """Mean of the last 10 training losses."""
    validation_loss: float | None
    best_validation_loss: float | None
    created_at: float
    ended_at: float | None
    output: str | None
    parent: str | None
    """The run that it resumed."""
    exit: int | None
    """Exit status that the run stands for; None while it goes on."""
    peak_memory_bytes: int | None


def status(run: RunFolder) -> RunStatus:
    """Say how a run stands.

    Raises:
        RunNotFound: the folder is not that of a run.
    """
    header = run.header()
    # Life first: whatever a process wrote before it was seen dead is read after.
    running = is_running(run)
    story = _Story(read_lines(run.events)[0])
    exit = exit_of(run)
    end = _end(run, story.last, exit, running=running)
    steps, evaluated, started = story.newest_steps, story.evaluated, story.started
    return RunStatus(
        id=run.id,
        kind=header.kind,
        name=header.name,
        state=_state(run, story, end),
        reason=end.words.reason if end else None,
        todo=end.words.todo.replace(RUN, run.id) or None if end else None,
        step=_step(story),
        total_steps=started.total_steps if started else None,
        epoch=steps[-1].epoch if steps else None,
        train_loss=sum(step.loss for step in steps) / len(steps) if steps else None,
        validation_loss=evaluated.validation_loss if evaluated else None,
        best_validation_loss=evaluated.best_validation_loss if evaluated else None,
        created_at=header.created_at,
        ended_at=_ended_at(story, exit) if end else None,
        output=header.output,
        parent=header.parent,
        exit=end.exit if end else None,
        peak_memory_bytes=exit.peak_memory_bytes if exit else None,
    )


class _End:
    """How a run ended."""

    def __init__(self, reason: Reason, words: Explanation, exit: int) -> None:
        self.reason, self.words, self.exit = reason, words, exit


def _end(run: RunFolder, last: Event | None, exit: Exit | None, *, running: bool) -> _End | None:
    """Return the end by the run's own last word, else by what became of its processes; None if it goes on."""
    own = _own_word(last.body) if last else None
    if own is not None or running:
        return own
    if handle_of(run) is None and exit is None:
        return _End(Reason.DIED, NEVER_STARTED, RunError.exit_code)
    words = explain(exit.code if exit else None, exit.signal if exit else None)
    code = exit.code if exit else None
    if asked(run) is Request.CANCEL or code == Cancelled.exit_code:
        return _End(Reason.CANCEL_REQUESTED, explain(Cancelled.exit_code), Cancelled.exit_code)
    if code == Paused.exit_code:
        return _End(Reason.PAUSE_REQUESTED, words, Paused.exit_code)
    fault = noted_fault(run)
    if fault is not None and fault.code != CRASH:  # A crash there may only say that this end broke off.
        return _End(Reason.FAULT, Explanation(fault.message, fault.message, ""), fault.exit_code)
    return _End(Reason.DIED, words, code or RunError.exit_code)


def _own_word(body: Body) -> _End | None:
    match body:
        case Finished():
            because = str(body.summary.get("stopped_because") or "done")
            return _End(Reason.FINISHED, Explanation(because, "", ""), 0)
        case Failed():
            # No terminal shows zero characters and PostgreSQL keeps none; what a library says may hold them.
            message = body.message.replace("\0", "")
            return _End(Reason.FAULT, Explanation(message, message, ""), body.exit_code)
        case Ended(request=Request.PAUSE):
            return _End(Reason.PAUSE_REQUESTED, explain(Paused.exit_code), Paused.exit_code)
        case Ended():
            return _End(Reason.CANCEL_REQUESTED, explain(Cancelled.exit_code), Cancelled.exit_code)
    return None


def _state(run: RunFolder, story: _Story, end: _End | None) -> RunState:
    """Go through the run's life by the state machine."""
    state = RunState.QUEUED
    if story.last is not None or handle_of(run) is not None:
        state = move(state, Reason.LAUNCHED)
    if story.is_under_way:
        state = move(state, Reason.STARTED)
    return move(state, end.reason) if end else state


def _step(story: _Story) -> int | None:
    if story.newest_steps:
        return story.newest_steps[-1].step
    return story.started.step if story.started else None


def _ended_at(story: _Story, exit: Exit | None) -> float | None:
    if story.last is not None and _own_word(story.last.body):
        return story.last.time
    return exit.ended_at if exit else (story.last.time if story.last else None)


class _Story:
    """The events that matter for the status, found from behind without reading each line as JSON."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.last = parse(lines[-1]) if lines else None
        self.started = _newest(lines, "started", Started)
        self.evaluated = _newest(lines, "evaluated", Evaluated)
        self.newest_steps = _newest_steps(lines)
        self.is_under_way = any(_tells(line, kind) for line in lines for kind in ("started", "serving", "progress"))


def _newest(lines: Sequence[bytes], kind: str, type: type[B]) -> B | None:
    for line in reversed(lines):
        if _tells(line, kind) and isinstance(body := parse(line).body, type):
            return body
    return None


def _newest_steps(lines: Sequence[bytes]) -> list[Step]:
    steps: list[Step] = []
    for line in reversed(lines):
        if len(steps) == LOSSES:
            break
        if _tells(line, "step") and isinstance(body := parse(line).body, Step):
            steps.append(body)
    return steps[::-1]


def _tells(line: bytes, kind: str) -> bool:
    """Whether a line is of a kind, by its text: numbers and time stand before the kind."""
    return f'"kind":"{kind}"'.encode() in line[:80]
