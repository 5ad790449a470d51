"""Whatever is asked of jobs, and however their runs end, in any order: the rules of their states hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from stored_rows import SPEC, have_devices
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import Kind
from tunesmith.runs.status import RunStatus
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import open_service
from tunesmith.service.jobs import queue
from tunesmith.service.supervisor import ends
from tunesmith.service.supervisor.ends import Ending
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, tell
from tunesmith.settings import Settings
from tunesmith.spec.errors import LeaseLost, Relayed, WrongJobState
from tunesmith.spec.ids import new_job_id
from tunesmith.spec.states import JOB_TRANSITIONS, Request, RunState
from tunesmith.store import accounts, claims, events, machines
from tunesmith.store import jobs as stored_jobs
from tunesmith.store.claims import WORKED_ON, Place
from tunesmith.store.jobs import Job, Wanted

DEVICES = 2
SAVED = RunStatus(
    id="run", kind=Kind.TRAIN, name="run", state=RunState.PAUSED, reason="paused", todo=None, step=None,
    total_steps=None, epoch=None, train_loss=None, validation_loss=None, best_validation_loss=None, created_at=0.0,
    ended_at=1.0, output=None, parent=None, exit=75, peak_memory_bytes=None,
)  # fmt: skip
ENDINGS = {
    "finishes": SAVED.model_copy(update={"state": RunState.SUCCEEDED, "reason": None, "exit": 0}),
    "stops when asked": SAVED,
    "dies": SAVED.model_copy(update={"state": RunState.FAILED, "reason": "killed", "exit": 137}),
}


class Jobs(RuleBasedStateMachine):
    """A queue, two devices, and a supervisor whose runs end as the rules say."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        home = Path(self._folder.name)
        self.service = open_service(Settings(home=home, retry_seconds=0.0, max_attempts=2))
        self.bench = Bench(self.service, LocalExecutor(), "me", "m")
        self.holdings: dict[str, Holding] = {}
        self.stale: list[Holding] = []
        with self.service.database.write() as connection:
            have_devices(connection, cpu=DEVICES)

    @rule(target=ids)
    def submit(self) -> str:
        with self.service.database.write() as connection:
            accounts.ensure_organisation(connection, "a", 0.0)
            new = stored_jobs.NewJob(new_job_id(), "a", "api", "one", SPEC, "/", "cpu")
            job = stored_jobs.add(connection, new, 0.0)
            events.add(connection, [queue.told(job, 0.0, state=RunState.QUEUED)])
        return job.id

    @rule(id=ids, ask=st.sampled_from([queue.pause, queue.cancel, queue.resume]))
    def somebody_asks(self, id: str, ask: Callable[..., Job]) -> None:
        before = queue.get(self.service, id, OPERATOR)
        try:
            after = ask(self.service, id, OPERATOR)
        except WrongJobState:
            assert queue.get(self.service, id, OPERATOR).state is before.state
            return
        assert after.state is before.state or after.state in JOB_TRANSITIONS[before.state]
        if before.state in WORKED_ON:  # Only a supervisor ends what it works on.
            assert after.state is before.state and after.request is not Request.NONE

    @rule(id=ids)
    def is_claimed(self, id: str) -> None:
        database, before = self.service.database, queue.get(self.service, id, OPERATOR)
        with database.write() as connection:
            free = DEVICES - sum(held for _, held in machines.counts(connection).values())
            now = database.now(connection)
            job = claims.claim(
                connection, before.number, Place("m", "cpu", 1), owner="me", now=now, until=now + 30, max_running=None
            )
            assert (job is not None) == (before.state is RunState.QUEUED and free > 0)
            if job is None:
                connection.rollback()
                return
            tell(self.bench, connection, job, now, RunState.PREPARING)
        if id in self.holdings:
            self.stale.append(self.holdings[id])
        self.holdings[id] = Holding(job, job.lease_token, "cpu")

    @rule(id=ids)
    def another_takes_over(self, id: str) -> None:
        holding = self.holdings.get(id)
        if holding is None or holding.over:
            return
        with self.service.database.write() as connection:
            assert claims.adopt(connection, id, token=holding.token, owner="me", until=0.0)
        self.stale.append(holding)
        self.holdings[id] = Holding(holding.job, holding.token + 1, "cpu")
        self.who_lost_a_lease_writes_nothing()

    @rule(id=ids)
    def starts(self, id: str) -> None:
        holding = self.holdings.get(id)
        if holding is None or holding.over:
            return
        with fenced(self.bench, holding) as (connection, job, now):
            moved = stored_jobs.move(connection, id, RunState.RUNNING, token=holding.token)
            assert moved == (job.state is RunState.PREPARING)
            if moved:
                tell(self.bench, connection, job, now, RunState.RUNNING)

    @rule(id=ids, how=st.sampled_from(sorted(ENDINGS)), further=st.booleans())
    def run_ends(self, id: str, how: str, further: bool) -> None:
        holding = self.holdings.get(id)
        if holding is None or holding.over:
            return
        with fenced(self.bench, holding) as (connection, job, now):
            asked = job.request
            ends._apply(self.bench, holding, connection, job, Ending(ENDINGS[how], None, None, further), now)
        after = queue.get(self.service, id, OPERATOR).state
        if how == "finishes":
            assert after is RunState.SUCCEEDED
        elif asked in ends.ASKED_FOR:
            assert after is ends.ASKED_FOR[asked]
        else:
            assert after in (RunState.QUEUED, RunState.FAILED)

    @rule(id=ids, end=st.sampled_from(["fails", "crashes", "has no room"]))
    def does_not_come_to_life(self, id: str, end: str) -> None:
        holding = self.holdings.get(id)
        if holding is None or holding.over:
            return
        if end == "fails":
            ends.fail(self.bench, holding, Relayed("It cannot be.", "broken", 70))
        elif end == "crashes":
            ends.crash(self.bench, holding, "no process")
        else:
            ends.queue_again(self.bench, holding, waiting="the output folder")

    @rule()
    def who_lost_a_lease_writes_nothing(self) -> None:
        for holding in self.stale:
            before = queue.get(self.service, holding.job.id, OPERATOR)
            try:
                ends.crash(self.bench, holding, "late")
            except LeaseLost:
                assert queue.get(self.service, holding.job.id, OPERATOR) == before
            else:
                raise AssertionError("a stale supervisor wrote")

    @invariant()
    def devices_are_held_by_what_is_worked_on_and_by_nothing_else(self) -> None:
        with self.service.database.read() as connection:
            for job in stored_jobs.listed(connection, Wanted(limit=1000)):
                held = machines.held_by(connection, job.id)
                assert len(held) == (1 if job.state in WORKED_ON else 0)
                assert (job.lease_owner is not None) == (job.state in WORKED_ON)

    @invariant()
    def events_tell_every_move_along_the_rules(self) -> None:
        with self.service.database.read() as connection:
            everything = stored_jobs.listed(connection, Wanted(limit=1000))
        for job in everything:
            told = [RunState(event.body["state"]) for event in queue.events_of(self.service, job)]
            assert told[0] is RunState.QUEUED and told[-1] is job.state
            for before, after in pairwise(told):
                assert after is before or after in JOB_TRANSITIONS[before], f"{before} -> {after}"

    def teardown(self) -> None:
        self.service.close()
        self._folder.cleanup()


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
