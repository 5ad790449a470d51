"""``tunesmith train``: show the plan, start the run, follow it; Ctrl-C saves and stops."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.job_flags import JobCommand, job_options
from tunesmith.cli.monitor import CHARTS_PORT
from tunesmith.spec.home_paths import expanded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunesmith.cli.job_follower import Queued
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.remote import RemoteServer
    from tunesmith.settings import Settings
    from tunesmith.spec.job import JobSpec

_PORT = click.IntRange(1, 65_535)


@click.command(cls=JobCommand)
@job_options
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this output.")
@click.option("--resume-from", metavar="RUN|CHECKPOINT", help="Go on with this run, or from this checkpoint.")
@click.option("--detach", is_flag=True, help="Start the run and return; `tunesmith runs follow` shows it.")
@click.option("--tensorboard-port", type=_PORT, metavar="PORT", help="Show the run in TensorBoard while it goes.")
@click.option(
    "--tensorboard-only",
    type=_PORT,
    metavar="[PORT]",
    is_flag=False,
    flag_value=CHARTS_PORT,
    help="Train nothing: show the runs of this output in TensorBoard. [default port: 6006]",
)
@click.option("--json", "as_json", is_flag=True, help="Print only one line at the end: the result as JSON.")
def command(
    *,
    resume: bool,
    resume_from: str | None,
    detach: bool,
    tensorboard_port: int | None,
    tensorboard_only: int | None,
    as_json: bool,
    **params: Any,
) -> int:
    """Train a model on your data.

    \b
    tunesmith train --model smollm2-135m-instruct --data chat.jsonl
    tunesmith train job.yaml --learning-rate 1e-4

    What is left out is chosen for you; `tunesmith plan` shows the choices and their reasons. Ctrl-C saves and stops,
    and --resume goes on; a second Ctrl-C stops at once. Closing the terminal does not stop the run. While a server of
    the same home lives, the job goes to its queue.
    """
    from tunesmith.cli.attend import attend
    from tunesmith.cli.job_flags import command_keys, job_from_flags
    from tunesmith.cli.terminal import current_settings
    from tunesmith.spec.errors import Contradiction

    settings = current_settings()
    if tensorboard_only is not None:
        return _charts_only(params, settings, tensorboard_port or tensorboard_only)
    if detach and tensorboard_port:
        raise Contradiction("--detach", "--tensorboard-port")
    wanted = command_keys(params)
    reference = resume_from or wanted.get("resume_from")
    if resume or reference or wanted.get("resume"):
        begin = _resuming(params, reference, settings)
    else:
        begin = starting(job_from_flags(params)[0], settings, quiet=as_json)
    if detach:
        return _detached(begin(), as_json=as_json)
    with ExitStack() as stack:
        port = tensorboard_port or wanted.get("tensorboard_port")
        return attend(_with_charts(begin, stack, params, settings, port), as_json=as_json)


def starting(spec: JobSpec, settings: Settings, *, quiet: bool) -> Callable[[], RunFolder | Queued]:
    """Plan a job and show the plan; return what starts it, or queues it where a server of this home lives."""
    from tunesmith.cli.plan_table import print_plan
    from tunesmith.cli.terminal import console
    from tunesmith.service.jobs.remote import server_of
    from tunesmith.service.jobs.submit import plan_job, start

    plan = plan_job(spec, settings)
    if not quiet:
        print_plan(plan, console())
    server = server_of(settings)
    if server is None:
        return lambda: start(plan, settings)
    return lambda: _queued(server, spec, settings, quiet=quiet)


def _queued(server: RemoteServer, spec: JobSpec, settings: Settings, *, quiet: bool) -> Queued:
    from tunesmith.cli.job_follower import Queued

    job = server.submit(spec, os.getcwd())
    if not quiet:
        click.echo(f"Server  {server.url} has it as {job.id}")
    return Queued(server, job, settings)


def _resuming(params: dict[str, Any], reference: str | None, settings: Settings) -> Callable[[], RunFolder | Queued]:
    """Find the run to go on with; return what does so, with its stored plan and the typed changes that it allows.

    A server goes on with its own jobs.
    """
    from tunesmith.cli.job_flags import changes_from_flags
    from tunesmith.cli.run_or_job import resumed_by_server
    from tunesmith.service.jobs.resume import changes_of, find_resumable, resume

    typed = changes_from_flags(params)
    found = find_resumable(settings, output=_output(params, typed), reference=reference)
    by_server = resumed_by_server(found.run.id, settings, found.checkpoint, changes_of(found, settings, typed))
    return by_server or (lambda: resume(found, settings, typed))


def _output(params: dict[str, Any], typed: dict[str, object]) -> str:
    """Return the output that was asked for, else the model directory's, else the usual one."""
    from tunesmith.cli.job_layers import directory_layer
    from tunesmith.spec.job import Output

    return str({"output.dir": Output().dir, **directory_layer(params.get("model_directory")), **typed}["output.dir"])


def _charts_only(params: dict[str, Any], settings: Settings, port: int) -> int:
    """Show the runs of an output, or of a model directory where none is named."""
    from tunesmith.cli.job_flags import changes_from_flags
    from tunesmith.cli.monitor import show

    typed, directory = changes_from_flags(params), params.get("model_directory")
    where = directory if directory and "output.dir" not in typed else _output(params, typed)
    return show(str(expanded(where).absolute()), settings, port=port)


def _with_charts(
    begin: Callable[[], RunFolder | Queued],
    stack: ExitStack,
    params: dict[str, Any],
    settings: Settings,
    port: int | None,
) -> Callable[[], RunFolder | Queued]:
    """Have TensorBoard show the run while it goes: in a model directory, and where a port is given."""
    from tunesmith.cli.job_follower import Queued
    from tunesmith.cli.monitor import started

    if port is None and params.get("model_directory") is None:
        return begin

    shown = False

    def show(run: RunFolder) -> None:
        from tunesmith.service.system.charts import Charts, runs_into

        nonlocal shown
        if run.plan().spec.output.tensorboard and not shown:
            shown = True
            output = Path(run.header().output or run.artifacts_dir)
            started(stack, Charts(runs_into(settings, output), port=port or CHARTS_PORT))

    def begin_with_charts() -> RunFolder | Queued:
        begun = begin()
        if isinstance(begun, Queued):
            return replace(begun, begun=show)
        show(begun)
        return begun

    return begin_with_charts


def _detached(begun: RunFolder | Queued, *, as_json: bool) -> int:
    from tunesmith.cli.job_follower import Queued

    if isinstance(begun, Queued):
        job = begun.job
        follow = f"Queued {job.id}. Follow it with: tunesmith runs follow {job.id}"
        click.echo(json.dumps({"job": job.id, "run": job.run, "server": begun.server.url}) if as_json else follow)
        return 0
    run = begun
    if as_json:
        click.echo(json.dumps({"run": run.id, "folder": str(run.path)}))
    else:
        click.echo(f"Started run {run.id}. Follow it with: tunesmith runs follow {run.id}")
    return 0
