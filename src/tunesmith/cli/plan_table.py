"""A plan as people read it: what was chosen and why, what it takes, what to beware of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunesmith.cli.terminal import printable
from tunesmith.modalities import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from tunesmith.spec.plan import Decision, MemoryEstimate, Plan

WIDE: Final = 100
"""Columns from which on a terminal has room for the table; below, each reason stands under its value."""
GIB: Final = 2**30
_PARTS: Final = ("weights", "gradients", "optimizer", "activations", "logits", "overhead")

Row = tuple[str, str, str]
"""Setting, value, reason."""
HEAD: Final[Row] = ("field", "value", "why")


def print_plan(plan: Plan, console: Console) -> None:
    """Print a plan: a table on a wide terminal, a list on a narrow one, plain columns elsewhere."""
    rows = [_row(decision) for decision in plan.decisions if decision.field != "model.source"]
    console.print(_heading(plan), style="bold" if console.is_terminal else None, soft_wrap=True)
    if not console.is_terminal:
        for line in columns(rows):
            console.print(line, soft_wrap=True)
    elif console.width >= WIDE:
        _print_table(rows, console)
    else:
        _print_list(rows, console)
    console.print(memory_line(plan.memory), soft_wrap=not console.is_terminal)
    console.print(time_line(plan), soft_wrap=not console.is_terminal)
    for warning in plan.warnings:
        style = "yellow" if console.is_terminal else None
        console.print(f"Warning: {printable(warning)}", style=style, soft_wrap=not console.is_terminal)


def columns(rows: Sequence[Row]) -> Iterator[str]:
    """Yield rows as plain lines under each other, with a head."""
    fields = max(len(field) for field, _, _ in (HEAD, *rows))
    values = max(len(value) for _, value, _ in (HEAD, *rows) if len(value) <= 24)
    for field, value, reason in (HEAD, *rows):
        yield f"  {field:{fields}}  {value:{values}}  {reason}".rstrip()


def memory_line(memory: MemoryEstimate) -> str:
    """Say how much memory is needed of how much, and for what."""
    parts = ", ".join(f"{name} {_size(getattr(memory, name))}" for name in _PARTS if getattr(memory, name) >= 2**20)
    verdict = "" if memory.fits else "; it does not fit"
    return f"Memory  about {_size(memory.total)} of {_size(memory.available)}{verdict} ({parts})"


def time_line(plan: Plan) -> str:
    """Say how many steps the run takes, and how long."""
    pace = _pace(plan)
    if plan.steps is None or plan.seconds is None:
        return f"Time    no end: it goes on until it is stopped, at an estimated {pace}"
    return f"Time    about {duration(plan.seconds)}: {plan.steps:,} steps at an estimated {pace}"


def _pace(plan: Plan) -> str:
    """Say how fast the run is reckoned to be: in tokens, or in whole pictures, sounds or pairs."""
    tokens, counts = plan.execution.tokens_per_second, counted(plan)
    if counts == "token":
        return f"{tokens:,.0f} tokens/s"
    return f"{tokens / max(1.0, plan.data.mean_length):,.3g} {counts}s/s"


def duration(seconds: float) -> str:
    """Round a time to what an estimate is worth."""
    if seconds < 90:
        return f"{max(1, round(seconds / 10)) * 10} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86_400:.1f} days"


def _heading(plan: Plan) -> str:
    rows = f"{'' if plan.data.exact else 'about '}{plan.data.rows:,} rows"
    size = f"{_count(plan.model.parameters)} parameters"
    data = ", ".join(dataset.uri for dataset in plan.spec.datasets)
    return printable(f"Plan    {plan.spec.task} with {plan.model.source} ({size}) on {data} ({rows})")


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:,.0f}M" if parameters >= 10**6 else f"{parameters:,}"


def _row(decision: Decision) -> Row:
    return decision.field.removeprefix("recipe."), printable(_value(decision.value)), printable(decision.reason)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(str(entry) for entry in value)
    return str(value)


def _print_table(rows: Sequence[Row], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(HEAD[0], style="cyan", no_wrap=True)
    table.add_column(HEAD[1], style="bold", max_width=30)
    table.add_column(HEAD[2], style="dim")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_list(rows: Sequence[Row], console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for field, value, reason in rows:
        console.print(Text.assemble((field, "cyan"), " ", (value, "bold")))
        console.print(Padding(Text(reason, style="dim"), (0, 0, 0, 2)))


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"
