"""Files have at most 500 lines (aim at 120), doors 150, functions at most 70 (aim at 10)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault, parsed, python_files

FILE_LINES = 500
FUNCTION_LINES = 70
DOORS, DOOR_LINES = "src/tunesmith/api/doors", 150
"""A door is a field table and a renderer; what it does is the service's."""
REVISIONS = "src/tunesmith/store/migrations/versions"
"""Records of how tables changed, written by a tool and never read for how they work."""


def faults(root: Path) -> Iterator[Fault]:
    """Yield every file and function over its budget."""
    for path in python_files(root, "src", "scripts", "tests", "benchmarks"):
        where = path.relative_to(root)
        if where.is_relative_to(REVISIONS):
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        most = DOOR_LINES if where.is_relative_to(DOORS) else FILE_LINES
        if lines > most:
            yield Fault(where, 1, f"{lines} lines, at most {most}", "Move one noun into a file of its own.")
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _function(where, node)


def _function(where: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Fault]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > FUNCTION_LINES:
        what = f"function {node.name} has {lines} lines, at most {FUNCTION_LINES}"
        yield Fault(where, node.lineno, what, "Give each step of it a name and a function, below it in reading order.")
