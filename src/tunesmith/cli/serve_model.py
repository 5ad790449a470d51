"""``tunesmith serve-model``: one model on one port, with a page to talk to it; what `start.sh` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tunesmith.cli.serve import given


@click.command()
@click.option(
    "--model", metavar="MODEL", help="Model directory, folder, pulled name or hub id. Default: the adapter's base."
)
@click.option(
    "--load-lora",
    "--adapter",
    "adapter",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of a trained adapter. Default: ./lora of a model directory, where there is one.",
)
@click.option("--no-lora", is_flag=True, help="Serve a model directory's model as it was before training.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--trusted-network",
    metavar="HOST,...",
    multiple=True,
    help="Host names under which anybody may call without a key, while there are no keys.",
)
@click.option(
    "--rate-limit", type=click.IntRange(0), default=60, help="Requests a minute of one address; 0 sets no limit."
)
@click.option("--dtype", metavar="FORMAT", default="auto", help="Number format: auto, bf16, fp16 or fp32.")
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu or cuda.")
@click.option("--cpu-offload", is_flag=True, help="Compute on the processor where the GPU has no room for the model.")
@click.option("--stream", is_flag=True, help="Have /generate answer piece by piece unless a request says otherwise.")
@click.option(
    "--ui-file", type=click.Path(path_type=Path), metavar="FILE", help="HTML file to show at / instead of ours."
)
def command(
    *,
    model: str | None,
    adapter: Path | None,
    no_lora: bool,
    dtype: str,
    device: str,
    cpu_offload: bool,
    stream: bool,
    ui_file: Path | None,
    **typed: Any,
) -> None:
    """Serve one model, with the adapter that was trained on it, until Ctrl-C.

    \b
    tunesmith serve-model --model ~/LLM/models/HuggingFaceTB_SmolLM2-135M-Instruct
    tunesmith serve-model --adapter ./lora --port 8001
    """
    if model is None and adapter is None:
        raise click.UsageError("Name who answers: --model MODEL, or --load-lora DIR.")
    if no_lora and adapter is not None:
        raise click.UsageError("--no-lora and --load-lora contradict each other. Give one of them.")
    from tunesmith.cli.terminal import printable, typed_settings, warn_of_unknown_variables
    from tunesmith.service.serving.standalone import named, standalone
    from tunesmith.settings import load_settings

    warn_of_unknown_variables()
    settings = load_settings(**typed_settings(), **given(typed))
    wanted = named(model, adapter, trained=not no_lora)
    about = standalone(settings, wanted, device=_device(device), precision=_format(dtype), offload=cpu_offload)
    from tunesmith.api.model_server.server import serve

    serve(settings, about, lambda line: click.echo(printable(line)), streams=stream, page=ui_file)


def _device(name: str) -> Any:
    """Return the device that is meant; the numbers of GPUs are CUDA_VISIBLE_DEVICES' business."""
    from tunesmith.spec.errors import UnknownName
    from tunesmith.spec.job import Device

    plain = {"gpu": "cuda", "cuda:0": "cuda"}.get(name.lower(), name.lower())
    if plain not in list(Device):
        raise UnknownName("device", name, Device)
    return Device(plain)


def _format(dtype: str) -> str | None:
    from tunesmith.spec.errors import UnknownName
    from tunesmith.spec.recipe import PRECISION_NAMES, Precision

    name = PRECISION_NAMES.get(dtype.lower(), dtype.lower())
    if name == "auto":
        return None
    if name not in list(Precision):
        raise UnknownName("number format", dtype, ["auto", *Precision, *PRECISION_NAMES])
    return name
