"""The paths that a job names: made absolute, and kept inside of what its organisation may use."""

from __future__ import annotations

import glob
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.data import files
from tunesmith.modalities.folders import is_model
from tunesmith.service.accounts.paths import Reach, organisation_folder, reach_of
from tunesmith.service.jobs.continuation import PREFIX, TEMPLATE
from tunesmith.service.jobs.index import find
from tunesmith.service.models.directory import ModelDirectory, is_model_directory
from tunesmith.service.models.resolve import is_data_name, is_model_name, no_such_model, not_a_model
from tunesmith.service.models.yolo import yolo_named
from tunesmith.spec.errors import BadValue, DataNotFound, ModelNotFound, OutputUnusable, PathNotAllowed
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output
from tunesmith.store import datasets as stored_datasets
from tunesmith.store import files as stored_files
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import models as stored_models
from tunesmith.store import runs as stored_runs

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service

MODEL: Final = "model:"
"""Begins the name of a model of the registry, by its id."""
FILE: Final = "file:"
"""Begins the name of an uploaded file, by its id."""
DATASET: Final = "dataset:"
"""Begins the name of a registered data set, by its id; a split may follow."""
SAVED: Final = "saved_models"
"""Folder in an organisation's own for results of jobs that name no other."""
MOST_MATCHES: Final = 10_000
"""Files that a glob of an organisation may mean."""
EMPTY: Final = "empty"
"""Folder in the home in which nothing ever lies."""
LONGEST: Final = 255
"""Bytes of a name in most file systems."""
_REVISION: Final = re.compile(r"[A-Za-z0-9_][\w.+/-]{0,199}")
_NAMING: Final = ("model", "datasets", "output", f"options.{TEMPLATE}", "suggested")
"""Fields that name places; a suggestion for one would come past everything that is checked here."""


def placed(service: Service, spec: JobSpec, *, folder: Path, org: str, by: Principal) -> JobSpec:
    """Return the job with every path that it names made absolute from ``folder``.

    Within an organisation's limits the paths are real ones, in which no link is left to be exchanged.

    Raises:
        PathNotAllowed: a path leads outside of what the organisation may use.
        ModelNotFound, DataNotFound: what is named is neither there nor a name that could be fetched.
        TrainedElsewhere: the model is of a kind that is known, and is not trained here.
        BadValue: a revision that is none, or a suggestion that names a place.
    """
    for path in spec.suggested:
        if path.split(".")[0] in _NAMING or path in _NAMING:
            raise BadValue(f"suggested.{path}", spec.suggested[path], "a field that names no place")
    asked = _Asked(service, org, by, reach_of(service.settings, org, by, folder))
    return spec.model_copy(
        update={
            "model": _model(asked, spec.model),
            "datasets": [_dataset(asked, dataset) for dataset in spec.datasets],
            "options": _options(asked, spec.options),
            "output": _output(asked, spec),
        }
    )


def placed_data(
    service: Service, datasets: Sequence[DatasetRef], *, folder: Path, org: str, by: Principal
) -> list[DatasetRef]:
    """Return data sets with every path absolute; raises as ``placed``."""
    asked = _Asked(service, org, by, reach_of(service.settings, org, by, folder))
    return [_dataset(asked, dataset) for dataset in datasets]


def placed_model(service: Service, ref: ModelRef, *, folder: Path, org: str, by: Principal) -> ModelRef:
    """Return a model with its path absolute; raises as ``placed``."""
    return _model(_Asked(service, org, by, reach_of(service.settings, org, by, folder)), ref)


def start_folder(service: Service, folder: Path, *, org: str, by: Principal) -> Path:
    """Return the folder in which a job is planned and run; its paths are absolute by then.

    For an organisation it is one in which nothing lies: what has passed as a name must not become a path later.
    """
    if by.is_operator:
        return reach_of(service.settings, org, by, folder).start
    organisation_folder(service.settings, org).mkdir(parents=True, exist_ok=True)
    empty = service.settings.home / EMPTY
    empty.mkdir(mode=0o500, exist_ok=True)
    return empty


class _Asked:
    """Who asks for what, for which organisation."""

    def __init__(self, service: Service, org: str, by: Principal, reach: Reach) -> None:
        self.service, self.org, self.by, self.reach = service, org, by, reach

    def owns(self, org: str) -> bool:
        """Whether what belongs to an organisation may be used: the operator may also lend."""
        return self.by.is_operator or org == self.org


