"""How a worker speaks and listens: events, heartbeats, requests and the last word."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tunesmith.runs.checkpoints import listed
from tunesmith.runs.control import Asked, ControlWatch
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.lease import LeaseWatch
from tunesmith.spec.errors import Cancelled, Interruption, Paused, TunesmithError
from tunesmith.spec.events import Acknowledged, Body, Ended, Failed, Finished, Heartbeat, Started, Step, Warned
from tunesmith.spec.states import Request

HEARTBEAT: Final = 5.0
"""Seconds without an event after which the run says that it lives."""
LEASE_PASSED: Final = (
    "No server has renewed the lease of this run, so another one may have taken the job over: "
    "the run saves its state and stops."
)


class Reporter:
    """One worker process's voice and ears. Only rank 0 has a voice."""

    def __init__(self, run: RunFolder, rank: int = 0) -> None:
        self._run = run
        self._log = EventWriter(run.events) if rank == 0 else None
        self._control = ControlWatch(run)
        self._lease = LeaseWatch(run)
        self._acknowledged = ""
        self._signalled = False
        self._breaks_off = False
        self._overtaken = False
        self._spoke_at = time.monotonic()
        self._step = 0
        self._ended = False

    @property
    def has_ended(self) -> bool:
        """Whether the last word is said."""
        return self._ended

    @property
    def is_overtaken(self) -> bool:
        """Whether the run's lease has passed: another attempt may go on by now, so nothing of others is touched."""
        return self._overtaken or self._lease.has_passed()

    def listen(self, *, at_once: bool = False) -> None:
        """From now on SIGTERM and SIGINT are a request to save and stop; asking again changes nothing.

        With ``at_once``, for work that has nothing to save, they break it off wherever it is, as paused or cancelled.
        """
        self._breaks_off = at_once
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def stop_listening(self) -> None:
        """Let the process end in peace: with our handler gone, a signal would kill it after its last word."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def say(self, body: Body) -> None:
        """Write an event.

        Raises:
            DiskFull: there is no room for it.
        """
        if isinstance(body, Step | Started):
            self._step = body.step
        if self._log is not None:
            self._log.append(body)
        self._spoke_at = time.monotonic()

    def beat(self, step: int) -> None:
        """Say that the run lives, if nothing else was said for a while."""
        self._step = step
        if time.monotonic() - self._spoke_at >= HEARTBEAT:
            self.say(Heartbeat(step=step))

    def request(self) -> Request:
        """Return what is asked and not acknowledged yet; cheap enough for every step.

        A run whose lease has passed is to save its state and stop, as if that had been asked. Where several processes
        share a step they must agree: act on what rank 0 was asked.
        """
        asked = self._control.look()
        if asked.request is Request.CANCEL:
            return Request.CANCEL
        if self._signalled or self._has_lost_its_lease():
            return Request.PAUSE
        return Request.NONE if self._is_done(asked) else asked.request

    def acknowledge(self, request: Request, step: int) -> None:
        """Say that a request is seen. A checkpoint is asked for once; pause and cancel stay in force."""
        self._acknowledged = self._control.look().id
        self.say(Acknowledged(request=request, step=step))

    def finish(self, summary: Mapping[str, Any], artifacts: Path | str | None) -> None:
        """Say the last word of a run that succeeded; ``artifacts`` is a folder inside the run folder."""
        self._last(Finished(summary=dict(summary), artifacts=str(artifacts) if artifacts is not None else None))

    def stop(self, interruption: Interruption) -> None:
        """Say the last word of a run that was paused or cancelled."""
        request = Request.PAUSE if isinstance(interruption, Paused) else Request.CANCEL
        own = listed(self._run)
        self._last(Ended(request=request, step=self._step, checkpoint=own[-1].name if own else None))

    def fail(self, error: TunesmithError, *, code: str | None = None) -> None:
        """Say the last word of a run that failed."""
        self._last(Failed(code=code or error.code, message=error.message, exit_code=error.exit_code))

    def _has_lost_its_lease(self) -> bool:
        """Whether the lease has passed; say so once, and then stay with it."""
        if self.is_overtaken and not self._overtaken:
            self._overtaken = True
            self.say(Warned(message=LEASE_PASSED))
        return self._overtaken

    def _last(self, body: Body) -> None:
        self._ended = True
        self.say(body)

    def _is_done(self, asked: Asked) -> bool:
        return asked.request is Request.CHECKPOINT and asked.id == self._acknowledged

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self._signalled = not self._signalled, True
        if first and self._breaks_off and not self._ended:
            is_cancelled = self._control.look().request is Request.CANCEL
            raise Cancelled(self._run.id) if is_cancelled else Paused(self._run.id, self._step)
