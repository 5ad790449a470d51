"""The page of commands, read from click's own objects."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from scripts.reference.page import Page, Row, Section

INTRO = """
`--json` makes a command print JSON for programs. Exit statuses: 0 done, 2 usage, 65 data, 70 failed, 75 paused,
76 cancelled, 78 configuration; see [error codes](errors.md).
"""


def page() -> Page:
    """Every command and subcommand with its arguments and options."""
    from tunesmith.cli.main import command_line

    sections = [_section(name, command) for name, command in walk(command_line, "tunesmith")]
    return Page("commands", "Commands", INTRO, sections)


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and those below it, with their full names, in the order of the help."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from walk(found, f"{name} {child}")


def flags() -> dict[str, str]:
    """Flag of ``tunesmith train`` for each dotted field of a job that has one."""
    from tunesmith.cli.job_layers import DATASET_FLAGS
    from tunesmith.cli.train import command

    options = [option for option in command.params if isinstance(option, click.Option)]
    of_data = {f"datasets.{name}": flag for name, flag in DATASET_FLAGS.items()} | {"datasets.uri": "--data"}
    return {str(option.name).replace("__", "."): option.opts[0] for option in options} | of_data


def _section(name: str, command: click.Command) -> Section:
    usage = " ".join([name, *command.collect_usage_pieces(click.Context(command, info_name=name))])
    rows = [_option(option) for option in command.params if isinstance(option, click.Option) and not option.hidden]
    text = f"{_fenced(usage)}\n\n{markdown(command.help)}" if command.help else ""
    return Section(name, text, (), rows)


def markdown(help_text: str) -> str:
    """Turn a command's help into Markdown: a paragraph that click leaves as it is becomes a block of code."""
    paragraphs = inspect.cleandoc(help_text).partition("\f")[0].strip().split("\n\n")
    return "\n\n".join(_fenced(part[2:]) if part.startswith("\b\n") else part for part in paragraphs)


def _fenced(text: str) -> str:
    return f"```\n{text}\n```"


def _option(option: click.Option) -> Row:
    spelled = ", ".join((*option.opts, *option.secondary_opts))
    value = "" if option.is_flag or option.count else f" {option.make_metavar(click.Context(click.Command('x')))}"
    return Row(f"{spelled}{value}", (), option.help or "")
