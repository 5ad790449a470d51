"""Run folders that the command line made become jobs, so that the service shows them, follows them and resumes them.

The folder stays what it is: nothing of it is changed, and it is never deleted with its job.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from tunesmith.runs.event_log import read_lines
from tunesmith.runs.folder import Header, Kind, RunFolder
from tunesmith.runs.liveness import boot
from tunesmith.runs.status import RunStatus, status
from tunesmith.service.context import Service
from tunesmith.service.jobs.continuation import PREFIX
from tunesmith.service.jobs.queue import told
from tunesmith.service.jobs.work_folders import NONE
from tunesmith.service.models import registry
from tunesmith.service.models.registry import NewModel
from tunesmith.service.supervisor.follower import progress_after
from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.spec.events import Event, Failed, Finished, Heartbeat, Warned, parse
from tunesmith.spec.ids import DEFAULT_ORGANISATION
from tunesmith.spec.job import Device
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.spec.work import EvaluateRun, EvaluateSpec, ExportRun, ExportSpec, ModelFolders
from tunesmith.store import accounts
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store.claims import BESIDE
from tunesmith.store.events import NewEvent
from tunesmith.store.jobs import NewJob
from tunesmith.store.runs import StoredRun

log = logging.getLogger(__name__)

DOOR: Final = "cli"
JOBS: Final = (Kind.TRAIN, Kind.EVALUATE, Kind.EXPORT)
"""Kinds of runs that become jobs."""
AT_ONCE: Final = 1.0
"""Seconds that one look may take; what is left comes with the next, so that nobody waits for thousands of folders."""
SILENT: Final = 600.0
"""Seconds without a word after which a run of another start of a machine is over, where machines share folders."""
SETTLED: Final = 2.0
"""Seconds after which a folder's time tells changes apart; within less of them there may be more to come."""


def index_folders(service: Service) -> int:
    """Make jobs of all run folders that are not known yet, as far as there is time; return of how many."""
    return FolderIndex(service).look()


class FolderIndex:
    """Looks for run folders again and again; costs one ``stat`` while nothing changes."""

    def __init__(self, service: Service, *, owner: str | None = None) -> None:
        """``owner`` is the server that is to take up what goes on; None: any that shares the database."""
        self._service, self._owner = service, owner
        self._known: set[str] = set()
        self._seen: int | None = None

    def look(self) -> int:
        """Make jobs of run folders, the oldest first; return of how many. What cannot be read is left for later."""
        begun = time.monotonic()
        try:
            changed = self._service.settings.runs_dir.stat().st_mtime_ns
            unknown = self._unknown() if changed != self._seen else []
        except OSError:
            return 0
        if changed == self._seen:
            return 0
        settled = time.time() - changed / 1e9 > SETTLED
        made, waiting = 0, False
        for name in unknown:
            if time.monotonic() - begun > AT_ONCE:
                waiting = True
                break
            indexed = self._index(name)
            waiting |= indexed is None
            made += bool(indexed)
        self._seen = changed if settled and not waiting else None
        return made

    def _unknown(self) -> list[str]:
        """Return the folders that were never looked at and that no row knows, the oldest first."""
        entries = os.scandir(self._service.settings.runs_dir)
        names = sorted(entry.name for entry in entries if entry.name not in self._known and entry.name[0] != ".")
        with self._service.database.read() as connection:
            self._known |= stored_runs.known(connection, names)
        return [name for name in names if name not in self._known]

    def _index(self, name: str) -> bool | None:
        """Make a job of a folder; return whether it has become one, None if it is too early to say."""
        try:
            found = _found(RunFolder(self._service.settings.runs_dir / name), self._service)
            indexed = _store(self._service, found, self._owner) if isinstance(found, _Found) else found
        except DatabaseUnusable:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever lies there: nothing else waits for it.
            # A header of another version fails in as many lines as it has fields.
            why = str(error).partition("\n")[0]
            log.warning("Run folder %s becomes no job: %s: %s", name, type(error).__name__, why)
            indexed = False
        if indexed is not None:
            self._known.add(name)
        return indexed


@dataclass(frozen=True)
class _Found:
    """What a run folder tells."""

    run: RunFolder
    header: Header
    status: RunStatus
    job: NewJob
    said: list[Event]
    read: int
    """Bytes of the log that these events are."""
    model: NewModel | None


def _found(run: RunFolder, service: Service) -> _Found | bool | None:
    """Read a folder; False for one that becomes no job, None for one that is not launched or not judged yet."""
    if not run.exists():
        return False
    header = run.header()
    if header.kind not in JOBS or header.job is not None:
        return False
    # Life first: whatever was written before the run was seen ended is read after.
    now = status(run)
    if now.state is RunState.QUEUED or not _can_be_judged(run, header, now, service):
        return None
    job = _job(run, header, now)
    if not now.state.is_over:
        return _Found(run, header, now, job, [], 0, None)
    lines, end = read_lines(run.events)
    made_one = now.state is RunState.SUCCEEDED and header.kind is Kind.TRAIN
    model = registry.gather(job, run) if made_one else None
    return _Found(run, header, now, job, [parse(line) for line in lines], end, model)


def _can_be_judged(run: RunFolder, header: Header, now: RunStatus, service: Service) -> bool:
    """Whether a run that looks ended has: of another machine's processes nothing is known here."""
    if not now.state.is_over or service.database.is_sqlite or header.creator.boot == boot():
        return True
    if (run.path / "exit.json").exists() or now.exit == 0:
        return True
    last = run.events if run.events.exists() else run.path
    return time.time() - last.stat().st_mtime > SILENT


