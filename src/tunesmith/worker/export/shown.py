"""Exports of models of pictures and sounds, each opened as its users open it and shown rows of its training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.folders import Use, use_of
from tunesmith.runs.durable import write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import NothingToExport, ParityFailed
from tunesmith.spec.events import Progress
from tunesmith.spec.plan import settled
from tunesmith.spec.work import Export, ExportRun, ModelFolders
from tunesmith.worker.export.adapter import NOT_THE_ADAPTERS
from tunesmith.worker.export.answers import answers, differing, predictor_of
from tunesmith.worker.export.onnx_file import write_onnx
from tunesmith.worker.export.shown_rows import Rows, rows_of
from tunesmith.worker.export.ultralytics_export import write_ultralytics
from tunesmith.worker.export.whole import write_whole

if TYPE_CHECKING:
    from tunesmith.worker.reporting import Reporter

REPORT: Final = "parity.json"
ADVICE: Final = "If it happens again, keep the run and its result: they show what differs."


def is_shown(source: ModelFolders) -> bool:
    """Whether a model is one of pictures or sounds."""
    return _use(source) is not None


def export_shown(request: ExportRun, target: Path, scratch: Path, reporter: Reporter) -> dict[str, Any]:
    """Write an export of such a model and compare it with what was trained; return the run's summary.

    Raises:
        ParityFailed: the export does not answer as the trained model does.
        NothingToExport: the run has no result.
    """
    source, use = request.source, _use(request.source)
    assert use is not None
    adapter = _adapter(source)
    base = Path(source.model)
    rows = rows_of(RunFolder(Path(source.run)) if source.run else None, use, request.replay)
    reporter.say(Progress(message="asking the trained model", done=0.1))
    trained = predictor_of(use, base, adapter)
    said = answers(use, trained, rows)
    reporter.say(Progress(message="writing the export", done=0.4))
    if request.what is Export.ONNX:
        found = write_onnx(trained, use, adapter or base, rows, target)
        return {"parity": _reported(found, "ONNX", target)}
    if request.what is Export.ULTRALYTICS:
        return {"parity": _reported(write_ultralytics(trained, base, rows, target), "ultralytics", target)}
    del trained
    if request.what is Export.MERGED:
        assert adapter is not None
        write_whole(use, base, adapter, target, str(request.dtype) if request.dtype else "fp32")
        opened: Callable[[], Any] = lambda: predictor_of(use, target, None)  # noqa: E731
        name = "merged"
    else:
        assert adapter is not None
        opened, name = _copied(adapter, use, base, target, request.zip, scratch), "adapter"
    if not rows.rows:
        return {}
    reporter.say(Progress(message="asking the export", done=0.8))
    faults = differing(said, answers(use, opened(), rows), exact=request.dtype in (None, "fp32"))
    report = {"opened_by": "transformers" if use.kind != "diffusion" else "diffusers", "shown": _shown(rows, faults)}
    summary = {"parity": _reported({**report, "faults": faults}, name, target)}
    if request.zip is not None:
        import zipfile

        with zipfile.ZipFile(target / request.zip, "a", zipfile.ZIP_DEFLATED) as held:
            held.write(target / REPORT, REPORT)
    return summary


def _use(source: ModelFolders) -> Use | None:
    return use_of(Path(source.model), Path(source.adapter) if source.adapter else None)


def _adapter(source: ModelFolders) -> Path | None:
    """Return the adapter of a model; a run that has not come to a result has none that says its classes.

    Raises:
        NothingToExport: it has no result.
    """
    if source.adapter is not None or source.run is None:
        return Path(source.adapter) if source.adapter is not None else None
    adapts = settled(RunFolder(Path(source.run)).plan().spec.recipe.method, "recipe.method").adapts
    if adapts or source.checkpoint is not None or not (Path(source.model) / "model_info.json").is_file():
        raise NothingToExport(source.name, "its run has no result yet; let it finish or land")
    return None


def _copied(adapter: Path, use: Use, base: Path, target: Path, archive: str | None, scratch: Path) -> Callable[[], Any]:
    """Copy an adapter, as files or as one archive, and return what opens it."""
    folder = target if archive is None else scratch / "packed"
    shutil.copytree(adapter, folder, dirs_exist_ok=True, ignore=NOT_THE_ADAPTERS)
    if archive is None:
        return lambda: predictor_of(use, base, folder)
    shutil.make_archive(str((target / archive).with_suffix("")), "zip", folder)
    unpacked = scratch / "unpacked"
    shutil.unpack_archive(target / archive, unpacked, "zip")
    return lambda: predictor_of(use, base, unpacked)


def _shown(rows: Rows, faults: Sequence[str]) -> dict[str, Any]:
    return {"of": len(rows.rows), "same": len(rows.rows) - len(faults), "source": rows.source}


def _reported(report: dict[str, Any], name: str, target: Path) -> dict[str, Any]:
    """Write the report into the export.

    Raises:
        ParityFailed: it says of rows that they are answered otherwise.
    """
    faults = report.pop("faults")
    if faults:
        raise ParityFailed(name, faults[:3], ADVICE)
    write_json(target / REPORT, report)
    return report


def info_of(folder: Path) -> dict[str, Any]:
    """Return what training wrote of a result."""
    return read_json(folder / "adapter_info.json") or read_json(folder / "model_info.json")
