"""From a trained model and its export to the report of their parity: each is loaded, asked, and freed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.modalities import task_of
from tunesmith.spec.errors import ParityFailed
from tunesmith.worker.export.opened import Opened, Reply, WithTransformers, logits_of, written
from tunesmith.worker.export.parity import Report, Trained, advice_for, chances_of, compare
from tunesmith.worker.export.replay import replayed_rows

if TYPE_CHECKING:
    from tunesmith.worker.export.taught import Taught


def said_by(source: Taught, count: int) -> Trained:
    """Ask the trained model ``count`` prompts of its training."""
    model = source.load()
    limit = getattr(model.config, "max_position_embeddings", None)
    rows, origin = replayed_rows(source.run, source.encoder, count, limit=limit)
    said = [chances_of(logits_of(model, row)) for row in rows]
    replies: list[Reply] = []
    if source.writes:
        inside = model.get_base_model() if hasattr(model, "get_base_model") else model
        answers = written(inside, [row.prompt for row in rows], set(source.encoder.stop_ids))
        replies = [Reply(ended, source.encoder.decode(ids)) for ids, ended in answers]
    return Trained(rows, origin, said, replies, source.encoder.stop_ids)


def judge(trained: Trained, opened: Opened, *, export: str, number_format: str, writes: bool) -> Report:
    """Compare an export that was opened, and close it.

    Raises:
        ParityFailed: it is not what was trained.
    """
    try:
        report = compare(trained, opened, export=export, number_format=number_format, writes=writes)
    finally:
        opened.close()
    if not report.passed:
        raise ParityFailed(export, report.faults, advice_for(report))
    return report


def open_adapter(folder: Path, source: Taught) -> WithTransformers:
    """Open an adapter folder as PEFT's users do: the base by transformers, the adapter on it."""
    from peft import PeftModel

    classes = {} if source.classes is None else {"num_labels": len(source.classes)}
    model = PeftModel.from_pretrained(_loaded(source, source.model, source.precision, **classes), str(folder))
    return WithTransformers(folder, model)


def open_merged(folder: Path, source: Taught) -> WithTransformers:
    """Open a whole model as transformers' users do, in the precision that the trained one was asked in."""
    return WithTransformers(folder, _loaded(source, folder, source.precision))


def _loaded(source: Taught, folder: Path, precision: str, **settings: Any) -> Any:
    import transformers

    from tunesmith.training.precision import DTYPES

    kind = getattr(transformers, task_of(source.task).loader)
    return kind.from_pretrained(folder, dtype=DTYPES[precision], local_files_only=True, **settings)
