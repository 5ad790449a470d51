"""``tunesmith runs``: what ran, what runs, and what to do with it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from tunesmith.cli.runs_compare import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import JustifyMethod
    from rich.table import Table

    from tunesmith.cli.job_follower import Queued
    from tunesmith.cli.run_or_job import RunOrJob
    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.status import RunStatus
    from tunesmith.service.jobs.remote import RemoteJob

COLOURS: Final = {
    "queued": "cyan",
    "preparing": "cyan",
    "running": "blue",
    "paused": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "magenta",
}
WIDE: Final = 200
"""Columns of the table where its reader is not a terminal."""
DISPENSABLE: Final = ("note", "best loss", "kind", "begun", "step")
"""Columns that a narrow terminal does without, the first ones first."""
NOTE, GAP = 12, 3
"""Fewest columns in which a note says something; what stands between two columns of the table."""
SHOWN: Final = 20
"""Runs listed where no number is given."""

_run = click.argument("name", metavar="RUN")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, compare, follow, pause, resume and cancel runs.

    RUN is a run's id, the beginning of it, or its name; while a server of this home lives, also a job's id. What is
    asked of a run that a server began is asked of its job, so that the server does not try it again.
    """


command.add_command(compare)


@command.command("list")
@click.option("-n", "--number", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="Runs to show.")
@click.option("--all", "everything", is_flag=True, help="Show all runs, also conversions and served models.")
@_json
def list_runs(*, number: int, everything: bool, as_json: bool) -> None:
    """List the runs, newest first, above them what waits in the queue of a server."""
    from tunesmith.cli.terminal import current_settings
    from tunesmith.runs.folder import Kind
    from tunesmith.service.jobs.index import runs
    from tunesmith.service.jobs.remote import server_of

    settings = current_settings()
    server = server_of(settings)
    waiting = [_as_run(job) for job in server.waiting() if job.run is None] if server else []
    found = waiting + [run for run in runs(settings) if everything or run.kind is Kind.TRAIN]
    shown = found if everything else found[:number]
    if as_json:
        click.echo(json.dumps({"runs": [run.model_dump(mode="json") for run in shown]}))
    elif not shown:
        click.echo("No runs yet. Start one with: tunesmith train --model NAME --data FILE")
    else:
        _print(shown, everything=everything)
        if len(shown) < len(found):
            click.echo(f"{len(found) - len(shown)} older ones: tunesmith runs list --all")


@command.command()
@_run
@_json
def show(*, name: str, as_json: bool) -> None:
    """Show how one run stands, and what it keeps."""
    from tunesmith.cli.terminal import printable
    from tunesmith.runs.checkpoints import listed
    from tunesmith.runs.status import status

    found = _find(name)
    run, job = found.run, found.job
    if run is None and job is not None:
        waits = _as_run(job)
        content = waits.model_dump(mode="json")
        facts: list[tuple[str, object]] = [("job", job.id), ("state", job.state), ("why", waits.reason or "")]
    else:
        now, kept = status(found.own_run), [one.name for one in listed(found.own_run)]
        content = {**now.model_dump(mode="json"), "folder": str(found.own_run.path), "checkpoints": kept}
        facts = _facts(found.own_run, now, kept)
        if job is not None:
            content |= {"job": job.id, "job_state": job.state}
            facts.append(("job", f"{job.id} ({job.state}) on {found.server.url if found.server else ''}"))
    if as_json:
        click.echo(json.dumps(content))
        return
    for label, value in facts:
        click.echo(printable(f"{label:<16} {value}"))


@command.command()
@_run
@_json
def follow(*, name: str, as_json: bool) -> int:
    """Watch a run until it is over. Ctrl-C ends the watching, not the run.

    The exit status is the run's own. With --json each event is printed as one line.
    """
    from tunesmith.cli.progress import show_run
    from tunesmith.spec.ids import job_id_of

    found = _find(name)
    queued = found.queued()
    if queued is not None and job_id_of(name):
        return _follow_job(queued, as_json=as_json)
    now = show_run(found.own_run, json_lines=as_json)
    if not as_json:
        click.echo(_sentence(now))
    return now.exit or 0