def _job(run: RunFolder, header: Header, now: RunStatus) -> NewJob:
    plan = run.plan() if header.kind is Kind.TRAIN else None
    gpu = plan is not None and plan.execution.device == Device.CUDA
    return NewJob(
        # The same folder is the same job, whichever server sees it first.
        id=hashlib.sha256(run.id.encode()).hexdigest()[:12],
        org=DEFAULT_ORGANISATION,
        door=DOOR,
        name=header.name[:64],
        kind=str(header.kind),
        spec=plan.spec if plan else None,
        work=None if plan else _work(header),
        folder=header.folder,
        device=BESIDE if plan is None else "gpu" if gpu else "cpu",
        slots=plan.execution.processes if plan and gpu else 1,
        # A run that goes on is taken up as one whose server is gone: a supervisor follows it from its first event.
        state=now.state if now.state.is_over else RunState.PREPARING,
        reason=now.reason,
        warnings=plan.warnings if plan else (),
        extra={"resumes": header.parent} if header.parent else {},
        plan=plan,
        run=run.id,
        indexed=True,
    )


def _work(header: Header) -> EvaluateSpec | ExportSpec:
    """Return what was asked for, by what the run was told: names have become folders by then."""
    if header.kind is Kind.EXPORT:
        told = ExportRun.model_validate(header.request)
        same = told.model_dump(include={"what", "quantization", "dtype", "replay"})
        zipped = told.zip is not None
        return ExportSpec(source=_source(told.source), zip=zipped, output=header.output, **same)
    asked = EvaluateRun.model_validate(header.request)
    same = asked.model_dump(include=set(EvaluateSpec.model_fields) - {"kind", "model", "baseline"})
    baseline = _source(asked.baseline) if asked.baseline else NONE
    return EvaluateSpec(model=_source(asked.model), baseline=baseline, **same)


def _source(folders: ModelFolders) -> str:
    if folders.checkpoint is not None:
        return folders.checkpoint
    return f"{PREFIX}{Path(folders.run).name}" if folders.run else folders.adapter or folders.model


def _store(service: Service, found: _Found, owner: str | None) -> bool | None:
    """Store a job with its run and what it said, in one transaction.

    Return False if another server was first, None if it was at the same moment: then the next look will tell.
    """
    database, job = service.database, found.job
    try:
        with database.write() as connection:
            if stored_runs.known(connection, [found.run.id]):
                return False
            now = database.now(connection)
            accounts.ensure_organisation(connection, job.org, now)
            stored = stored_jobs.add(connection, job, now)
            stored_runs.add(connection, _row(found, service.settings.machine))
            model = registry.add(connection, found.model, now) if found.model else None
            stored_jobs.change(connection, job.id, **_numbers(found, model.id if model else None))
            if not found.status.state.is_over:
                stored_jobs.change(connection, job.id, lease_owner=owner)
            database.order_events(connection)
            stored_events.add(connection, list(_events(found)))
            about = told(stored, now, state=job.state, reason=job.reason, run=found.run.id)
            stored_events.add(connection, [about])
    except IntegrityError:
        return None
    service.wake.set()
    return True


def _row(found: _Found, machine: str) -> StoredRun:
    now, job = found.status, found.job
    over = now.state.is_over
    return StoredRun(
        id=found.run.id,
        job=job.id,
        org=job.org,
        kind=job.kind,
        attempt=1,
        machine=machine,
        device=job.device,
        slots=job.slots,
        state=now.state,
        reason=now.reason,
        handle=None,
        exit=now.exit,
        step=now.step,
        event_offset=found.read,
        event_seq=found.said[-1].seq if found.said else 0,
        created_at=now.created_at,
        launched_at=now.created_at,
        heartbeat_at=found.said[-1].time if found.said else None,
        ended_at=(now.ended_at or now.created_at) if over else None,
        peak_memory=now.peak_memory_bytes,
    )


def _numbers(found: _Found, model: str | None) -> dict[str, Any]:
    """Return what else the job's row says: its times, its newest numbers, and how it ended."""
    now, last = found.status, found.said[-1].body if found.said else None
    warned = [event.body.message for event in found.said if isinstance(event.body, Warned)]
    values: dict[str, Any] = {
        "created_at": now.created_at,
        "available_at": now.created_at,
        "started_at": now.created_at if now.state.is_over else None,
        "ended_at": now.ended_at if now.state in JOB_OVER else None,
        "progress": progress_after({}, [], found.said)[0],
        "warnings": list(dict.fromkeys([*found.job.warnings, *warned])),
    }
    if now.state is RunState.SUCCEEDED:
        summary = last.summary if isinstance(last, Finished) else {}
        values["result"] = {"model": model, "output": now.output, "summary": summary}
    elif now.state is RunState.FAILED:
        code = last.code if isinstance(last, Failed) else "run_crashed"
        values["error"] = {"code": code, "message": now.reason, "todo": now.todo, "exit_code": now.exit}
    return values


def _events(found: _Found) -> Iterator[NewEvent]:
    for event in found.said:
        if not isinstance(event.body, Heartbeat):
            body = event.body.model_dump(mode="json", exclude={"kind"})
            org, job = found.job.org, found.job.id
            yield NewEvent(org, job, event.time, event.body.kind, body, found.run.id, event.seq)
