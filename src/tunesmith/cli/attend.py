"""Stays with a run, or a job that a server has, until it is over: progress, Ctrl-C, last words, exit status."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from tunesmith.cli.figures import Figures, clock
from tunesmith.cli.job_follower import JobFollower, Queued
from tunesmith.cli.progress import Silent, View, view_for_terminal, watch
from tunesmith.spec.errors import Cancelled, Paused, RunCrashed, WrongRunState
from tunesmith.spec.events import Failed, Finished
from tunesmith.spec.states import RunState

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.status import RunStatus

PAUSING: Final = "Saving and stopping; Ctrl-C again stops now."
LANDING: Final = "Landing: a last few steps, then the result is saved; Ctrl-C again stops now."
STOPPING: Final = "Stopping now."


def attend(begin: Callable[[], RunFolder | Queued], *, as_json: bool = False, next_commands: Sequence[str] = ()) -> int:
    """Start a run, or queue a job, and follow it to its end; return the exit status of the command line.

    Ctrl-C asks it to save and stop (one without end, to land), a second one stops it at once. When this process goes
    away, the run goes on.
    """
    with ExitStack() as stack:
        view = Silent() if as_json else view_for_terminal(stack)
        interrupts = stack.enter_context(Interrupts(view))
        begun = begin()
        if isinstance(begun, Queued):
            follower = JobFollower(begun, view)
            interrupts.attach(follower)
            follower.follow()
        else:
            interrupts.attach(OwnRun(begun))
            figures = watch(begun, view)
    if isinstance(begun, Queued):
        return conclude_job(follower, as_json=as_json, next_commands=next_commands)
    return conclude(begun, figures, as_json=as_json, next_commands=next_commands)


class Attended(Protocol):
    """What Ctrl-C is a request to."""

    @property
    def lands(self) -> bool:
        """Whether it ends with a result when it is cancelled."""
        ...

    def ask_to_end(self) -> None:
        """Have it save and stop, or land."""
        ...

    def stop_now(self) -> None:
        """End it at once."""
        ...


class OwnRun:
    """A run that this process started itself."""

    def __init__(self, run: RunFolder) -> None:
        from tunesmith.service.jobs import control

        self._run, self.lands = run, control.lands(run)

    def ask_to_end(self) -> None:
        """Have the run save and stop, or land."""
        from tunesmith.service.jobs import control

        with suppress(WrongRunState):  # It ended by itself in the meantime.
            (control.cancel if self.lands else control.pause)(self._run)

    def stop_now(self) -> None:
        """End the run at once."""
        from tunesmith.service.jobs import control

        control.stop_now(self._run)


class Interrupts:
    """While it is entered, Ctrl-C is a request to what is attended instead of the end of this process."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._attended: Attended | None = None
        self._count = 0
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def attach(self, attended: Attended) -> None:
        """Name what Ctrl-C means; one that came earlier reaches it now."""
        self._attended = attended
        if self._count:
            self._ask()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        lands = self._attended is not None and self._attended.lands
        self._view.notice(STOPPING if self._count > 1 else LANDING if lands else PAUSING)
        self._ask()

    def _ask(self) -> None:
        if self._attended is not None:
            (self._attended.ask_to_end if self._count == 1 else self._attended.stop_now)()