def _follow_job(queued: Queued, *, as_json: bool) -> int:
    """Watch a job of a server, all of its runs; return the exit status of the last one."""
    from contextlib import ExitStack

    from tunesmith.cli.job_follower import JobFollower
    from tunesmith.cli.progress import JsonLines, view_for_terminal
    from tunesmith.runs.status import status

    with ExitStack() as stack:
        follower = JobFollower(queued, JsonLines() if as_json else view_for_terminal(stack), tells_queue=not as_json)
        follower.follow()
    if follower.run is None:
        if not as_json:
            click.echo(f"{follower.job.id} {follower.job.state}: {follower.job.reason or follower.job.waiting or ''}")
        return int((follower.job.error or {}).get("exit_code") or 0)
    now = status(follower.run)
    if not as_json:
        click.echo(_sentence(now))
    return now.exit or 0


@command.command()
@_run
@click.option("-n", "--lines", type=click.IntRange(min=1), help="Only the last lines.")
@_json
def logs(*, name: str, lines: int | None, as_json: bool) -> None:
    """Print everything that the run's worker printed, tracebacks too."""
    from tunesmith.cli.terminal import printable

    run = _find(name).own_run
    text = run.log.read_text(encoding="utf-8", errors="replace") if run.log.exists() else ""
    said = text.splitlines()[-lines:] if lines else text.splitlines()
    if as_json:
        click.echo(json.dumps({"run": run.id, "lines": said}))
        return
    for line in said:
        click.echo(printable(line))


@command.command()
@_run
@_json
def pause(*, name: str, as_json: bool) -> None:
    """Save the run's state and stop it; the memory is free again."""
    from tunesmith.service.jobs import control

    found = _find(name)
    if found.server and found.job:
        found = replace(found, job=found.server.pause(found.job.id))
    else:
        control.pause(found.own_run)
    asked = f"Asked {_called(found)} to save and stop. Go on with: tunesmith runs resume {found.name}"
    _say(found, "pause", asked, as_json)


@command.command()
@_run
@click.option("--detach", is_flag=True, help="Start it and return; `tunesmith runs follow` shows it.")
@_json
def resume(*, name: str, detach: bool, as_json: bool) -> int:
    """Go on with a run from its last checkpoint, as a run of its own; Ctrl-C saves and stops."""
    from tunesmith.cli.attend import attend
    from tunesmith.cli.run_or_job import RunOrJob, resumed_by_server
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs import resume as jobs

    settings = current_settings()
    by_server = resumed_by_server(name, settings)
    if by_server is None:
        found = jobs.find_resumable(settings, reference=name)
        by_server = resumed_by_server(found.run.id, settings, found.checkpoint)
    if by_server is not None:
        if not detach:
            return attend(by_server, as_json=as_json)
        queued = by_server()
        goes_on = f"{queued.job.id} goes on. Watch it with: tunesmith runs follow {queued.job.id}"
        _say(RunOrJob(settings, None, queued.server, queued.job), "resume", goes_on, as_json)
        return 0
    if not detach:
        return attend(lambda: jobs.resume(found, settings), as_json=as_json)
    run = jobs.resume(found, settings)
    goes_on = f"Run {run.id} goes on with {found.run.id}. Watch it with: tunesmith runs follow {run.id}"
    _say(RunOrJob(settings, run), "resume", goes_on, as_json)
    return 0


@command.command()
@_run
@click.option("--now", is_flag=True, help="End its processes at once instead of after the step.")
@_json
def cancel(*, name: str, now: bool, as_json: bool) -> None:
    """End a run without finishing it; its checkpoints stay. In mode non-stop it lands instead, and saves a result."""
    from tunesmith.service.jobs import control

    found = _find(name)
    if found.server and found.job:
        found = replace(found, job=found.server.cancel(found.job.id))
    else:
        control.cancel(found.own_run)
    if now and found.run is not None:
        control.stop_now(found.run)
    lands = found.run is not None and control.lands(found.run)
    called, over = _called(found), now or (found.job is not None and found.job.state == "cancelled")
    asked = f"Asked {called} to {'land and save its result' if lands else 'end'}."
    _say(found, "cancel", f"{called[:1].upper()}{called[1:]} was cancelled." if over else asked, as_json)


def _find(name: str) -> RunOrJob:
    from tunesmith.cli.run_or_job import find
    from tunesmith.cli.terminal import current_settings

    return find(current_settings(), name)


def _called(found: RunOrJob) -> str:
    return f"{'run' if found.run is not None else 'job'} {found.name}"


def _say(found: RunOrJob, asked: str, sentence: str, as_json: bool) -> None:
    from tunesmith.runs.status import status

    if not as_json:
        click.echo(sentence)
        return
    run = {"run": found.run.id} if found.run is not None else {}
    job = {"job": found.job.id} if found.job is not None else {}
    state = status(found.run).state if found.run is not None else found.job.state if found.job is not None else None
    click.echo(json.dumps({**run, **job, "asked": asked, "state": state}))


