"""A GGUF file with the Modelfile that Ollama makes a model of."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.modalities.chat_template import Template, load, read_json, special_tokens
from tunesmith.spec.errors import NotForGguf
from tunesmith.worker.export.gguf_file import Talk, write_gguf
from tunesmith.worker.export.merged import write_merged
from tunesmith.worker.export.modelfile import OllamaTemplate, modelfile, ollama_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunesmith.worker.export.replay import Replayed
    from tunesmith.worker.export.taught import Taught
    from tunesmith.worker.reporting import Reporter


@dataclass(frozen=True)
class GgufExport:
    """What was written."""

    file: Path
    ollama: OllamaTemplate
    summary: dict[str, Any]


def write_gguf_export(
    source: Taught, quantization: str, rows: Sequence[Replayed], target: Path, scratch: Path, reporter: Reporter
) -> GgufExport:
    """Write ``NAME-QUANTIZATION.gguf`` and its Modelfile; an adapter is merged into its base first.

    Raises:
        NotForGguf: it is a model, or has a tokenizer, that is not written.
        MergeDiffers: the merged model does not say what the adapter says.
    """
    if not source.writes:
        raise NotForGguf(f"it was trained for {source.task}, and llama.cpp writes text")
    model, summary = source.model, {}
    if source.adapter is not None:
        model = scratch / "merged"
        summary = write_merged(source.adapter, source.model, source.precision, model, reporter)
    file = target / f"{source.name}-{quantization}.gguf"
    template = load(model) or source.encoder.template
    talk = _talk(source, model, template, rows)
    write_gguf(model, file, name=source.name, quantization=quantization, talk=talk)
    shutil.rmtree(scratch / "merged", ignore_errors=True)
    begin = special_tokens(source.model).get("bos_token", "") if talk.begins else ""
    prompts = [row.messages for row in rows if row.messages is not None and row.tools is None]
    ollama = ollama_template(template, prompts, begin=begin)
    stops = [source.encoder.spell([token]) for token in sorted(source.encoder.stop_ids)]
    (target / "Modelfile").write_text(modelfile(file.name, ollama, stops), encoding="utf-8")
    return GgufExport(file, ollama, {**summary, "quantization": quantization, "bytes": file.stat().st_size})


def _talk(source: Taught, model: Path, template: Template, rows: Sequence[Replayed]) -> Talk:
    """Say how texts begin and answers end, as the training had it."""
    special, encoder = special_tokens(model), source.encoder
    begin, eos = (_number(model, special.get(name)) for name in ("bos_token", "eos_token"))
    asked = rows[0].prompt if rows else encoder.prompt([{"role": "user", "content": "Hello"}])
    ends = {row.answer[-1] for row in rows if row.answer} or encoder.stop_ids - {eos}
    turn = next((token for token in sorted(ends) if token != eos), None)
    return Talk(template.source, eos, turn, begins=begin is not None and asked[0] == begin)


def _number(model: Path, token: str | None) -> int | None:
    """Return the number of a token in a model's vocabulary."""
    content = read_json(model / "tokenizer.json")
    added = {each["content"]: each["id"] for each in content["added_tokens"]}
    return None if token is None else {**content["model"]["vocab"], **added}.get(token)
