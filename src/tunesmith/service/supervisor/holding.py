"""A job that a supervisor has, and what all steps of its life work with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from tunesmith.executors.base import Executor
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle, handle_of
from tunesmith.runs.launch import launch_of
from tunesmith.service.context import Service
from tunesmith.service.jobs.queue import told
from tunesmith.spec.states import RunState
from tunesmith.store import claims
from tunesmith.store import events as stored_events
from tunesmith.store.jobs import Job

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """What a supervisor works with."""

    service: Service
    executor: Executor
    server: str
    """Id of the supervisor's server: the owner of its leases."""
    machine: str


@dataclass
class Holding:
    """A job, the lease under which it is held, and how far its run has come."""

    job: Job
    """As it stood when it was taken."""
    token: int
    kind: str
    """Of its devices: cpu, gpu or side."""
    numbers: Sequence[int] = ()
    """Numbers of its devices."""
    real: bool = True
    """Whether they are what they claim to be."""
    folder: RunFolder | None = None
    """None: no run of it has been launched under this lease."""
    handle: Handle | None = None
    offset: int = 0
    """Bytes of the run's log that are stored."""
    losses: Sequence[float] = ()
    """The newest training losses."""
    launching: bool = False
    """Whether its run is being started right now."""
    asked_at: float | None = None
    """When what the run is told was asked, by the database's clock."""
    asked_since: float = 0.0
    """When it was to be told, by this process's clock."""
    is_told: bool = True
    """Whether it was told."""
    silent_since: float | None = None
    """When the run's last word was read, by this process's clock, while its process has not ended."""
    stops: int = 0
    """How often its processes were made to end: 1 asked by a signal, 2 killed."""
    over: bool = False
    """Nothing more is to be done about it here."""
    _task: Future[Any] | None = None
    _then: Callable[[Callable[[], Any]], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being done about it that has not been applied yet."""
        return self._task is not None

    @property
    def gpus(self) -> list[int] | None:
        """Numbers of the GPUs that it has; None: it computes on the CPU."""
        return list(self.numbers) if self.kind == "gpu" and self.real else None

    def begin(self, bench: Bench, work: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
        """Have something done in a thread; ``then`` is applied in the loop, and asks its argument for the result."""
        self._task, self._then = in_a_thread(work), then
        self._task.add_done_callback(lambda done: bench.service.wake.set())

    def wait(self, timeout: float) -> None:
        """Wait until what is being done is done."""
        if self._task is not None:
            wait([self._task], timeout)

    def apply(self) -> None:
        """Apply what was done, if it is done. Where that fails for want of a database it is applied again."""
        task, then = self._task, self._then
        if task is None or then is None or not task.done():
            return
        then(task.result)
        if self._task is task:  # Otherwise the next thing has begun.
            self._task = self._then = None


def in_a_thread(work: Callable[[], T]) -> Future[T]:
    """Begin what may take long: fetching, planning, starting, reading a result.

    The end of the process does not wait for such a thread, as it would for those of a pool: a download may take hours.
    """
    task: Future[T] = Future()

    def do() -> None:
        try:
            task.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- whoever asks for the result gets it.
            task.set_exception(error)

    threading.Thread(target=do, name="job", daemon=True).start()
    return task


def has_ended(bench: Bench, holding: Holding) -> bool:
    """Whether a run has no process any more, and gets none."""
    run = holding.folder
    assert run is not None
    holding.handle = holding.handle or handle_of(run)
    if holding.handle is not None:
        return bench.executor.poll(holding.handle) is not None
    launch = launch_of(run)
    # Life first: the handle may have been written between two looks.
    return not (launch is not None and launch.goes_on) and handle_of(run) is None


@contextmanager
def fenced(bench: Bench, holding: Holding) -> Iterator[tuple[Connection, Job, float]]:
    """Lend a transaction, the job as it stands, and the time, for as long as the lease holds.

    Raises:
        LeaseLost: it holds no more; nothing is written.
    """
    database = bench.service.database
    with database.write() as connection:
        job = claims.held(connection, holding.job.id, holding.token)
        yield connection, job, database.now(connection)


def tell(
    bench: Bench, connection: Connection, job: Job, now: float, state: RunState, reason: str | None = None, **facts: Any
) -> None:
    """Store what the service says of a job: the last thing in a transaction, as it keeps other writers waiting."""
    bench.service.database.order_events(connection)
    stored_events.add(connection, [told(job, now, state=state, reason=reason, **facts)])
