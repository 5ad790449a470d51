"""What the documents tell people to type exists: every `tunesmith` command with its flags, every `make` target."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from scripts.checks import Fault

SPAN = re.compile(r"`([^`\n]+)`")
TARGET = re.compile(r"make ([a-z][a-z-]*)")


def faults(root: Path) -> Iterator[Fault]:
    """Yield every command line in a document that the program does not understand."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.M))
    for path in documents(root):
        for number, typed in code(path):
            where = path.relative_to(root)
            target = TARGET.match(typed)
            if target and target[1] not in targets:
                yield Fault(where, number, f"there is no `make {target[1]}`", "Name a target of `make help`.")
            if typed.startswith("tunesmith ") and (problem := wrong_with(typed)):
                yield Fault(where, number, f"`{typed}`: {problem}", "Write what the program accepts.")


def code(path: Path) -> Iterator[tuple[int, str]]:
    """Every line of a block of code and every span of code in a line, without a shell's prompt, by line number."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield number, line.strip().removeprefix("$ ")
        else:
            yield from ((number, span.removeprefix("$ ")) for span in SPAN.findall(line))


def documents(root: Path) -> Iterator[Path]:
    """Documents that people wrote (the reference is written from the code)."""
    yield from sorted(root.glob("*.md"))
    yield from (path for path in sorted((root / "docs").rglob("*.md")) if path.parent.name != "reference")


def wrong_with(typed: str) -> str | None:
    """Say which word of a command line does not exist; None when all do."""
    from tunesmith.cli.main import command_line

    command: click.Command = command_line
    context = click.Context(command, info_name="tunesmith")
    for word in shlex.split(typed.replace("...", "").replace("\\", " "), comments=True)[1:]:
        if word.startswith("-") and len(word) > 1:
            if word.partition("=")[0] not in _flags(command):
                return f"no flag {word}"
        elif isinstance(command, click.Group):
            if word not in command.list_commands(context):
                return None if re.fullmatch(r"[A-Z.<\[].*", word) else f"no command {word}"
            command = command.get_command(context, word) or command
    return None


def _flags(command: click.Command) -> set[str]:
    own = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return own | {"--help", "-h"}