def _as_run(job: RemoteJob) -> RunStatus:
    """Show a job that has no run yet in the list of runs."""
    from tunesmith.runs.folder import Kind
    from tunesmith.runs.status import RunStatus

    facts = {name: None for name in RunStatus.model_fields if name not in ("id", "kind", "name", "state", "reason")}
    return RunStatus.model_validate(
        facts | {"id": job.id, "kind": Kind.TRAIN, "name": job.name, "state": job.state, "created_at": job.created_at}
        | {"reason": job.waiting or job.reason}
    )  # fmt: skip


def _print(runs: Sequence[RunStatus], *, everything: bool) -> None:
    """Print the table as wide as the terminal is; elsewhere nothing needs to be cut."""
    from tunesmith.cli.terminal import console

    screen = console()
    screen.width = screen.width if screen.is_terminal else max(screen.width, WIDE)
    columns = _columns(runs, everything=everything)
    for name in DISPENSABLE:
        if _width(columns) > screen.width:
            columns.pop(name, None)
    # The id stays whole even where nothing else has room.
    screen.width = max(screen.width, _width(columns))
    screen.print(_table(runs, columns))


def _width(columns: dict[str, list[str]]) -> int:
    """Return how wide the table is at least: all but the note, which is cut, stands there whole."""
    widths = [NOTE if name == "note" else max(map(len, (name, *cells))) for name, cells in columns.items()]
    return sum(widths) + GAP * (len(widths) - 1)


def _columns(runs: Sequence[RunStatus], *, everything: bool) -> dict[str, list[str]]:
    columns = {
        "run": [run.id for run in runs],
        "kind": [str(run.kind) for run in runs],
        "state": [str(run.state) for run in runs],
        "step": [_steps(run) for run in runs],
        "best loss": [_loss(run.best_validation_loss) for run in runs],
        "begun": [ago(run.created_at) for run in runs],
        "note": [_note(run) for run in runs],
    }
    if not everything:
        del columns["kind"]
    return columns


def _table(runs: Sequence[RunStatus], columns: dict[str, list[str]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for name, cells in columns.items():
        # On a narrow terminal only the note is cut.
        width = None if name == "note" else max(map(len, (name, *cells)))
        justify: JustifyMethod = "right" if name in ("step", "best loss", "begun") else "left"
        table.add_column(name, no_wrap=True, min_width=width, justify=justify)
    for run, row in zip(runs, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*(Text(cell, COLOURS[cell]) if cell == run.state else cell for cell in row))
    return table


def _facts(run: RunFolder, now: RunStatus, checkpoints: list[str]) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("run", now.id),
        ("kind", now.kind),
        ("state", now.state),
        ("why", _note(now)),
        ("do", now.todo if _is_bad(now) else None),
        ("step", _steps(now)),
        ("train loss", _loss(now.train_loss)),
        ("validation loss", _loss(now.validation_loss)),
        ("best of it", _loss(now.best_validation_loss)),
        ("begun", f"{_clock(now.created_at)} ({ago(now.created_at)})"),
        ("ended", f"{_clock(now.ended_at)} ({ago(now.ended_at)})" if now.ended_at else None),
        ("peak memory", f"{now.peak_memory_bytes / 1e9:.2f} GB" if now.peak_memory_bytes else None),
        ("goes on with", now.parent),
        ("output", now.output),
        ("checkpoints", ", ".join(checkpoints)),
        ("folder", run.path),
    ]
    return [(label, value) for label, value in facts if value not in (None, "")]


def _sentence(run: RunStatus) -> str:
    because = f": {run.reason.rstrip('.')}" if run.reason and run.reason != run.state else ""
    todo = f" {run.todo}" if run.todo and _is_bad(run) else ""
    return f"Run {run.id} {run.state}{because}.{todo}"


def _is_bad(run: RunStatus) -> bool:
    return run.state in ("failed", "paused")


def _note(run: RunStatus) -> str:
    return "" if run.reason in (None, str(run.state), "done") else str(run.reason)


def _steps(run: RunStatus) -> str:
    if run.step is None:
        return ""
    return f"{run.step}/{run.total_steps}" if run.total_steps else str(run.step)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def ago(then: float, now: float | None = None) -> str:
    """Say how long ago a moment was, in the largest unit that fits."""
    passed = max(0.0, (time.time() if now is None else now) - then)
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed >= seconds:
            return f"{int(passed // seconds)} {unit} ago"
    return "just now" if passed < 5 else f"{int(passed)} s ago"