def _model(asked: _Asked, ref: ModelRef) -> ModelRef:
    if ref.revision is not None and (not _REVISION.fullmatch(ref.revision) or ".." in ref.revision):
        raise BadValue("model.revision", ref.revision, "a branch, a tag or a commit")
    if ref.source.startswith(PREFIX):
        return ref.model_copy(update={"source": PREFIX + _run(asked, ref.source.removeprefix(PREFIX))})
    if ref.source.startswith(MODEL):
        return ref.model_copy(update={"source": _registered(asked, ref)})
    place = asked.reach.real(ref.source)
    # A file of weights that lies there by the same name is no model, and the name may mean one.
    is_there = asked.reach.found(ref.source) is not None
    if not is_there or (place.is_file() and yolo_named(ref.source) is not None):
        if is_model_name(ref.source, asked.service.settings) and not _lies_in_a_folder(asked, ref.source):
            return ref
        raise no_such_model(ref.source, asked.service.settings)
    model = Path(os.path.realpath(ModelDirectory(place).model)) if is_model_directory(place) else place
    if not is_model(model):
        raise not_a_model(ref.source, model)
    asked.reach.refuse_links_out(place)
    return ref.model_copy(update={"source": str(place)})


def _lies_in_a_folder(asked: _Asked, source: str) -> bool:
    """Whether somebody who wrote a name with a slash meant a folder that is not there, and no name of the hub."""
    return "/" in source and asked.reach.found(source.rpartition("/")[0]) is not None


def _run(asked: _Asked, written: str) -> str:
    """Return the id of the run whose result is meant, by its own id or by that of its job."""
    with asked.service.database.read() as connection:
        job = stored_jobs.get(connection, job_id_of(written) or "")
        run = stored_runs.get(connection, job.run if job and job.run else written)
    if run is not None and asked.owns(run.org):
        return run.id
    if asked.by.is_operator:
        return find(asked.service.settings, written).id
    raise ModelNotFound(PREFIX + written, "Your organisation has no such run.")


def _registered(asked: _Asked, ref: ModelRef) -> str:
    """Return where a model of the registry is: an adapter is the result of its run, and goes on with its base."""
    id = ref.source.removeprefix(MODEL)
    with asked.service.database.read() as connection:
        model = stored_models.get(connection, id)
    if model is None or not asked.owns(model.org):
        raise ModelNotFound(ref.source, "Your organisation has no such model.")
    return PREFIX + model.run if model.kind == "adapter" and model.run else model.path


def _dataset(asked: _Asked, dataset: DatasetRef) -> DatasetRef:
    parts = files.parts(dataset.uri, there=lambda name: asked.reach.found(name) is not None)
    found = [(part, each) for part in parts for each in _rows(asked, part)]
    uri = ",".join(each for _, each in found)
    return dataset.model_copy(update={"uri": uri, "within": _within(asked, found, dataset.within)})


