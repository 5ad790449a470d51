"""``tunesmith data``: what is wrong with data, and what a model would learn from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tunesmith.cli.field_option import FieldOption, FieldType, field_option
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec
from tunesmith.spec.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.service.datasets.encoder import Chosen
    from tunesmith.service.datasets.preview import Shown
    from tunesmith.spec.errors import RowFault

FAULTY: Final = 65
"""Exit status of data with faults, with no usable row, or with nothing to train."""

_TRAIN_ON: Final = click.Choice(["assistant", "all"])
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


def _reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say how data is read and rendered, named as ``train`` names them."""
    fields = DatasetRef.model_fields
    uri = FieldType(fields["uri"], metavar="DATA")
    options = [
        field_option("format", fields["format"], ["--dataset-format"], "Data"),
        field_option("columns", fields["columns"], ["--columns"], "Data"),
        field_option("limit", fields["limit"], ["--max-examples"], "Data"),
        field_option("length", Recipe.model_fields["length"], ["--max-seq-length", "--max-length"], "Data"),
        FieldOption(["--train-on"], section="Data", type=_TRAIN_ON, default="assistant", help="What is trained."),
        FieldOption(["--chat-template"], section="Data", type=_FILE, help="Template instead of the model's own."),
        FieldOption(["as_json", "--json"], section="Command", is_flag=True, help="Print JSON."),
    ]
    if function.__name__ == "check":
        evaluation = Evaluation.model_fields
        options += [
            field_option("split", evaluation["validation_split"], ["--validation-split"], "Data"),
            field_option("test_split", evaluation["test_split"], ["--test-split"], "Data"),
            *(
                FieldOption([f"--{side}-data"], section="Data", multiple=True, type=uri, help=f"Data for {side} alone.")
                for side in ("validation", "test")
            ),
            field_option("seed", JobSpec.model_fields["seed"], ["--seed"], "Data"),
        ]
    for option in reversed(options):
        function.__dict__.setdefault("__click_params__", []).append(option)
    return function


@click.group()
def command() -> None:
    """Check data, and see which tokens are trained."""


@command.command()
@click.argument("paths", nargs=-1, required=True, metavar="DATA...")
@click.option("--model", metavar="NAME", help="Also count the tokens that this model would see.")
@_reading
@click.option("--drop-duplicates", is_flag=True, help="Count duplicates as left out.")
@click.option("--strict", is_flag=True, help="End at the first fault.")
@click.option("faults_file", "--faults", type=_FILE, metavar="FILE", help="Where all faults are written.")
def check(*, paths: tuple[str, ...], model: str | None, as_json: bool, strict: bool, **flags: Any) -> int:
    """Find the faults of files, folders, quoted globs or pulled data sets, row by row.

    Exit status 65 when there are faults, no row that can be used, or nothing to train.
    """
    from tunesmith.cli.data_report import print_report
    from tunesmith.data import check as checking

    datasets = _datasets(paths, flags)
    chosen = _chosen(model, datasets, flags) if model else None
    report = checking.check(
        datasets,
        chosen.encoder if chosen else None,
        _settings(flags, chosen),
        strict=strict,
        faults_file=flags["faults_file"] or _faults_file(datasets, model),
    )
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_report(report)
    return 0 if report.clean else FAULTY


@command.command()
@click.argument("path", metavar="DATA")
@click.option("--model", required=True, metavar="NAME", help="Whose tokenizer and chat template to use.")
@click.option("-n", "--rows", default=3, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
@_reading
def preview(*, path: str, model: str, rows: int, as_json: bool, **flags: Any) -> int:
    """Show the first rows as a model would see them; what is trained is green, or in [[ ]] without colour."""
    from tunesmith.cli.data_preview import print_rows
    from tunesmith.service.datasets.described import folders_of
    from tunesmith.service.datasets.preview import as_dict, encoded
    from tunesmith.spec.errors import NoUsableRow, RowFault

    datasets = _datasets([path], flags)
    encoder, folders = _chosen(model, datasets, flags).encoder, folders_of(datasets[0].uri)
    shown: list[Shown] = []
    faults: list[RowFault] = []
    for found in encoded(datasets, encoder, flags["length"]):
        if isinstance(found, RowFault):
            faults.append(found)
        else:
            shown.append(found)
        if len(shown) == rows:
            break
    if not shown:
        raise NoUsableRow(path, len(faults), faults[0].message if faults else "")
    if as_json:
        click.echo(json.dumps({"rows": [as_dict(row, encoder, folders) for row in shown]}))
    else:
        print_rows(shown, encoder, folders)
    return 0


def _datasets(paths: tuple[str, ...] | list[str], flags: dict[str, Any]) -> list[DatasetRef]:
    """Return the data sets of a command, divided as a run would divide them; a limit holds for those that train."""
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.models.resolve import resolve_datasets

    shape = {name: flags[name] for name in ("format", "columns") if flags[name] is not None}
    written = [DatasetRef(uri=path, limit=flags["limit"], **shape) for path in paths]
    for side in ("validation", "test"):
        for path in flags.get(f"{side}_data") or ():
            written.append(DatasetRef.model_validate({"uri": path, side: True, **shape}))
    return resolve_datasets(written, current_settings()).datasets


def _settings(flags: dict[str, Any], chosen: Chosen | None) -> Any:
    """Return how the data would be used: as the flags say, and within what the model can see.

    Raises:
        BadValue: a typed length is more than that.
    """
    from tunesmith.data.check import Settings
    from tunesmith.spec.errors import BadValue

    names = ("length", "split", "test_split", "drop_duplicates", "seed")
    asked = Settings(**{name: flags[name] for name in names if flags[name] is not None})
    if chosen is None:
        return asked
    if chosen.longest is not None and (asked.length or 0) > chosen.longest:
        raise BadValue("--max-seq-length", asked.length, f"at most {chosen.longest}, which is all the model can see")
    return chosen.within(asked)


def _faults_file(datasets: list[DatasetRef], model: str | None) -> Path:
    """Return where the faults of such a check are kept: the same check writes the same file anew."""
    import hashlib

    from tunesmith.cli.terminal import current_settings

    asked = json.dumps([str(Path.cwd()), model, [dataset.model_dump() for dataset in datasets]])
    name = hashlib.sha256(asked.encode()).hexdigest()[:12]
    return current_settings().home / "reports" / f"faults-{name}.jsonl"


def _chosen(model: str, datasets: list[DatasetRef], flags: dict[str, Any]) -> Chosen:
    from tunesmith.service.datasets.encoder import encoder_of

    template = flags["chat_template"]
    options = {"train_on": flags["train_on"], "chat_template": None if template is None else str(template)}
    return encoder_of(_folder(model), model, datasets, **options)


def _folder(model: str) -> Path:
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.models.resolve import resolve_model
    from tunesmith.spec.job import ModelRef

    return resolve_model(ModelRef(source=model), current_settings())
