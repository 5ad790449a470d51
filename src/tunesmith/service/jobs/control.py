"""Ask something of a run. The intent is stored before anything is signalled, so that the end reads as it was meant.

All of it may be called from a signal handler.
"""

from __future__ import annotations

from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.control import ask
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.status import status
from tunesmith.spec.errors import RunNotFound, WrongRunState
from tunesmith.spec.modes import NON_STOP
from tunesmith.spec.states import Request


def pause(run: RunFolder) -> None:
    """Ask a run to save its state and stop; it does so between two steps.

    Raises:
        WrongRunState: the run is over.
    """
    _refuse_if_over(run, "paused", "`tunesmith runs resume` goes on with it.")
    ask(run, Request.PAUSE)


def cancel(run: RunFolder) -> None:
    """Ask a run to end without finishing; it does so between two steps. One that lands ends with a result instead.

    Raises:
        WrongRunState: the run is over.
    """
    _refuse_if_over(run, "cancelled", "Nothing is left to cancel.")
    ask(run, Request.CANCEL)


def lands(run: RunFolder) -> bool:
    """Whether a run ends with a result when it is cancelled; only a job has a mode."""
    try:
        return run.spec().recipe.mode == NON_STOP
    except RunNotFound:
        return False


def stop_now(run: RunFolder) -> None:
    """End a run at once, as cancelled; its last checkpoint stays. Nothing happens to a run that is over."""
    ask(run, Request.CANCEL)
    handle = handle_of(run)
    if handle is not None:
        LocalExecutor().stop(handle, force=True)


def _refuse_if_over(run: RunFolder, action: str, hint: str) -> None:
    state = status(run).state
    if state.is_over:
        raise WrongRunState(run.id, state, action, hint)
