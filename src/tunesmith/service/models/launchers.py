"""The scripts of a model directory: each runs the installed tunesmith by its path and hands its arguments on."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from importlib import resources
from pathlib import Path
from typing import Final

SCRIPTS: Final = ("train.sh", "start.sh", "train_lora.py", "llm-installer")


def write_scripts(directory: Path, stage: Path) -> None:
    """Write the scripts into a directory, each in one step; ``stage`` is a folder on the same disk."""
    command = command_line()
    for name in SCRIPTS:
        text = _template(name)
        text = text.replace('["@TUNESMITH@"]', repr(command))
        text = text.replace("@TUNESMITH@", shlex.join(command)).replace("@EXECUTABLE@", shlex.quote(command[0]))
        draft = stage / name
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        os.replace(draft, directory / name)


def command_line() -> list[str]:
    """Return how to run this tunesmith, by path: its own command, or Python with its module where there is none."""
    own = Path(sysconfig.get_path("scripts")) / "tunesmith"
    if own.is_file() and os.access(own, os.X_OK):
        return [str(own)]
    # -P: a file of the user's working folder must not be taken for a module.
    return [sys.executable, "-P", "-m", "tunesmith.cli.main"]


def _template(name: str) -> str:
    # As text, the Python script is no module of ours.
    file = f"{name}.txt" if name.endswith(".py") else name
    return (resources.files("tunesmith.service.models") / "scripts" / file).read_text(encoding="utf-8")
