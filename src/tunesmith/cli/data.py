"""``tunesmith data``: what is wrong with data, and what a model would learn from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.text import Text

    from tunesmith.data.check import Report
    from tunesmith.data.ledger import Ledger
    from tunesmith.data.token_rows import EncodedRow
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.spec.errors import RowFault
    from tunesmith.spec.job import DatasetRef

FAULTY: Final = 65
"""Exit status of data with faults, or with no usable row."""
SHOWN_FAULTS: Final = 20
"""Faults printed; all of them are written to a file."""

_format = click.option("--dataset-format", "name", default="auto", metavar="NAME", help="Format of all rows.")
_columns = click.option("--columns", metavar="WANTED=YOURS,...", help="Columns to read under another name.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Check data, and see which tokens are trained."""


@command.command()
@click.argument("paths", nargs=-1, required=True, metavar="DATA...")
@click.option("--model", metavar="NAME", help="Also count the tokens that this model would see.")
@_format
@_columns
@_json
def check(*, paths: tuple[str, ...], model: str | None, name: str, columns: str | None, as_json: bool) -> int:
    """Find the faults of files, folders, quoted globs or pulled data sets, row by row.

    Exit status 65 when there are faults, or no row that can be used.
    """
    from tunesmith.data.check import check as run_check

    datasets = _datasets(paths, name, columns)
    report = run_check(datasets, _encoder(model) if model else None)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        _print_report(report)
    return FAULTY if report.faults or not report.rows else 0


@command.command()
@click.argument("path", metavar="DATA")
@click.option("--model", required=True, metavar="NAME", help="Whose tokenizer and chat template to use.")
@click.option("--rows", default=3, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
@click.option(
    "--train-on", default="assistant", show_default=True, type=click.Choice(["assistant", "all"]), help="What to train."
)
@click.option("--chat-template", type=click.Path(path_type=Path), metavar="FILE", help="Template instead of its own.")
@_format
@_columns
@_json
def preview(
    *,
    path: str,
    model: str,
    rows: int,
    train_on: str,
    chat_template: Path | None,
    name: str,
    columns: str | None,
    as_json: bool,
) -> int:
    """Show the first rows as a model would see them; what is trained is green, or in [[ ]] without colour."""
    from tunesmith.spec.errors import NoUsableRow

    datasets = _datasets([path], name, columns)
    encoder = _encoder(model, train_on, chat_template)
    shown: list[tuple[str, list[EncodedRow]]] = []
    faults: list[RowFault] = []
    for found in _encoded(datasets, encoder):
        if isinstance(found, tuple):
            shown.append(found)
        else:
            faults.append(found)
        if len(shown) == rows:
            break
    if not shown:
        raise NoUsableRow(path, len(faults), faults[0].message if faults else "")
    if as_json:
        click.echo(json.dumps({"rows": [_as_dict(where, sequences, encoder) for where, sequences in shown]}))
    else:
        _print_rows(shown, encoder)
    return 0


def _datasets(paths: Sequence[str], name: str, columns: str | None) -> list[DatasetRef]:
    from tunesmith.cli.field_option import FieldType
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.models.resolve import resolve_data
    from tunesmith.spec.job import DatasetRef

    settings = current_settings()
    renamed = FieldType(DatasetRef.model_fields["columns"]).convert(columns, None, None) if columns else {}
    return [DatasetRef(uri=resolve_data(path, settings), format=name, columns=renamed) for path in paths]


def _encoder(model: str, train_on: str = "assistant", chat_template: Path | None = None) -> TextEncoder:
    from tunesmith.cli.terminal import current_settings
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.service.models.resolve import resolve_model
    from tunesmith.spec.job import ModelRef

    folder = resolve_model(ModelRef(source=model), current_settings())
    return TextEncoder(folder, train_on="all" if train_on == "all" else "assistant", chat_template=chat_template)


# --- check ---


def _print_report(report: Report) -> None:
    formats = ", ".join(f"{count:,} {name}" for name, count in sorted(report.by_format.items()))
    lengths = ", ".join(f"{name} {value:,}" for name, value in report.lengths.items())
    click.echo(f"rows        {report.rows:,}{f' ({formats})' if formats else ''}")
    click.echo(f"lengths     {lengths} {report.unit}")
    click.echo(f"duplicates  {report.duplicates:,}")
    click.echo(f"leaked      {report.leaked:,}  (left out of training, because their twin would validate)")
    if report.ledger:
        _print_ledger(report.ledger)
    click.echo(f"faults      {len(report.faults):,}")
    _print_faults(report.faults)


def _print_ledger(ledger: Ledger) -> None:
    from tunesmith.cli.terminal import printable

    for entry in [*ledger.sources, ledger.total] if len(ledger.sources) > 1 else [ledger.total]:
        shares = ", ".join(f"{share:.1f} % {name}" for name, share in entry.shares().items() if share)
        name = "" if len(ledger.sources) == 1 else f"  {printable(entry.name)}"
        click.echo(f"tokens      {entry.tokens:,}: {shares}{name}")


def _print_faults(faults: Sequence[RowFault]) -> None:
    from tunesmith.cli.terminal import printable

    for fault in faults[:SHOWN_FAULTS]:
        click.echo(f"  {printable(fault.message)}")
    if not faults:
        return
    more = f"... and {len(faults) - SHOWN_FAULTS:,} more. " if len(faults) > SHOWN_FAULTS else ""
    click.echo(f"  {more}All of them: {_write_faults(faults)}")


def _write_faults(faults: Sequence[RowFault]) -> Path:
    """Write every fault as a line of JSON and return the file; the same faults give the same file."""
    import hashlib

    from tunesmith.cli.terminal import current_settings
    from tunesmith.data.faults import as_dict

    content = "".join(json.dumps(as_dict(fault)) + "\n" for fault in faults)
    folder = current_settings().cache_dir / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:12]}.jsonl"
    path.write_text(content)
    return path


