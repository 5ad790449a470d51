"""``tunesmith train``: show the plan, start the run, follow it; Ctrl-C saves and stops."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.cli.job_flags import JobCommand, job_options


@click.command(cls=JobCommand)
@job_options
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this output.")
@click.option("--resume-from", metavar="RUN|CHECKPOINT", help="Go on with this run, or from this checkpoint.")
@click.option("--detach", is_flag=True, help="Start the run and return; `tunesmith runs follow` shows it.")
@click.option("--json", "as_json", is_flag=True, help="Print nothing but one line at the end: the result as JSON.")
def command(*, resume: bool, resume_from: str | None, detach: bool, as_json: bool, **params: Any) -> int:
    """Train a model on your data.

    \b
    tunesmith train --model smollm2-135m-instruct --data chat.jsonl
    tunesmith train job.yaml --learning-rate 1e-4

    What is left out is chosen for you; `tunesmith plan` shows the choices and their reasons. Ctrl-C saves and stops,
    and --resume goes on; a second Ctrl-C stops at once. Closing the terminal does not stop the run.
    """
    from tunesmith.cli.job_flags import job_from_flags

    print(job_from_flags(params))
    return 0
