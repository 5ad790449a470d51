"""Run the house rules: ``python -m scripts.check [NAME ...]``; all of ``scripts/checks/`` without a name."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from pathlib import Path

from scripts import checks

ROOT = Path(__file__).resolve().parents[1]


def names() -> list[str]:
    """Names of all checks."""
    return sorted(module.name for module in pkgutil.iter_modules(checks.__path__))


def run(name: str, root: Path) -> int:
    """Run one check, print its faults and return how many there are."""
    started = time.monotonic()
    faults = list(importlib.import_module(f"scripts.checks.{name}").faults(root))
    for fault in faults:
        print(f"{name}: {fault}")
    print(f"{name}: {f'{len(faults)} faults' if faults else 'ok'} ({time.monotonic() - started:.1f} s)")
    return len(faults)


def main(asked: list[str]) -> int:
    """Run the checks asked for; exit status 1 when one finds a fault, 2 for an unknown name."""
    known = names()
    for name in asked:
        if name not in known:
            print(f"There is no check '{name}'. Known: {', '.join(known)}.", file=sys.stderr)
            return 2
    return 1 if sum([run(name, ROOT) for name in asked or known]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
