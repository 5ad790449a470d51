"""A finished result goes where the user wanted it: claimed before the run, published after, never half of it.

What is published is staged inside the output's private folder, on the same file system. A journal says what will be
done; from then on every step can be repeated, so that the next run (or the next publishing) ends what a kill
interrupted. ``run.json`` goes first and comes last: without it, what lies there is not a whole result.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Final

from tunesmith.runs.durable import disk_full, is_no_room, read_json, sync, sync_folder, write_json
from tunesmith.runs.folder import Header, RunFolder
from tunesmith.runs.handle import is_running
from tunesmith.runs.output_claim import Claim, claim_in, drop_claim, refuse_overtaken, write_claim
from tunesmith.runs.output_lock import PRIVATE, locked
from tunesmith.runs.published_links import link_beside
from tunesmith.runs.status import status
from tunesmith.spec.errors import OutputBusy, OutputUnusable, Overtaken

RUN: Final = "run.json"
"""Names the run whose result lies in the output, and every file of it."""
CLAIM_PATIENCE: Final = 10.0
"""Seconds that a claim waits for the output's lock, which nobody keeps for long unless it publishes or was stopped."""
PUBLISH_PATIENCE: Final = 600.0
"""Seconds that a result waits for it."""
_JOURNAL: Final = "publishing.json"
_STAGE: Final = "stage"


def claim(output: Path, run: RunFolder) -> None:
    """Take an output for a run; the claim of a run that is over counts for nothing.

    Nor does that of an earlier attempt at the same job: it has lost the job, and publishes nothing any more.

    Raises:
        OutputBusy: another run that lives has it, or a process holds its lock.
        Overtaken: a later attempt at the same job has it.
        OutputUnusable: the folder cannot be made or written.
        DiskFull: not even a small file fits.
    """
    output = output.absolute()
    header = run.header()
    with _usable(output, needed=4096), locked(output, patience=CLAIM_PATIENCE) as private:
        _refuse_busy(output, claim_in(private), header)
        _finish(output, private)
        write_claim(private, run, header)


def release(output: Path, run: RunFolder) -> None:
    """Give an output back, if this run has it. A claim that cannot be removed ends with the run."""
    output = output.absolute()
    if not (output / PRIVATE).is_dir():
        return
    with contextlib.suppress(OSError, OutputBusy), locked(output, patience=CLAIM_PATIENCE) as private:
        drop_claim(private, run)


def publish(artifacts: Path, output: Path, run: RunFolder) -> list[str]:
    """Replace what earlier runs published in ``output`` by the files in ``artifacts``.

    Files that no run published stay; one that is in the way is kept as ``<name>.before-<run id>``. Return those names.
    In a model directory, links beside the output follow.

    Raises:
        Overtaken: the run's lease has passed, or the output is another run's by now; what lies there is as it was.
        OutputBusy: a process holds the output's lock and does not let it go.
        OutputUnusable: the folder cannot be written; what lies there is as it was.
        DiskFull: there is no room; what lies there is as it was.
    """
    output = output.absolute()
    header = run.header()
    with _usable(output, needed=_size(artifacts)), locked(output, patience=PUBLISH_PATIENCE) as private:
        refuse_overtaken(private, run, header)
        _finish(output, private)
        stage = private / _STAGE
        try:
            names = _copy(artifacts, stage)
            story = {"run": run.id, "name": header.name, "created_at": header.created_at, "folder": str(run.path)}
            write_json(stage / RUN, {**story, "files": names})
            foreign = _foreign(output, names)
            old = _published(output)
            refuse_overtaken(private, run, header)  # Again: copying may have taken longer than the lease.
            # From here on the result will be the new one, whatever happens.
            write_json(private / _JOURNAL, {"run": run.id, "files": names, "foreign": foreign, "old": old})
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        _finish(output, private)
        if header.model_directory is not None:
            link_beside(output)
        return [_kept(name, run.id) for name in foreign]


def published_run(output: Path) -> str | None:
    """Return the id of the run whose whole result lies in a folder."""
    story = _told(output / RUN, "files")
    return None if story is None else str(story["run"])


def published_names(output: Path) -> list[str]:
    """Return the names that the last publishing made in a folder, ``run.json`` itself among them."""
    return _published(output)