def conclude_job(follower: JobFollower, *, as_json: bool, next_commands: Sequence[str] = ()) -> int:
    """Say how a job ended: as its last run did, unless it ended otherwise; return the exit status."""
    from tunesmith.cli.main import report
    from tunesmith.runs.status import status

    job, run, figures = follower.job, follower.run, follower.figures
    cancelled = job.state is RunState.CANCELLED
    failed_after = job.state is RunState.FAILED and isinstance(figures.last_word, Finished)
    if run is not None and not failed_after and (not cancelled or status(run).state is RunState.CANCELLED):
        return conclude(run, figures, as_json=as_json, next_commands=next_commands)
    if job.state is RunState.FAILED:
        error = job.error or {}
        message = str(error.get("message") or job.reason or f"{job.id} failed.")
        return report(
            str(error.get("code") or "run_failed"), message, int(error.get("exit_code") or 70), as_json=as_json
        )
    if as_json:
        click.echo(json.dumps({"job": job.id, "state": job.state}))
    if cancelled:
        click.echo(f"Job {job.id} was cancelled.", err=True)
        return Cancelled.exit_code
    todo = (
        f"is paused before it began. Go on with: tunesmith runs resume {job.id}"
        if job.state is RunState.PAUSED
        else f"waits for the next server. Follow it then with: tunesmith runs follow {job.id}"
    )
    click.echo(f"Job {job.id} {todo}", err=True)
    return Paused.exit_code


def conclude(run: RunFolder, figures: Figures, *, as_json: bool, next_commands: Sequence[str] = ()) -> int:
    """Say how a run ended, for people or as JSON; return the exit status."""
    from tunesmith.cli.main import report
    from tunesmith.runs.status import status

    now, last = status(run), figures.last_word
    if isinstance(last, Failed):
        return report(last.code, last.message, last.exit_code, as_json=as_json)
    if isinstance(last, Finished):
        if as_json:
            click.echo(json.dumps(last.summary))
        else:
            _say_done(run, now, last, figures, next_commands)
        return 0
    if now.state not in (RunState.PAUSED, RunState.CANCELLED):
        crashed = RunCrashed(
            run.id, now.reason or "no last word", now.todo or "`tunesmith runs logs` shows its output."
        )
        return report(crashed.code, crashed.message, now.exit or crashed.exit_code, as_json=as_json)
    asked = Paused(run.id, figures.steps_done) if now.state is RunState.PAUSED else Cancelled(run.id)
    if as_json:
        click.echo(figures.summary(run=run.id, state=now.state, output=now.output or "").model_dump_json())
    click.echo(asked.message, err=True)
    return asked.exit_code


def _say_done(
    run: RunFolder, status: RunStatus, last: Finished, figures: Figures, next_commands: Sequence[str]
) -> None:
    summary = last.summary
    output = Path(status.output or run.artifacts_dir)
    click.echo(f"Done in {clock(float(summary.get('seconds') or 0))}: {summary.get('steps')} steps{_losses(figures)}.")
    plot = output / "training_history.png"
    for label, path in (("Result", output), ("Plot", plot), ("Run folder", run.path)):
        if path.exists():
            click.echo(f"  {label:<11} {short(path)}")
    click.echo("\nTry next:")
    for line in next_commands or _next_commands(run, output):
        click.echo(f"  {line}")


def _next_commands(run: RunFolder, output: Path) -> list[str]:
    adapter = (output / "adapter_config.json").exists()
    show = f"tunesmith runs show {run.id}"
    if _writes(run):
        return [f"tunesmith chat {'--adapter' if adapter else '--model'} {short(output)}", show]
    merge = f"tunesmith export merged --run {run.id} --output {short(output)}-merged"
    return [merge, show] if adapter else [show]


def _writes(run: RunFolder) -> bool:
    """Whether the result of a run can be talked to."""
    from tunesmith.modalities import task_named

    task = task_named(run.spec().task)
    return task is None or task.writes


def _losses(figures: Figures) -> str:
    first, newest = figures.first_evaluation, figures.evaluated
    if first is None or newest is None:
        return ""
    return f", validation loss {first.validation_loss:.4f} -> {newest.best_validation_loss:.4f}"


def short(path: Path) -> str:
    """Write a path as the user would: from the working folder or from the home folder where it lies inside one."""
    for base, sign in ((Path.cwd(), "."), (Path.home(), "~")):
        if path.is_absolute() and path.is_relative_to(base):
            return f"{sign}/{path.relative_to(base)}"
    return str(path)
