"""What nobody needs any more: expired uploads and files, answers to old retries, and what killed servers left."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.handle import is_running
from tunesmith.runs.liveness import boot
from tunesmith.service import idempotency
from tunesmith.service.datasets import uploads
from tunesmith.spec.errors import RunNotFound, UnreadableFile
from tunesmith.store import uploads as stored_uploads

if TYPE_CHECKING:
    from tunesmith.service.context import Service

OLD: Final = 86_400.0
"""Seconds after which nobody works any more on something that is not whole."""
FORGOTTEN: Final = 30 * OLD
"""Seconds after which what was begun before a start of the machine is nobody's, nor another machine's."""
UNFINISHED: Final = {
    "data/uploads": re.compile(r"upload-([0-9a-f]{24})"),
    "data/files": re.compile(r"\.incoming-file-([0-9a-f]{24})"),
    "data/datasets": re.compile(r"\.incoming-dataset-([0-9a-f]{24}).*"),
}
"""Names below an organisation's folder of what is on its way; in each the part that is also in the upload's id."""
DELETED: Final = ".deleted-*"
"""Names of runs' folders that were being removed."""


def tidy(service: Service) -> None:
    """Remove what nobody needs; what an upload that may be gone on with still needs stays."""
    uploads.sweep(service)
    idempotency.forget_old(service)
    for path in (*_abandoned(service), *_left_by_models(service), *service.settings.runs_dir.glob(DELETED)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _abandoned(service: Service) -> Iterator[Path]:
    """Yield what is on its way to an organisation, and has neither an upload nor anybody who still writes."""
    for organisation in (service.settings.home / "orgs").glob("*"):
        for folder, name in UNFINISHED.items():
            for path in (organisation / folder).glob("*"):
                found = name.fullmatch(path.name)
                if found and _age(path) > OLD and not _is_known(service, uploads.PREFIX + found[1]):
                    yield path


def _left_by_models(service: Service) -> Iterator[Path]:
    """Yield what processes that held models left behind: their runs' folders and their logs."""
    for folder in service.settings.runs_dir.glob("*/"):
        # What answers has no job; looking at that first spares most folders the reading.
        if not (folder / "spec.json").exists() and _is_old_serve_run(RunFolder(folder)):
            yield folder
    yield from (log for log in (service.settings.home / "serving").glob("vllm-*.log") if _age(log) > FORGOTTEN)


def _is_old_serve_run(run: RunFolder) -> bool:
    try:
        header = run.header()
    except (RunNotFound, UnreadableFile):
        return False
    limit = OLD if header.creator.boot == boot() else FORGOTTEN
    return header.kind is Kind.SERVE and _age(run.path) > limit and not is_running(run)


def _age(path: Path) -> float:
    """Return the seconds since anything was last written there."""
    inside = (Path(here, name) for here, _, names in os.walk(path) for name in names)
    return time.time() - max(each.lstat().st_mtime for each in (path, *inside))


def _is_known(service: Service, upload: str) -> bool:
    with service.database.read() as connection:
        return stored_uploads.get(connection, upload) is not None
