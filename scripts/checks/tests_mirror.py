"""A sibling predicts its test: what there is one more of has a test of its name, and test folders are the source's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault, public_names

OWN = frozenset(
    {"assets", "benchmarks", "browser", "authorisation", "chaos", "gpu", "integration", "scripts", "__pycache__"}
)
"""Folders of tests that stand for no package, with all that is in them."""
ONE_EACH = {"data/formats": "FORMAT", "data/layouts": "LAYOUT", "data/sources": "READER", "cli": "command"}
"""Packages in which every module that offers this name has a test of its own name."""


def faults(root: Path) -> Iterator[Fault]:
    """Yield every module without its test, and every folder of tests without its package."""
    source, tests = root / "src" / "tunesmith", root / "tests"
    for package, mark in ONE_EACH.items():
        for module in sorted((source / package).glob("*.py")):
            if mark in public_names(module):
                yield from _module(root, tests / package / f"test_{module.name}", module)
    for folder in sorted(tests.rglob("*/")):
        name = folder.relative_to(tests)
        if OWN.isdisjoint(name.parts) and not (source / name).is_dir():
            fix = f"Name it after the package it tests, or add it to OWN in {Path(__file__).name}."
            yield Fault(folder.relative_to(root), 1, f"there is no package '{name}'", fix)


def _module(root: Path, test: Path, module: Path) -> Iterator[Fault]:
    if not test.is_file():
        what = f"has no test {test.relative_to(root)}"
        yield Fault(module.relative_to(root), 1, what, "Write it: facts about real, tiny input.")
