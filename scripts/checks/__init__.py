"""One file per house rule, found by being there: a ``faults`` function that says what is off and how to mend it.

A check reads the tree it is given, so that its test can show it a violation in a temporary one. Each needs a test in
``tests/scripts/checks/``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """One breach of a rule."""

    path: Path
    line: int
    what: str
    fix: str
    """What to do about it, as a sentence."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}. {self.fix}"


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Every Python file below the folders that exist, in order."""
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def public_names(path: Path) -> frozenset[str]:
    """Names that a Python file defines at its top level, without private ones."""
    names: set[str] = set()
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(name for name in names if not name.startswith("_"))
