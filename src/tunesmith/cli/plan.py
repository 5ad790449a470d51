"""``tunesmith plan``: what `tunesmith train` would do with the same flags, and why, without doing it."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.cli.job_flags import JobCommand, job_options


@click.command(cls=JobCommand)
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(*, as_json: bool, **params: Any) -> None:
    """Show what training would do, and why, without doing it.

    \b
    tunesmith plan --model smollm2-135m-instruct --data chat.jsonl
    tunesmith plan job.yaml --mode slow

    It takes the flags of `tunesmith train`. What you give is kept as it is; every other value is chosen, and the table
    says why.
    """
    from tunesmith.cli.job_flags import job_from_flags
    from tunesmith.cli.plan_table import print_plan
    from tunesmith.cli.terminal import console, current_settings
    from tunesmith.service.jobs.submit import plan_job

    plan = plan_job(job_from_flags(params)[0], current_settings())
    if as_json:
        click.echo(plan.model_dump_json())
    else:
        print_plan(plan, console())
