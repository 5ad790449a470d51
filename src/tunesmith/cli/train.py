"""``tunesmith train``: show the plan, start the run, follow it; Ctrl-C saves and stops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.job_flags import JobCommand, job_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunesmith.runs.folder import RunFolder
    from tunesmith.settings import Settings
    from tunesmith.spec.job import JobSpec


@click.command(cls=JobCommand)
@job_options
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this output.")
@click.option("--resume-from", metavar="RUN|CHECKPOINT", help="Go on with this run, or from this checkpoint.")
@click.option("--detach", is_flag=True, help="Start the run and return; `tunesmith runs follow` shows it.")
@click.option("--json", "as_json", is_flag=True, help="Print only one line at the end: the result as JSON.")
def command(*, resume: bool, resume_from: str | None, detach: bool, as_json: bool, **params: Any) -> int:
    """Train a model on your data.

    \b
    tunesmith train --model smollm2-135m-instruct --data chat.jsonl
    tunesmith train job.yaml --learning-rate 1e-4

    What is left out is chosen for you; `tunesmith plan` shows the choices and their reasons. Ctrl-C saves and stops,
    and --resume goes on; a second Ctrl-C stops at once. Closing the terminal does not stop the run.
    """
    from tunesmith.cli.attend import attend
    from tunesmith.cli.job_flags import job_from_flags
    from tunesmith.cli.terminal import current_settings

    settings = current_settings()
    if resume or resume_from:
        begin = _resuming(params, resume_from, settings)
    else:
        begin = starting(job_from_flags(params)[0], settings, quiet=as_json)
    return _detached(begin(), as_json=as_json) if detach else attend(begin, as_json=as_json)


def starting(spec: JobSpec, settings: Settings, *, quiet: bool) -> Callable[[], RunFolder]:
    """Plan a job and show the plan; return what starts it."""
    from tunesmith.cli.plan_table import print_plan
    from tunesmith.cli.terminal import console
    from tunesmith.service.jobs.submit import plan_job, start

    plan = plan_job(spec, settings)
    if not quiet:
        print_plan(plan, console())
    return lambda: start(plan, settings)


def _resuming(params: dict[str, Any], reference: str | None, settings: Settings) -> Callable[[], RunFolder]:
    """Find the run to go on with; return what does so, with its stored plan and the typed changes that it allows."""
    from tunesmith.cli.job_flags import changes_from_flags
    from tunesmith.service.jobs.resume import find_resumable, resume
    from tunesmith.spec.job import Output

    typed = changes_from_flags(params)
    output = str(typed.get("output.dir", Output().dir))
    found = find_resumable(settings, output=output, reference=reference)
    return lambda: resume(found, settings, typed)


def _detached(run: RunFolder, *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"run": run.id, "folder": str(run.path)}))
    else:
        click.echo(f"Started run {run.id}. Follow it with: tunesmith runs follow {run.id}")
    return 0
