from __future__ import annotations

import importlib
import shlex
from pathlib import Path

import click

from tunesmith.cli.demo import demo_job, next_commands
from tunesmith.cli.main import COMMANDS, command_line
from tunesmith.service.models.aliases import ALIASES
from tunesmith.spec.recipe import Recipe


def test_the_job_leaves_the_choices_to_the_plan(tmp_path: Path) -> None:
    job = demo_job(tmp_path)
    typed = {name for name in Recipe.model_fields if getattr(job.recipe, name) != getattr(Recipe(), name)}
    assert typed == {"max_steps", "evaluate_every"}
    assert job.output.dir == str(tmp_path)
    assert job.evaluation.test_prompts == 3


def test_what_it_needs_can_be_pulled(tmp_path: Path) -> None:
    job = demo_job(tmp_path)
    assert {job.model.source, job.datasets[0].uri} <= set(ALIASES)


def test_the_commands_that_it_names_exist() -> None:
    lines = next_commands("./demo")
    assert len(lines) == 3
    for line in lines:
        _, name, *arguments = shlex.split(line)
        command = importlib.import_module(COMMANDS[name].module).command
        assert isinstance(command, click.Command)
        command.make_context(name, arguments, **command_line.context_settings)
