"""``tunesmith export``: what training left, as files that other tools open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tunesmith.service.jobs.export import Source

OUTPUT = click.option(
    "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="New or empty folder for it."
)
RUN = click.option("--run", "name", metavar="RUN", help="A finished or paused run, by its id or the beginning of it.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Write the result of a run as files that other tools open."""


@command.command("adapter")
@RUN
@OUTPUT
@click.option("--zip", "zipped", is_flag=True, help="Write one .zip instead of the files.")
@JSON
def adapter_command(*, name: str | None, output: Path, zipped: bool, as_json: bool) -> None:
    """Write the adapter of a run: its result, or its best checkpoint if it was paused.

    \b
    tunesmith export adapter --run faq --output ./faq-lora
    """
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs.export import export_adapter

    source = _source(name, None)
    with _telling(source.name, as_json) as tell:
        summary = export_adapter(source, output, current_settings(), tell, zipped=zipped)
    _show(summary, as_json)


@command.command("merged")
@RUN
@click.option("--adapter", type=click.Path(path_type=Path), metavar="DIR", help="Folder of an adapter, instead.")
@click.option("--model", metavar="MODEL", help="Its base, where the adapter names none or it has moved.")
@OUTPUT
@click.option("--dtype", metavar="FORMAT", help="bf16, fp16 or fp32. Default: that of the base.")
@JSON
def merged_command(
    *, name: str | None, adapter: Path | None, model: str | None, output: Path, dtype: str | None, as_json: bool
) -> None:
    """Merge an adapter into its base, at the base's full precision, and write a whole model.

    The merged model is compared with base and adapter before it is written.

    \b
    tunesmith export merged --run faq --output ./faq-model
    """
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs.export import export_merged

    source, format = _source(name, adapter), _format(dtype)
    with _telling(source.name, as_json) as tell:
        summary = export_merged(source, output, current_settings(), tell, model=model, dtype=format)
    _show(summary, as_json)


def _source(name: str | None, adapter: Path | None) -> Source:
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs.export import Source
    from tunesmith.service.jobs.index import find

    if (name is None) == (adapter is None):
        raise click.UsageError("Name what to export: --run RUN, or --adapter DIR (merged only).")
    return Source.of_run(find(current_settings(), name)) if name is not None else Source.of_folder(Path(str(adapter)))


def _format(dtype: str | None) -> str | None:
    from tunesmith.spec.errors import UnknownName
    from tunesmith.spec.recipe import PRECISION_NAMES, Precision

    if dtype is None:
        return None
    name = PRECISION_NAMES.get(dtype, dtype)
    if name not in list(Precision):
        raise UnknownName("number format", dtype, [*Precision, *PRECISION_NAMES])
    return name


def _telling(name: str, quiet: bool) -> Any:
    from tunesmith.cli.progress import pulling

    return pulling(name, quiet=quiet, doing="Exporting")


def _show(summary: dict[str, Any], as_json: bool) -> None:
    from tunesmith.cli.terminal import printable

    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(printable(f"Written to {summary['output']}: {', '.join(summary['files'])}"))
    if found := summary.get("merged_to_adapter"):
        click.echo(f"Merged and adapter differ by at most {found['relative']:.2%} of the largest logit.")
    if found := summary.get("trained_base_to_merged"):
        click.echo(
            "From the model in fewer bits that was trained, the merged one differs by "
            f"{found['divergence']:.3g} nats a token (at most {found['largest']:.3g} in a logit)."
        )
