"""The run folder: the truth about a run, readable without any database.

| name | written by | when |
| --- | --- | --- |
| ``run.json``, ``spec.json``, ``plan.json`` | the service side | before the run starts, never again |
| ``launched.json`` | the worker's parent process, or who gives the run up | once, by whoever is first |
| ``handle.json``, ``exit.json`` | the worker's parent process | when the worker starts; when it has ended |
| ``control.json`` | the service side | whenever something is asked of the run |
| ``lease.json`` | the supervisor, where other machines may take over | again and again, while it looks after the run |
| ``events.jsonl``, ``checkpoints/``, ``artifacts/``, ``logs/`` | the worker, rank 0 | all along |
| ``fault-of-process-N.json`` | the worker, rank N above 0 | when it failed |
| ``output.log`` | the worker's stdout and stderr | all along |
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from tunesmith.runs.durable import room_for, write_json
from tunesmith.runs.liveness import Process, this_process
from tunesmith.spec.errors import RunAbandoned, RunNotFound, UnreadableFile
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Part

P = TypeVar("P", bound=Part)

NAME_LENGTH: Final = 64
"""Characters of a run's name that go into its id."""


ROOM: Final = 65_536
"""Bytes that a run takes before it does anything."""


class Kind(StrEnum):
    """What a run does."""

    TRAIN = "train"
    CONVERT = "convert"
    SERVE = "serve"
    EXPORT = "export"
    EVALUATE = "evaluate"


class Header(Part):
    """Who a run is: ``run.json``."""

    id: str
    kind: Kind
    name: str
    created_at: float
    """Seconds since the epoch."""
    creator: Process
    """The process that made the folder: while it lives, a run without a handle may still be started."""
    folder: str
    """Working folder of the worker: what the job's relative paths start from."""
    parent: str | None = None
    """The run that this one resumes."""
    start: str | None = None
    """The checkpoint folder to start from. None: the newest of the parents' that verifies."""
    continues: str | None = None
    """The finished run whose weights (or state) this one begins with, on other data."""
    job: str | None = None
    """The service's job that the run is an attempt at; None for one that the command line started by itself."""
    token: int = 0
    """Counts how often the job had changed hands: of two attempts the one with the higher number goes on."""
    output: str | None = None
    """Where the result is published."""
    model_directory: str | None = None
    """The model directory that the output lies in: links to the result's parts are published there too."""
    request: dict[str, Any] | None = None
    """What to do, for kinds that have no plan."""


@dataclass(frozen=True)
class RunFolder:
    """A run, by its folder."""

    path: Path

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        kind: str,
        name: str,
        spec: JobSpec | None = None,
        plan: Plan | None = None,
        parent: RunFolder | None = None,
        start: Path | None = None,
        continues: str | None = None,
        id: str | None = None,
        job: str | None = None,
        token: int = 0,
        folder: Path | None = None,
        output: Path | None = None,
        model_directory: Path | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder of a run below ``home/runs``; nobody sees it before it is complete.

        Raises:
            RunAbandoned: the id that was given has been given up.
            DiskFull: there is no room for it.
        """
        now = time.time()
        header = Header(
            id=id or _free_id(home / "runs", name, now),
            kind=Kind(kind),
            name=name,
            created_at=now,
            creator=this_process(),
            folder=str(folder or Path.cwd()),
            parent=parent.id if parent else None,
            start=str(start) if start else None,
            continues=continues,
            job=job,
            token=token,
            output=os.path.abspath(output) if output is not None else None,
            model_directory=str(model_directory) if model_directory is not None else None,
            request=dict(request) if request is not None else None,
        )
        parts = {"run": header, "spec": spec or (plan.spec if plan else None), "plan": plan}
        with room_for(home / "runs", ROOM):
            return cls._write(home / "runs", header.id, parts)

    @classmethod
    def _write(cls, runs: Path, id: str, parts: Mapping[str, Part | None]) -> RunFolder:
        runs.mkdir(parents=True, exist_ok=True)
        draft = runs / f".draft-{id}"
        draft.mkdir(mode=0o700)
        try:
            for name in ("checkpoints", "artifacts", "logs"):
                (draft / name).mkdir()
            for name, part in parts.items():
                if part is not None:
                    write_json(draft / f"{name}.json", part.model_dump(mode="json"))
            os.rename(draft, runs / id)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise RunAbandoned(id) from error
            raise
        return cls(runs / id)

    @property
    def id(self) -> str:
        """Name of the run, unique within its home."""
        return self.path.name

    @property
    def events(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """Everything that the worker printed."""
        return self.path / "output.log"

    @property
    def checkpoints_dir(self) -> Path:
        """The checkpoints."""
        return self.path / "checkpoints"

    @property
    def artifacts_dir(self) -> Path:
        """The results, before they are published."""
        return self.path / "artifacts"

    @property
    def logs_dir(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "logs"

    def header(self) -> Header:
        """Read who the run is.

        Raises:
            RunNotFound: the folder is not (or no more) that of a run.
        """
        return self._read("run.json", Header)

    def spec(self) -> JobSpec:
        """Read the job."""
        return self._read("spec.json", JobSpec)

    def plan(self) -> Plan:
        """Read the plan."""
        return self._read("plan.json", Plan)

    def parent(self) -> RunFolder | None:
        """Return the run that this one resumes, if its folder is still there."""
        name = self.header().parent
        parent = RunFolder(self.path.parent / name) if name else None
        return parent if parent is not None and parent.exists() else None

    def exists(self) -> bool:
        """Whether the folder is that of a run."""
        return (self.path / "run.json").is_file()

    def _read(self, name: str, kind: type[P]) -> P:
        path = self.path / name
        try:
            return kind.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunNotFound(self.id) from error
        except ValidationError as error:
            raise UnreadableFile(path, f"{error.error_count()} faults, first: {error.errors()[0]['msg']}") from error


def run_folders(runs: Path) -> list[RunFolder]:
    """Return the runs below a folder, newest first; folders that are not runs are left out."""
    found = []
    for entry in os.scandir(runs) if runs.is_dir() else ():
        run = RunFolder(Path(entry.path))
        if not entry.name.startswith(".") and run.exists():
            with contextlib.suppress(UnreadableFile):
                found.append((run.header().created_at, run.id, run))
    return [run for _, _, run in sorted(found, key=lambda row: row[:2], reverse=True)]


def new_run_id(name: str, now: float, digits: int = 8) -> str:
    """Make an id that sorts by time and says what the run is: 20260305-141503-faq-09af83c1.

    Of a hundred runs of one name in one second two have the same four last digits one time in fourteen; so where an id
    is given away before its folder is made, there are eight.
    """
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-._")[:NAME_LENGTH] or "run"
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{plain}-{secrets.token_hex(digits // 2)}"


def _free_id(runs: Path, name: str, now: float) -> str:
    """Make an id that no folder has."""
    while (runs / (id := new_run_id(name, now, digits=4))).exists():
        pass
    return id
