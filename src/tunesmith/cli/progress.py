"""Shows a run while it goes: a live bar on a terminal, plain lines elsewhere, or its events as JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click

from tunesmith.cli.figures import Figures, clock, line_of, phase_line, sample_lines
from tunesmith.cli.terminal import console as make_console
from tunesmith.cli.terminal import has_unicode
from tunesmith.spec.events import Event, Phase, Sample, Step

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, Group, RenderableType

    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.status import RunStatus

STEPS_BETWEEN: Final = 10
"""A plain step line comes at least this many steps after the last one, ..."""
SECONDS_BETWEEN: Final = 10.0
"""... or this many seconds."""

ECHO: Final = "^C^C"
"""What the terminal writes at the end of the bar's line; it must not begin another line."""


class View(Protocol):
    """Something that shows events as they come."""

    def show(self, event: Event, figures: Figures) -> None:
        """Show one event; ``figures`` know it already."""
        ...

    def notice(self, text: str) -> None:
        """Show a word of our own. Called from a signal handler, so it may not touch buffered output."""
        ...


def show_run(run: RunFolder, *, json_lines: bool = False) -> RunStatus:
    """Show a run until it is over; return how it stands then."""
    from tunesmith.runs.status import status

    with ExitStack() as stack:
        watch(run, JsonLines() if json_lines else view_for_terminal(stack))
    return status(run)


def watch(run: RunFolder, view: View) -> Figures:
    """Feed a run's events to a view until the run is over; return what they add up to."""
    from tunesmith.service.jobs.follow import follow

    figures = Figures()
    for event in follow(run):
        figures.take(event)
        view.show(event, figures)
    return figures


def view_for_terminal(stack: ExitStack, *, console: Console | None = None) -> View:
    """Return the live view on a terminal, the plain one elsewhere; the stack ends it."""
    console = console or make_console()
    if console.is_terminal and not console.is_dumb_terminal:
        return stack.enter_context(LiveView(console))
    return PlainView(console)


@contextmanager
def pulling(name: str, *, quiet: bool = False, doing: str = "Pulling") -> Iterator[Callable[[str, float | None], None]]:
    """Show the stages of a pull; give what is to be told of each stage and how far it is."""
    figures = Figures()
    with ExitStack() as stack:
        view = Silent() if quiet else view_for_terminal(stack)

        def tell(stage: str, done: float | None) -> None:
            event = Event(seq=1, time=0.0, body=Phase(name=f"{doing} {name}: {stage}", done=done))
            figures.take(event)
            view.show(event, figures)

        yield tell


class Silent:
    """Shows nothing."""

    def show(self, event: Event, figures: Figures) -> None:
        """Leave the event unsaid."""

    def notice(self, text: str) -> None:
        """Say it on stderr, where it disturbs no program that reads."""
        _write_error(text)


class JsonLines(Silent):
    """Each event as its line of ``events.jsonl``."""

    def show(self, event: Event, figures: Figures) -> None:
        """Print the event."""
        click.echo(event.line())


class PlainView(Silent):
    """One line for each event worth telling, and now and then one for the steps."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._unicode = has_unicode()
        self._phase = ""
        self._step = 0
        self._told_at = 0.0

    def show(self, event: Event, figures: Figures) -> None:
        """Print the event's line, if it has one."""
        body = event.body
        if isinstance(body, Step):
            self._show_step(event.time, body, figures)
        elif isinstance(body, Phase):
            self._show_phase(body)
        elif isinstance(body, Sample):
            print_sample(body, self._console)
        elif line := line_of(body, unicode=self._unicode):
            self._say(line)

    def _show_step(self, time: float, body: Step, figures: Figures) -> None:
        first = not self._told_at
        due = body.step - self._step >= STEPS_BETWEEN or time - self._told_at >= SECONDS_BETWEEN
        last = figures.total_steps is not None and body.step >= figures.total_steps
        if first or due or last:
            self._step, self._told_at = body.step, time
            self._say(figures.step_line())

    def _show_phase(self, body: Phase) -> None:
        if body.name != self._phase:
            self._phase = body.name
            self._say(phase_line(body))

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
        sys.stdout.flush()


class LiveView:
    """A bar with the figures below it, at the foot of the terminal; everything worth telling scrolls by above."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._unicode = has_unicode()
        self._figures = Figures()
        self._notice = ""
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, event: Event, figures: Figures) -> None:
        """Move the bar, or print the event's line above it."""
        self._figures = figures
        if isinstance(event.body, Sample):
            print_sample(event.body, self._console)
        elif line := line_of(event.body, unicode=self._unicode):
            self._console.print(line, soft_wrap=True)

    def notice(self, text: str) -> None:
        """Show the word below the bar; the next refresh brings it."""
        self._notice = text

    def __rich__(self) -> Group:
        """Draw the bar as the figures are now."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        figures = self._figures
        rows: list[RenderableType] = [Padding(self._bar(), (0, len(ECHO), 0, 0))]
        if figures.started and figures.step:
            rows.append(Text(figures.step_line().rsplit(" | ", 1)[0] if figures.seconds_left else figures.step_line()))
        if self._notice:
            rows.append(Text(self._notice, style="bold yellow"))
        return Group(*rows)

    def _bar(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        figures = self._figures
        grid = Table.grid(expand=True, padding=(0, 1))
        for ratio in (None, 1, None):
            grid.add_column(ratio=ratio, no_wrap=True)
        if figures.started:
            done, total, left = figures.steps_done, figures.total_steps, figures.seconds_left
            bar = ProgressBar(total=max(1, total or 1), completed=done if total else 0, pulse=total is None)
            part = "" if total is None else f"{done / max(1, total):4.0%}"
            grid.add_row(part, bar, "" if left is None else f"{clock(left)} left")
        else:
            phase = figures.phase or Phase(name="Starting")
            share = phase.done
            bar = ProgressBar(total=1, completed=share or 0, pulse=share is None)
            grid.add_row(phase_line(phase), bar, "" if share is None else f"{share:4.0%}")
        return grid


def print_sample(sample: Sample, console: Console) -> None:
    """Print a prompt with its answers before and after, one below the other, to be read at 80 columns."""
    from rich.table import Table
    from rich.text import Text

    rows = sample_lines(sample)
    if not console.is_terminal:
        console.print("\n".join(f"{label:<9}{_indented(text)}" for label, text in rows), end="\n\n", soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, Text(text, style="bold" if label == "After" else ""))
    console.print(grid, end="\n\n")


def _indented(text: str) -> str:
    first, *others = text.split("\n")
    return "\n".join([first, *(" " * 9 + line if line else "" for line in others)])


def _write_error(text: str) -> None:
    os.write(2, f"\n{text}\n".encode())
