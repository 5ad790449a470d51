"""The models and paths that an evaluation or an export names, kept inside of what an organisation may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.paths import Reach, organisation_folder, reach_of
from tunesmith.service.jobs.continuation import PREFIX
from tunesmith.service.jobs.index import find
from tunesmith.service.jobs.places import LONGEST, MODEL, placed_data, placed_model
from tunesmith.service.jobs.work_folders import BASE, NONE
from tunesmith.service.models.resolve import is_model_name, no_such_model
from tunesmith.spec.errors import ModelNotFound, NotFound, OutputUnusable, PathNotAllowed, RunNotFound, WrongJobState
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.job import ModelRef
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.spec.work import EvaluateSpec, ExportSpec
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import models as stored_models
from tunesmith.store import runs as stored_runs

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service

EXPORTS: Final = "exports"
"""Folder in an organisation's own for exports that name no other."""
REGISTERED: Final = "model-"
"""Begins the id of a model of the registry."""


class Named:
    """What somebody may name, for an organisation."""

    def __init__(self, service: Service, *, org: str, by: Principal, folder: Path) -> None:
        """``folder`` is what relative paths start from."""
        self._service, self._org, self._by, self._folder = service, org, by, folder
        self._reach: Reach = reach_of(service.settings, org, by, folder)

    def export(self, work: ExportSpec, default: str) -> ExportSpec:
        """Return an export with its source found and its paths absolute; ``default`` is the name of its own folder.

        Raises:
            ModelNotFound, NotFound: what it names is not there, or not theirs.
            WrongJobState: the job that makes it goes on.
            PathNotAllowed: a path leads outside of what the organisation may use.
            OutputUnusable: the output is a file, or its name is too long.
        """
        base = self.model(work.base) if work.base else None
        return work.model_copy(
            update={"source": self.model(work.source), "base": base, "output": self._output(work.output, default)}
        )

    def evaluation(self, work: EvaluateSpec) -> EvaluateSpec:
        """Return an evaluation with its models found and its paths absolute; raises as ``export``, and DataNotFound."""
        baseline = work.baseline if work.baseline in (None, BASE, NONE) else self.model(work.baseline)
        data = work.data
        if data is not None:
            data = placed_data(self._service, data, folder=self._folder, org=self._org, by=self._by)
        return work.model_copy(update={"model": self.model(work.model), "baseline": baseline, "data": data})

    def model(self, written: str) -> str:
        """Return ``run:ID``, an absolute folder, or the name of a model that was pulled or may be fetched.

        Raises:
            ModelNotFound, NotFound: nothing that they may see is called that.
            WrongJobState: the job that makes it goes on.
            PathNotAllowed: a folder that they may not name.
        """
        if run := self._of_job(written.removeprefix(PREFIX)):
            return PREFIX + run
        if written.startswith((MODEL, REGISTERED)):
            return self._registered(written)
        folder = self._reach.found(written) if not written.startswith(PREFIX) else None
        if folder is not None:
            return self._folder_of(folder, written)
        if not written.startswith(PREFIX) and (served := self._served(written)) is not None:
            return served
        if self._by.is_operator and (named := self._run_called(written.removeprefix(PREFIX))):
            return PREFIX + named
        if written.startswith(PREFIX):
            raise ModelNotFound(written, "Your organisation has no such run.")
        self._reach.real(written)  # A folder that may not be named is no name of the hub either.
        if is_model_name(written, self._service.settings):
            return written
        raise no_such_model(written, self._service.settings)

    def _of_job(self, written: str) -> str | None:
        """Return the run whose result is meant, by the id of its job in any form, or by its own."""
        with self._service.database.read() as connection:
            id = job_id_of(written)
            run = stored_runs.get(connection, written) if id is None else None
            job = stored_jobs.get(connection, run.job if run else id or "")
        if job is None or not self._owns(job.org):
            if id is not None:
                raise NotFound("job", written)
            return None
        if job.state not in JOB_OVER | {RunState.PAUSED}:
            raise WrongJobState(job.id, job.state, "used", "Wait until it has succeeded.")
        if job.run is None:
            raise WrongJobState(job.id, job.state, "used", "It never ran, so there is no model.")
        return run.id if run else job.run

    def _registered(self, written: str) -> str:
        with self._service.database.read() as connection:
            model = stored_models.get(connection, written.removeprefix(MODEL))
        if model is None or not self._owns(model.org):
            raise ModelNotFound(written, "Your organisation has no such model.")
        kept = model.run is not None and RunFolder(self._service.settings.runs_dir / model.run).exists()
        return f"{PREFIX}{model.run}" if kept else model.path

    def _folder_of(self, folder: Path, written: str) -> str:
        if (folder / ADAPTER_CONFIG).is_file():
            self._reach.refuse_links_out(folder)
            return str(folder)
        if self._by.is_operator and folder.parent.name == "checkpoints":
            return str(folder)
        ref = ModelRef(source=written)
        return placed_model(self._service, ref, folder=self._folder, org=self._org, by=self._by).source

    def _run_called(self, name: str) -> str | None:
        try:
            return find(self._service.settings, name).id
        except RunNotFound:
            return None

    def _served(self, name: str) -> str | None:
        """Return what a name means by which a model of this machine answers requests, such as ``ft:...``."""
        from tunesmith.service.serving.targets import find_target

        try:
            target = find_target(self._service, self._by, name, org=self._org)
        except NotFound:
            return None
        if target.checkpoint is not None:
            return str(target.checkpoint)
        return self._registered(target.model) if target.model else name

    def _output(self, written: str | None, default: str) -> str:
        own = organisation_folder(self._service.settings, self._org) / EXPORTS / default
        place = own if written is None else self._reach.real(written)
        if any(len(os.fsencode(part)) > LONGEST for part in place.parts):
            raise OutputUnusable(str(written)[:80], "its name is too long")
        if place.is_file():
            raise OutputUnusable(place, "it is a file")
        if self._reach.roots is not None and place in self._reach.roots:
            raise PathNotAllowed(str(written), "a folder inside of it is needed for results")
        return str(place)

    def _owns(self, org: str) -> bool:
        """Whether what belongs to an organisation may be used: the operator may also lend."""
        return self._by.is_operator or org == self._org
