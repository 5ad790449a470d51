"""``tunesmith export``: what training left, as files that other tools open, proven to be what was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tunesmith.spec.work import ExportSpec

SOURCE = (
    click.option(
        "--run", metavar="RUN", help="A run by its id, its beginning or its name; unfinished, its best checkpoint."
    ),
    click.option("--adapter", type=click.Path(path_type=Path), metavar="DIR", help="Folder of an adapter, instead."),
)
MODEL = click.option("--model", metavar="MODEL", help="The adapter's base, where it names none or it has moved.")
FORMAT = click.option(
    "--dtype", metavar="FORMAT", help="bf16, fp16 or fp32. Default: that of the base; fp32 for pictures and sounds."
)
QUANTIZATION = click.option(
    "--quantization", metavar="FORMAT", help="f32, bf16, f16, q8_0, q5_1, q5_0, q4_1 or q4_0. Default: f16."
)
WHOLE = ("gguf", "onnx", "ultralytics")
"""What is written of a whole model too, which is named by its folder."""
TARGET = (
    click.option(
        "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="New or empty folder for it."
    ),
    click.option(
        "--replay", type=click.IntRange(0, 1000), metavar="N", help="Training prompts to compare with. Default: 20."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group()
def command() -> None:
    """Write the result of a run as files that other tools open.

    Every export is opened as its users open it, and answers prompts of the training; one that does not say what the
    trained model says is not written. parity.json beside it says what was compared.
    """


@command.command("adapter")
@_with(*SOURCE, TARGET[0], click.option("--zip", "zip", is_flag=True, help="Write one .zip instead of the files."))
@_with(*TARGET[1:])
def adapter_command(*, output: Path, as_json: bool, **typed: Any) -> None:
    """Write the adapter of a run as PEFT opens it.

    \b
    tunesmith export adapter --run faq --output ./faq-lora
    """
    _export("adapter", output, as_json, typed)


@command.command("merged")
@_with(*SOURCE, MODEL, FORMAT, *TARGET)
def merged_command(*, output: Path, as_json: bool, **typed: Any) -> None:
    """Write a whole model: the adapter merged into its base.

    The base is taken at its full precision, also where training had it in 4 or 8 bits.

    \b
    tunesmith export merged --run faq --output ./faq-model
    """
    _export("merged", output, as_json, typed)


@command.command("gguf")
@_with(*SOURCE, click.option("--model", metavar="MODEL", help="The adapter's base; without one, a whole model."))
@_with(QUANTIZATION, *TARGET)
def gguf_command(*, output: Path, as_json: bool, **typed: Any) -> None:
    """Write one GGUF file for llama.cpp, and a Modelfile.

    The Modelfile is what Ollama makes a model of.

    \b
    tunesmith export gguf --run faq --quantization q8_0 --output ./faq-gguf
    ollama create faq -f ./faq-gguf/Modelfile
    """
    _export("gguf", output, as_json, typed)


@command.command("onnx")
@_with(*SOURCE, click.option("--model", metavar="MODEL", help="The adapter's base; without one, a whole model."))
@_with(*TARGET)
def onnx_command(*, output: Path, as_json: bool, **typed: Any) -> None:
    """Write one ONNX file of a model that names what pictures show or finds it.

    \b
    tunesmith export onnx --run shapes --output ./shapes-onnx
    """
    _export("onnx", output, as_json, typed)


@command.command("ultralytics")
@_with(*SOURCE, click.option("--model", metavar="MODEL", help="A whole model, instead of a run."), *TARGET)
def ultralytics_command(*, output: Path, as_json: bool, **typed: Any) -> None:
    """Write one .pt file of a YOLO for the package ultralytics.

    \b
    tunesmith export ultralytics --run shapes --output ./shapes-yolo
    """
    _export("ultralytics", output, as_json, typed)


def _export(what: str, output: Path, as_json: bool, typed: dict[str, Any]) -> None:
    from tunesmith.cli.progress import pulling
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs.export import export
    from tunesmith.service.jobs.remote_work import done_by_server

    spec, settings = _spec(what, **typed), current_settings()
    with pulling(spec.source, quiet=as_json, doing="Exporting") as tell:
        asked = spec.model_copy(update={"output": str(output)})
        summary = done_by_server(asked, settings, tell) or export(spec, output, settings, tell)
    _show(summary, as_json)


def _spec(what: str, *, run: str | None, adapter: Path | None, model: str | None = None, **typed: Any) -> ExportSpec:
    """Make the job of what was typed."""
    from tunesmith.service.jobs.continuation import PREFIX
    from tunesmith.spec.work import Export, ExportSpec

    if (run is None) == (adapter is None) and (what not in WHOLE or run is not None or model is None):
        raise click.UsageError("Name what to export: --run RUN, or --adapter DIR.")
    source = f"{PREFIX}{run}" if run is not None else str(adapter or model)
    given = {name: _named(name, value) for name, value in typed.items() if value is not None}
    return ExportSpec(what=Export(what), source=source, base=model if run or adapter else None, **given)


def _named(name: str, value: Any) -> Any:
    """Return a number format by its own name."""
    from tunesmith.spec.errors import UnknownName
    from tunesmith.spec.recipe import PRECISION_NAMES, Precision
    from tunesmith.spec.work import Quantization

    if name == "dtype":
        value = PRECISION_NAMES.get(value, value)
        if value not in list(Precision):
            raise UnknownName("number format", value, [*Precision, *PRECISION_NAMES])
    if name == "quantization" and value.lower() not in list(Quantization):
        raise UnknownName("number format of a GGUF file", value, list(Quantization))
    return value.lower() if name == "quantization" else value


def _show(summary: dict[str, Any], as_json: bool) -> None:
    from tunesmith.cli.terminal import printable

    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(printable(f"Written to {summary['output']}: {', '.join(summary['files'])}"))
    if found := summary.get("parity"):
        click.echo(printable(_parity(found)))
    if summary.get("ollama_template") is False:
        click.echo(printable(f"The Modelfile has no TEMPLATE: {summary['ollama_note']}."))
    if found := summary.get("trained_base_to_merged"):
        click.echo(
            "From the model in fewer bits that was trained, the merged one differs by "
            f"{found['divergence']:.3g} nats a token (at most {found['largest']:.3g} in a logit)."
        )


def _parity(found: dict[str, Any]) -> str:
    """Say what the comparison with the trained model found."""
    if "shown" in found:
        shown = found["shown"]
        rows = "rows of the training" if shown["source"] == "training" else "made-up rows"
        return f"Opened by {found['opened_by']}: {shown['same']} of {shown['of']} {rows} are answered alike."
    ids, top, ends = found["token_ids"], found["top_1"], found["endings"]["written"]
    prompts = "prompts of the training" if found["prompts"]["source"] == "training" else "general prompts"
    ended = f", {ends['same']} of {ends['of']} answers end alike" if ends["of"] else ""
    return (
        f"Opened by {found['opened_by']}: {ids['identical']} of {ids['of']} {prompts} are the same tokens, the first "
        f"choice is the same at {top['same']} of {top['of']} places, divergence {found['divergence']['mean']:.2g} nats"
        f"{ended}."
    )