def _finish(output: Path, private: Path) -> None:
    """Do what the journal says, or what is left of it, and clear away; every step can be repeated."""
    journal, stage = _told(private / _JOURNAL, "files", "foreign", "old"), private / _STAGE
    if journal is not None:
        for name in journal["foreign"]:
            _keep(output / name, journal["run"])
        if os.path.lexists(stage / RUN):
            (output / RUN).unlink(missing_ok=True)
            sync_folder(output)
        for name in set(journal["old"]) - {*journal["files"], RUN}:
            _remove(output, name)
        for name in [*journal["files"], RUN]:
            _bring(stage / name, output / name)
    (private / _JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(stage, ignore_errors=True)
    for draft in private.glob(".*"):
        draft.unlink()


def _bring(source: Path, target: Path) -> None:
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    sync_folder(target.parent)


def _keep(path: Path, run: str) -> None:
    kept = path.with_name(_kept(path.name, run))
    if os.path.lexists(path) and not os.path.lexists(kept):
        os.rename(path, kept)


def _kept(name: str, run: str) -> str:
    return f"{name}.before-{run}"


def _remove(output: Path, name: str) -> None:
    """Remove a file of an earlier result, and the folders that are empty without it."""
    path = output / name
    inside = [parent for parent in path.parents if output in parent.parents]
    if any(folder.is_symlink() for folder in inside):
        return  # What lies behind a link is not the output's.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        path.unlink()
    for folder in inside:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _copy(artifacts: Path, stage: Path) -> list[str]:
    """Copy all files, put them on the disk and return their names; a link is published as a link to the same place."""
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    umask = _umask()
    names = []
    for folder, folders, files in os.walk(artifacts):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            source = Path(folder) / name
            target = stage / source.relative_to(artifacts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                os.symlink(source.resolve(), target)
            else:
                shutil.copy2(source, target)
                target.chmod(0o666 & ~umask)  # safetensors keeps its files to their owner
                sync(target)
            names.append(str(source.relative_to(artifacts)))
    return sorted(names)


def _umask() -> int:
    """Return what the user keeps from others in new files; it can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _foreign(output: Path, names: list[str]) -> list[str]:
    """Return what is in the way and no run published: files of the same names, and files where folders must be."""
    mine = set(_published(output))
    places = {place for name in [*names, RUN] for place in (Path(name), *Path(name).parents[:-1])}
    wanted = {str(place) for place in places if str(place) in {*names, RUN} or not (output / place).is_dir()}
    return sorted(place for place in wanted - mine if os.path.lexists(output / place))


def _published(output: Path) -> list[str]:
    """Return the names that the last publishing made, ``run.json`` itself among them."""
    story = _told(output / RUN, "files")
    return [] if story is None else [*story["files"], RUN]


def _told(path: Path, *lists: str) -> dict[str, Any] | None:
    """Read what a publishing wrote; None unless a run and, in each of these lists, only names below a folder are in it.

    An output may come from anywhere; a name in it must never lead to a file outside.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not _is_below(content.get("run")):
        return None
    whole = all(isinstance(content.get(key), list) and all(map(_is_below, content[key])) for key in lists)
    return content if whole else None


def _is_below(name: object) -> bool:
    """Whether this is the name of something below the folder that it is joined to."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.parts[0] != PRIVATE


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _refuse_busy(output: Path, holder: Claim | None, header: Header) -> None:
    """Refuse a claim on an output that another run has.

    Raises:
        OutputBusy, Overtaken: as ``claim``.
    """
    if holder is None or holder.run == header.id or holder.is_earlier_than(header):
        return
    if holder.job is not None and holder.job == header.job and holder.token > header.token:
        raise Overtaken(header.id, f"run {holder.run} has its output")
    if _lives(Path(holder.folder)):
        raise OutputBusy(output, holder.run)


def _lives(folder: Path) -> bool:
    run = RunFolder(folder)
    return run.exists() and is_running(run) and not status(run).state.is_over


@contextmanager
def _usable(output: Path, *, needed: int) -> Iterator[None]:
    """Turn what the system says of an output into our own errors."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise disk_full(output, needed) from error
        raise OutputUnusable(output, (error.strerror or str(error)).lower()) from error
