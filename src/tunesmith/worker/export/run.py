"""An export run: an adapter, a merged model, a GGUF or an ONNX file, compared with what was trained, then published.

The run's request is an ``ExportRun``. Nothing is published before the export was opened as its users open it and
answered prompts of the training as the trained model does; what was found lies beside it as ``parity.json``.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs import publish
from tunesmith.runs.durable import write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import NothingToExport
from tunesmith.spec.events import Progress
from tunesmith.spec.work import Export, ExportRun
from tunesmith.worker.export.adapter import NOT_THE_ADAPTERS
from tunesmith.worker.export.gguf_export import write_gguf_export
from tunesmith.worker.export.llama_cpp import LlamaCpp, need_llama_cpp
from tunesmith.worker.export.merged import write_merged
from tunesmith.worker.export.shown import export_shown, is_shown
from tunesmith.worker.export.taught import Taught, complete, taught
from tunesmith.worker.export.verdict import judge, open_adapter, open_merged, said_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunesmith.worker.export.opened import Opened
    from tunesmith.worker.export.parity import Trained
    from tunesmith.worker.reporting import Reporter

REPORT: Final = "parity.json"


def run(run: RunFolder, reporter: Reporter) -> None:
    """Export what the run's request names, and publish it.

    Raises:
        ParityFailed: the export is not what was trained.
        NothingToExport, NotForGguf, MergeDiffers: it cannot be written.
    """
    header = run.header()
    request = ExportRun.model_validate(header.request or {})
    assert header.output is not None
    target, scratch = run.artifacts_dir, run.path / "scratch"
    for folder in (target, scratch):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        summary = (
            export_shown(request, target, scratch, reporter)
            if is_shown(request.source)
            else _Exporting(request, taught(request.source, scratch), target, scratch, reporter).export()
        )
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)  # As large as a model, and of use to nobody.
        target.mkdir(exist_ok=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    reporter.say(Progress(message="publishing", done=0.95))
    publish.publish(target, Path(header.output), run)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    # The result can be as large as a model; one copy, where the user wanted it, is enough.
    shutil.rmtree(target)
    target.mkdir()
    reporter.finish({**summary, "output": header.output, "files": files}, None)


@dataclass(frozen=True)
class _Exporting:
    """One export, from the trained model to the report."""

    request: ExportRun
    source: Taught
    target: Path
    scratch: Path
    reporter: Reporter

    def export(self) -> dict[str, Any]:
        """Ask the trained model, write the export, ask the export; return the run's summary."""
        trained = None
        if self.request.what is Export.GGUF and self.request.replay:
            need_llama_cpp()
        if self.request.replay:
            self._say("asking the trained model", 0.02)
            trained = said_by(self.source, self.request.replay)
        match self.request.what:
            case Export.ADAPTER:
                return self._adapter(trained)
            case Export.MERGED:
                return self._merged(trained)
            case Export.GGUF:
                return self._gguf(trained)
            case Export.ONNX | Export.ULTRALYTICS:
                raise NothingToExport(self.source.name, f"{self.request.what} is for models of pictures")

    def _adapter(self, trained: Trained | None) -> dict[str, Any]:
        assert self.source.adapter is not None
        archive = self.request.zip
        folder = self.target if archive is None else self.scratch / "packed"
        shutil.copytree(self.source.adapter, folder, dirs_exist_ok=True, ignore=NOT_THE_ADAPTERS)
        complete(folder, self.source)
        if archive is None:
            return self._judged(trained, lambda: open_adapter(folder, self.source), "adapter")
        packed = self.target / archive
        shutil.make_archive(str(packed.with_suffix("")), "zip", folder)
        unpacked = self.scratch / "unpacked"
        shutil.unpack_archive(packed, unpacked, "zip")
        summary = self._judged(trained, lambda: open_adapter(unpacked, self.source), "adapter")
        if summary:
            with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as held:
                held.write(self.target / REPORT, REPORT)
        return summary

    def _merged(self, trained: Trained | None) -> dict[str, Any]:
        assert self.source.adapter is not None
        assert self.request.dtype is not None
        dtype = str(self.request.dtype)
        summary = write_merged(self.source.adapter, self.source.model, dtype, self.target, self.reporter)
        complete(self.target, self.source)
        return summary | self._judged(trained, lambda: open_merged(self.target, self.source), "merged", dtype)

    def _gguf(self, trained: Trained | None) -> dict[str, Any]:
        rows = [] if trained is None else trained.rows
        quantization = str(self.request.quantization)
        made = write_gguf_export(self.source, quantization, rows, self.target, self.scratch, self.reporter)
        summary = {**made.summary, "ollama_template": made.ollama.go is not None, "ollama_note": made.ollama.why}
        return summary | self._judged(trained, lambda: LlamaCpp(made.file), "GGUF", quantization)

    def _judged(
        self, trained: Trained | None, opening: Callable[[], Opened], export: str, number_format: str = "fp32"
    ) -> dict[str, Any]:
        """Open the export, compare it and write the report into it; do nothing where nothing is to be compared."""
        if trained is None:
            return {}
        self._say("asking the export", 0.8)
        report = judge(trained, opening(), export=export, number_format=number_format, writes=self.source.writes)
        write_json(self.target / REPORT, report.as_dict())
        return {"parity": report.as_dict()}

    def _say(self, message: str, done: float) -> None:
        self.reporter.say(Progress(message=message, done=done))
