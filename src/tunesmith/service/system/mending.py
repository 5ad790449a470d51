"""Mends what a check of ``doctor`` found: installs packages that lack, takes broken ones out, clears leftovers.

Each remedy is a list of steps that can be told before they are done; pip works in the environment that runs tunesmith.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from tunesmith.planning.gpus import gpus
from tunesmith.runs.folder import run_folders
from tunesmith.runs.handle import is_running
from tunesmith.service.system.packages import fault, requirements
from tunesmith.settings import Settings

STAGING: Final = ".staging-"
"""How the folder of an uncommitted checkpoint starts."""
CUDA_PACKAGES: Final = ("torch", "bitsandbytes")
"""What has to match the graphics driver."""


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    told: str
    """As the user reads it."""
    do: Callable[[], None]
    """Raises ``MendingFailed``."""


class MendingFailed(Exception):
    """A step failed; the text is the last thing that was said."""


def steps_for(name: str, settings: Settings, *, python: str = sys.executable) -> list[Step]:
    """Return what would mend the check of that name; none where only the user can.

    ``python`` is the interpreter whose packages are mended.
    """
    if name == "packages":
        return install([line for line in requirements("tunesmith") if fault(line)], python)
    if name == "torch":
        return mend_torch(python)
    if name == "device":
        return mend_cuda(python) if gpus() else []
    if name == "bitsandbytes":
        return reinstall(["bitsandbytes"], python)
    return [_removal(folder) for folder in leftovers(settings)] if name == "leftovers" else []


def install(lines: Sequence[str], python: str = sys.executable) -> list[Step]:
    """Install requirements such as ``peft>=0.20``."""
    return [_pip(["install", *lines], python)] if lines else []


def reinstall(packages: Sequence[str], python: str = sys.executable) -> list[Step]:
    """Install packages again in the version that is there, or in any that is asked for; their dependencies stay."""
    wanted = [_same_version(package) for package in packages]
    return [_pip(["install", "--force-reinstall", "--no-deps", *wanted], python)] if wanted else []


def reinstall_everything(python: str = sys.executable) -> list[Step]:
    """Install again whatever tunesmith and its training ask for."""
    names = [line for line in requirements("tunesmith") if not fault(line)]
    return [
        *install([line for line in requirements("tunesmith") if fault(line)], python),
        *reinstall(names, python),
    ]


def mend_torch(python: str = sys.executable) -> list[Step]:
    """Take a torchvision out that does not fit torch (nothing here needs one); else install torch again."""
    if _installed("torchvision"):
        return [_pip(["uninstall", "--yes", "torchvision"], python)]
    return reinstall(["torch"], python)


def mend_cuda(python: str = sys.executable) -> list[Step]:
    """Install what has to match the graphics driver again; without a driver only bitsandbytes, which works on CPUs."""
    if not gpus():
        return reinstall(["bitsandbytes"], python)
    return [_pip(["install", "--force-reinstall", *(_named(package) for package in CUDA_PACKAGES)], python)]


def leftovers(settings: Settings) -> list[Path]:
    """Return the half-written checkpoints of runs that are over."""
    over = (run for run in run_folders(settings.runs_dir) if not is_running(run))
    return [folder for run in over for folder in sorted(run.checkpoints_dir.glob(f"{STAGING}*"))]


def _removal(folder: Path) -> Step:
    return Step(f"remove {folder}", lambda: shutil.rmtree(folder, ignore_errors=True))


def _pip(arguments: Sequence[str], python: str) -> Step:
    """Make a step of pip; the pip beside this process works on another interpreter as well."""
    command = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input", *arguments]

    def do() -> None:
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        if child.returncode != 0:
            raise MendingFailed(_last_words(child.stdout + child.stderr))

    return Step(f"pip {' '.join(arguments)}", do)


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1 if not errors else 0]


def _same_version(line: str) -> str:
    name = next(_names([line]))
    try:
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return _named(name)


def _named(package: str) -> str:
    """Return the requirement of tunesmith that names the package, else its name alone."""
    return next((line for line in requirements("tunesmith") if next(_names([line])) == package), package)


def _names(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield line.partition(">")[0].partition("=")[0].partition("[")[0].strip()


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
