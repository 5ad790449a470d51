"""Which packages that tunesmith asks for are not installed, or too old?"""

from __future__ import annotations

import re
from importlib import metadata

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)\s*(?:>=\s*(?P<least>[0-9.]+))?")


def lacking(package: str, *, extra: str | None) -> list[str]:
    """Return a sentence for each package that ``package`` needs, for itself or for one of its extras, and lacks."""
    needed = [line for line in metadata.requires(package) or [] if _extra(line) == extra]
    return [told for line in needed if (told := fault(line))]


def requirements(package: str, extras: tuple[str | None, ...] = (None, "train")) -> list[str]:
    """Return what ``package`` asks for, for itself and for some extras, as pip reads it: ``peft>=0.20``."""
    lines = metadata.requires(package) or []
    return [line.partition(";")[0].strip() for line in lines if _extra(line) in extras]


def _extra(requirement: str) -> str | None:
    found = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
    return found.group(1) if found else None


def fault(requirement: str) -> str | None:
    """Say what is wrong with what is installed for one requirement, such as ``torch>=2.6``; None if nothing is."""
    found = _REQUIREMENT.match(requirement)
    if found is None:
        return None
    name, least = found["name"], found["least"]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    if least and _numbers(installed) < _numbers(least):
        return f"{name} {installed} is older than {least}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version: 2.13.0+cpu is (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[+a-zA-Z]", version)[0]))