# --- preview ---


def _encoded(datasets: Sequence[DatasetRef], encoder: TextEncoder) -> Iterator[tuple[str, list[EncodedRow]] | RowFault]:
    from tunesmith.data.mixture import read
    from tunesmith.spec.errors import RowFault

    for example in read(datasets):
        if isinstance(example, RowFault):
            yield example
            continue
        try:
            yield str(example.where), encoder(example)
        except RowFault as fault:
            yield fault


def _print_rows(rows: Sequence[tuple[str, list[EncodedRow]]], encoder: TextEncoder) -> None:
    from tunesmith.cli.terminal import console, printable

    screen = console()
    colours = screen.is_terminal and not screen.no_color
    for where, sequences in rows:
        for number, row in enumerate(sequences, 1):
            part = f", part {number} of {len(sequences)}" if len(sequences) > 1 else ""
            head = f"{where}{part}: {len(row.ids):,} tokens, {sum(row.mask):,} trained"
            screen.print(printable(head), style="bold", soft_wrap=True)
            screen.print(_coloured(row, encoder) if colours else printable(_bracketed(row, encoder)), soft_wrap=True)


def _as_dict(where: str, sequences: Sequence[EncodedRow], encoder: TextEncoder) -> dict[str, Any]:
    rendered = [{"tokens": _tokens(row, encoder), "text": _bracketed(row, encoder)} for row in sequences]
    return {"where": where, "sequences": rendered}


def _tokens(row: EncodedRow, encoder: TextEncoder) -> list[dict[str, Any]]:
    return [
        {"id": token, "text": encoder.spell([token]), "trained": trained}
        for token, trained in zip(row.ids, row.mask, strict=True)
    ]


def _stretches(row: EncodedRow, encoder: TextEncoder) -> Iterator[tuple[str, bool]]:
    """Yield the text of neighbours that are trained, or are not."""
    from itertools import groupby

    for trained, places in groupby(range(len(row.ids)), key=lambda place: row.mask[place]):
        yield encoder.spell([row.ids[place] for place in places]), trained


def _bracketed(row: EncodedRow, encoder: TextEncoder) -> str:
    return "".join(f"[[{text}]]" if trained else text for text, trained in _stretches(row, encoder))


def _coloured(row: EncodedRow, encoder: TextEncoder) -> Text:
    from rich.text import Text

    from tunesmith.cli.terminal import printable

    text = Text()
    for stretch, trained in _stretches(row, encoder):
        text.append(printable(stretch), style="green" if trained else "dim")
    return text