def _within(asked: _Asked, found: Sequence[tuple[str, str]], typed: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the folders that hold what the rows of these parts may name, whatever a request says of it.

    What was uploaded has only what came with it; a name that is fetched gets its folder when it is found.
    """
    limits: dict[str, None] = {}
    for part, place in found:
        own = _uploaded_folder(asked, place) if part.startswith((FILE, DATASET)) else None
        if own is not None:
            limits[own] = None
        elif asked.reach.roots is None:
            return typed
        elif Path(place).is_absolute():
            limits |= dict.fromkeys(map(str, asked.reach.roots))
    return tuple(limits)


def _uploaded_folder(asked: _Asked, place: str) -> str | None:
    """Return the folder that an upload has to itself; None for what was only registered where it lies."""
    orgs = Path(os.path.realpath(asked.service.settings.home / "orgs"))
    real = Path(os.path.realpath(place))
    if not real.is_relative_to(orgs):
        return None
    org, *below = real.relative_to(orgs).parts
    if below[:2] not in (["data", "files"], ["data", "datasets"]) or len(below) < 3:
        return None
    return str(orgs.joinpath(org, *below[:2], below[2].split(":")[0]))  # A split may follow.


def _rows(asked: _Asked, part: str) -> Iterator[str]:
    """Yield where a part of a uri leads: a path, a part of a folder, what a glob means, or a name as it is."""
    if part.startswith((FILE, DATASET)):
        yield _uploaded(asked, part)
        return
    place = asked.reach.real(part)
    if asked.reach.found(part) is not None:
        asked.reach.refuse_links_out(place)
        yield str(place)
    elif folder := _divided(asked, part):
        yield folder
    elif glob.has_magic(part):
        yield from _matches(asked, part, place)
    elif is_data_name(part, asked.service.settings) and not _lies_in_a_folder(asked, part.split(":")[0]):
        yield part
    elif "://" in part:
        raise DataNotFound(part, "Addresses are not fetched: upload the data, then name it")
    else:
        raise DataNotFound(part)


def _divided(asked: _Asked, part: str) -> str | None:
    """Return ``folder:split`` or ``folder:config:split`` with the folder or archive made absolute, if that is meant."""
    pieces = part.split(":")
    for length in range(len(pieces) - 1, max(0, len(pieces) - 3), -1):
        base = ":".join(pieces[:length])
        asked.reach.real(base)  # A folder that may not be named is no name of the hub either.
        folder = asked.reach.found(base) if pieces[0] else None
        if folder is not None and (folder.is_dir() or files.is_archive_file(folder)):
            asked.reach.refuse_links_out(folder)
            return ":".join([str(folder), *pieces[length:]])
    return None


def _matches(asked: _Asked, part: str, place: Path) -> Iterator[str]:
    """Yield what a glob means: for the operator the glob itself, within limits each file by its real path."""
    written = expanded(part) if asked.reach.roots is None else Path(part)
    pattern = str(written) if written.is_absolute() else os.path.join(glob.escape(str(asked.reach.start)), written)
    if asked.reach.roots is None:
        if next(glob.iglob(pattern, recursive=True), None) is None:
            raise DataNotFound(part, "No file matches")
        yield pattern
        return
    found = 0
    for match in sorted(glob.iglob(pattern, recursive=True)):
        found += 1
        if found > MOST_MATCHES:
            raise BadValue("uri", part, f"a glob that means at most {MOST_MATCHES:,} files")
        real = asked.reach.real(match)
        asked.reach.refuse_links_out(real)
        yield str(real)
    if not found:
        raise DataNotFound(part, "No file matches")


def _uploaded(asked: _Asked, part: str) -> str:
    """Return the path of what was uploaded or registered, by its id."""
    noun, id, *choice = part.split(":")
    with asked.service.database.read() as connection:
        if noun + ":" == FILE:
            row: Any = stored_files.get(connection, id)
        else:
            row = stored_datasets.get(connection, id)
    if row is None or not asked.owns(row.org) or not Path(row.path).exists():
        raise DataNotFound(part, f"There is no {'file' if noun + ':' == FILE else 'data set'} of this id")
    if not asked.by.is_operator:
        asked.reach.real(row.path)
    return ":".join([row.path, *choice])


def _options(asked: _Asked, options: dict[str, Any]) -> dict[str, Any]:
    template = options.get(TEMPLATE)
    if not isinstance(template, str) or not template:
        return options
    place = asked.reach.real(template)
    if asked.reach.found(template) is None or not place.is_file():
        raise DataNotFound(template, "It is to be the chat template. Check the path")
    return {**options, TEMPLATE: str(place)}


def _output(asked: _Asked, spec: JobSpec) -> Output:
    """Return where the result goes; an organisation's jobs that say nothing each get a folder of their own."""
    reach = asked.reach
    if reach.roots is not None and "dir" not in spec.output.model_fields_set:
        name = spec.name or f"job-{secrets.token_hex(4)}"
        return spec.output.model_copy(update={"dir": str(reach.start / SAVED / name)})
    place = reach.real(spec.output.dir)
    if any(len(os.fsencode(part)) > LONGEST for part in place.parts):
        raise OutputUnusable(spec.output.dir[:80], "its name is too long")
    if place.is_file():
        raise OutputUnusable(place, "it is a file")
    if reach.roots is not None and place in reach.roots:
        # The folder above, where a model directory's links would be made, lies outside.
        raise PathNotAllowed(spec.output.dir, "a folder inside of it is needed for results")
    return spec.output.model_copy(update={"dir": str(place)})
