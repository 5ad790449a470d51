"""An export run: an adapter folder, or an adapter merged into its base, published in the run's output.

The run's request says what::

    {"what": "merged", "run": "/.../runs/ID", "adapter": None, "base": "/...", "dtype": "bf16", "zip": None}

Either ``run`` is the folder of a training run or ``adapter`` that of an adapter; ``zip`` names an archive to make.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.runs import publish
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.events import Progress
from tunesmith.worker.export.adapter import write_adapter_of
from tunesmith.worker.export.merged import write_merged

if TYPE_CHECKING:
    from tunesmith.worker.reporting import Reporter


def run(run: RunFolder, reporter: Reporter) -> None:
    """Export what the run's request names, and publish it."""
    header = run.header()
    request: Mapping[str, Any] = header.request or {}
    assert header.output is not None
    target, adapter = run.artifacts_dir, run.path / "adapter"
    if request["adapter"] is not None:
        adapter = Path(request["adapter"])
    else:
        reporter.say(Progress(message="writing the adapter", done=0.0))
        write_adapter_of(RunFolder(Path(request["run"])), adapter)
    if request["what"] == "merged":
        summary = write_merged(adapter, Path(request["base"]), request["dtype"], target, reporter)
    else:
        summary = {}
        _place(adapter, target, request["zip"])
    reporter.say(Progress(message="publishing", done=0.95))
    publish.publish(target, Path(header.output), run)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    # The result can be as large as a model; one copy, where the user wanted it, is enough.
    shutil.rmtree(target)
    target.mkdir()
    if request["adapter"] is None:
        shutil.rmtree(adapter)
    reporter.finish({**summary, "output": header.output, "files": files}, None)


def _place(adapter: Path, target: Path, archive: str | None) -> None:
    """Put an adapter folder, or an archive of it, into the artifacts."""
    if archive is None:
        shutil.copytree(adapter, target, dirs_exist_ok=True)
    else:
        shutil.make_archive(str(target / archive.removesuffix(".zip")), "zip", adapter)
