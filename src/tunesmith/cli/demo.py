"""``tunesmith demo``: the whole way from data to a better model, on a small model and in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from tunesmith.settings import Settings
    from tunesmith.spec.job import JobSpec

MODEL: Final = "smollm2-135m-instruct"
DATA: Final = "chatterbot-corpus"
STEPS: Final = 60
"""Optimizer steps: about two minutes on two CPU cores."""
STEPS_BETWEEN_EVALUATIONS: Final = 20
VALIDATION: Final = 0.06
"""Share held out: enough to see the loss fall, few enough that looking costs little."""
OUTPUT: Final = "demo"
"""Where the adapter goes, inside the home, unless --output says otherwise."""


@click.command()
@click.option("--output", type=click.Path(path_type=Path), help="Where the adapter goes. Open: demo in the home.")
@click.option("--json", "as_json", is_flag=True, help="Print only one line at the end: the result as JSON.")
def command(*, output: Path | None, as_json: bool) -> int:
    """Train a small model in about two minutes and see what changed.

    Fetches SmolLM2-135M-Instruct and the ChatterBot corpus where they are missing, shows the plan, trains a LoRA
    adapter, and answers the same three held-out questions before and after.
    """
    from tunesmith.cli.attend import attend, short
    from tunesmith.cli.terminal import current_settings
    from tunesmith.cli.train import starting

    settings = current_settings()
    adapter = output or settings.home / OUTPUT
    for name in (MODEL, DATA):
        _fetch(name, settings, quiet=as_json)
    begin = starting(demo_job(adapter), settings, quiet=as_json)
    return attend(begin, as_json=as_json, next_commands=next_commands(short(adapter)))


def demo_job(output: Path) -> JobSpec:
    """Return the demo's job: few settings, so that the plan shows what tunesmith chooses by itself."""
    from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output
    from tunesmith.spec.recipe import Recipe

    return JobSpec(
        name="demo",
        model=ModelRef(source=MODEL),
        datasets=[DatasetRef(uri=DATA)],
        recipe=Recipe(max_steps=STEPS, evaluate_every=STEPS_BETWEEN_EVALUATIONS),
        evaluation=Evaluation(validation_split=VALIDATION),
        output=Output(dir=str(output)),
    )


def next_commands(adapter: str) -> list[str]:
    """Return three commands to go on with."""
    return [
        f'tunesmith generate --adapter {adapter} --prompt "What is a robot?"',
        f"tunesmith chat --adapter {adapter}",
        f"tunesmith train --model {MODEL} --data YOUR_FILE.jsonl",
    ]


def _fetch(name: str, settings: Settings, *, quiet: bool) -> None:
    """Pull a model or a data set that is missing."""
    from tunesmith.cli.progress import pulling
    from tunesmith.service.models.pull import pull

    with pulling(name, quiet=quiet) as progress:
        pull(name, settings, progress)
