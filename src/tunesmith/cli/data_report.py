"""What a check of data found, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunesmith.cli.terminal import console, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from tunesmith.data.check import Report
    from tunesmith.data.ledger import Entry, Ledger

WIDE: Final = 100
"""Columns from which on each class of tokens is explained beside its number."""
SHOWN_CLASSES: Final = 20
"""Classes of labelled texts that are listed; ``--json`` has all."""
MEANINGS: Final = {
    "trained": "learned",
    "context": "read, not learned",
    "repeated": "context that is read once more, for a further answer",
    "truncated": "cut off at the length",
    "dropped": "in rows with nothing left to learn",
    "duplicate": "in rows that are left out as duplicates",
    "leaked": "in rows that are left out, because their twin is held out",
}
"""What the classes of the ledger mean."""


def print_report(report: Report) -> None:
    """Print a report: with tables on a terminal, in plain columns elsewhere."""
    screen = console()
    for name, value in _facts(report):
        screen.print(f"{name:<12}{value}", soft_wrap=not screen.is_terminal)
    if report.labels:
        _print_columns("classes", _labels(report), screen)
    if report.ledger and report.unit == "tokens":
        _print_ledger(report.ledger, screen)
    for warning in report.warnings:
        _print_line(f"Warning: {printable(warning)}", screen, "yellow")
    if report.refusal:
        _print_line(f"refused     {printable(report.refusal)}", screen, "red")
    _print_faults(report, screen)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    formats = ", ".join(f"{count:,} {name}" for name, count in report.by_format.items())
    yield "rows", f"{report.rows:,}{f' ({formats})' if formats else ''}"
    if report.media:
        yield "files", ", ".join(f"{count:,} {name}" for name, count in report.media.items())
    if not report.media or report.unit != "characters":
        yield "lengths", ", ".join(f"{name} {value:,}" for name, value in report.lengths.items()) + f" {report.unit}"
    yield "split", ", ".join(f"{count:,} {side}" for side, count in report.sides.items() if count) or "no row"
    yield "duplicates", f"{report.duplicates:,}"
    overlap = f"{report.leaked:,}  (left out of training, because their twin would be held out)"
    yield "leaked", overlap + (f"; {report.shared:,} test rows also validate" if report.shared else "")
    yield "given away", f"{report.given_away:,}  (the answer stands word for word in what comes before it)"
    if report.given_away:
        more = ", ..." if report.given_away > len(report.given_away_first[:3]) else ""
        yield "", printable(", ".join(report.given_away_first[:3]) + more)


def _labels(report: Report) -> list[tuple[str, ...]]:
    total = sum(report.labels.values())
    listed = list(report.labels.items())[:SHOWN_CLASSES]
    rows: list[tuple[str, ...]] = [
        (printable(name), f"{count:,}", f"{100 * count / total:.1f} %") for name, count in listed
    ]
    more = len(report.labels) - len(listed)
    return [*rows, (f"... and {more:,} more", "", "")] if more else rows


def _print_ledger(ledger: Ledger, screen: Console) -> None:
    many = len(ledger.sources) > 1
    for entry in ledger.sources if many else ():
        shares = ", ".join(f"{share:.1f} % {name}" for name, share in entry.shares().items() if share)
        _print_line(f"  {printable(entry.name)}: {entry.tokens:,} tokens, {shares}", screen)
    wide = not screen.is_terminal or screen.width >= WIDE
    _print_columns("tokens", list(_classes(ledger.total, wide=wide)), screen)


def _classes(entry: Entry, *, wide: bool) -> Iterator[tuple[str, ...]]:
    for name, share in entry.shares().items():
        row = (name, f"{getattr(entry, name):,}", f"{share:.1f} %")
        yield (*row, MEANINGS[name]) if wide else row
    total = ("all", f"{entry.tokens:,}", f"{sum(entry.shares().values()):.1f} %")
    yield (*total, "") if wide else total


def _print_columns(title: str, rows: Sequence[tuple[str, ...]], screen: Console) -> None:
    """Print rows of name, number, share and perhaps a meaning: a table on a terminal, plain columns elsewhere."""
    if not screen.is_terminal:
        names, numbers = (max(len(row[column]) for row in rows) for column in (0, 1))
        screen.print(title)
        for name, number, share, *rest in rows:
            line = f"  {name:<{names}}  {number:>{numbers}}  {share:>7}  {''.join(rest)}"
            screen.print(line.rstrip(), soft_wrap=True)
        return
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    for _ in rows[0][1:3]:
        table.add_column(justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == "all" else None)
    screen.print(table)


def _print_faults(report: Report, screen: Console) -> None:
    faults = report.faults
    kinds = ", ".join(f"{count:,} {code}" for code, count in faults.by_code.items())
    _print_line(
        f"faults      {faults.count:,}{f' ({kinds})' if kinds else ''}", screen, "red" if faults.count else "green"
    )
    for fault in faults.first:
        _print_line(f"  {printable(fault.message)}", screen)
    if faults.file:
        more = f"... and {faults.count - len(faults.first):,} more. " if faults.count > len(faults.first) else ""
        _print_line(f"  {more}All of them: {printable(str(faults.file))}", screen)


def _print_line(text: str, screen: Console, style: str | None = None) -> None:
    screen.print(text, style=style if screen.is_terminal else None, soft_wrap=not screen.is_terminal)
