"""An evaluation as tables: what was measured, side by side, some answers, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from tunesmith.cli.terminal import console, printable

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.spec.evaluation import Answered, Confusion, EvaluationResult, Group, Measurement

SHOWN: Final = 3
"""Answers to rows that are shown; those to prompts are shown all."""
SQUARE: Final = 12
"""Classes of which it is shown what each was taken for, at most; evaluation.json has it of more."""
PARTS: Final = 40
"""Figures of single classes that are shown, at most; evaluation.json has more of them."""
_COLOURS: Final = {"better": "green", "worse": "red", "cannot tell": "yellow"}


def show(result: EvaluationResult) -> None:
    """Print an evaluation."""
    screen = console()
    for group in result.groups:
        answered = f", {group.answered} of them answered in full" if group.answered else ""
        click.echo(printable(f"{group.rows} of {group.found} {group.source}{answered}"))
        if group.measurements:
            screen.print(_table(result, group))
        left_out = len(group.measurements) - len(_shown(group))
        if left_out:
            click.echo(f"evaluation.json has {left_out} further figures, of each class.")
        if group.confusion is not None and len(group.confusion.classes) <= SQUARE:
            click.echo(f"\nWhat the {group.name} of each class (lines) were taken for:")
            screen.print(_confusion(group.confusion))
        for answer in group.answers if group.name == "prompts" else group.answers[:SHOWN]:
            _show_answer(result, answer)
        click.echo()
    for note in result.notes:
        click.echo(printable(f"Note: {note}"))
    size = result.size
    click.echo(
        f"Parameters: {size.total_parameters:,}, of them trained {size.trainable_parameters:,}; "
        f"{size.model_size_mb:,.0f} MiB in {result.precision}."
    )
    colour = _COLOURS[result.verdict] if result.verdict is not None else None
    by = f" (by {result.verdict_by.replace('_', ' ')})" if result.verdict_by else ""
    click.secho(f"Verdict{by}: {result.verdict or 'none'}", fg=colour, bold=True)
    click.echo(printable(result.why))


def _table(result: EvaluationResult, group: Group) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    compared = any(each.baseline is not None for each in group.measurements)
    table.add_column(printable(result.model), justify="right", overflow="fold")
    if compared:
        table.add_column(printable(result.baseline or ""), justify="right", overflow="fold")
        table.add_column(f"difference, {result.confidence:.0%} interval", justify="right")
        table.add_column("verdict", no_wrap=True)
    for each in _shown(group):
        cells: list[str | Text] = [each.metric.replace("_", " "), _number(each.model)]
        if compared:
            cells += [_number(each.baseline), _interval(each)]
            cells.append(Text(each.verdict or "", _COLOURS.get(each.verdict or "", "")))
        table.add_row(*cells)
    return table


def _shown(group: Group) -> list[Measurement]:
    """Return what the table shows; a name with a blank is of one class."""
    whole = [each for each in group.measurements if " " not in each.metric]
    return group.measurements if len(group.measurements) - len(whole) <= PARTS else whole


def _confusion(found: Confusion) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in found.classes:
        table.add_column(printable(name), justify="right", overflow="fold")
    for name, counts in zip(found.classes, found.counts, strict=True):
        table.add_row(printable(name), *(f"{count:,}" for count in counts))
    return table


def _interval(each: Measurement) -> str:
    if each.difference is None:
        return ""
    return f"{_number(each.difference, sign=True)} [{_number(each.low, sign=True)}, {_number(each.high, sign=True)}]"


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return ""
    return format(value, f"{'+' if sign else ''}{',.3f' if abs(value) < 1000 else '.3g'}")


def _show_answer(result: EvaluationResult, answer: Answered) -> None:
    rows = [("Prompt", answer.prompt), ("Expected", answer.expected), (result.baseline or "", answer.baseline)]
    width = max(len(label) for label, _ in [*rows, (result.model, "")])
    for label, text in [*rows, (result.model, answer.model)]:
        if text is not None:
            click.echo(printable(f"  {label:<{width}}  {' '.join(text.split())}"))
    click.echo()
