"""A package says what it is for, what it may import, and where to add one more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault, parsed

FIX = (
    "Say in about three lines what the package is for, what it may import ('May import ...'), and where to add one "
    "more; see src/tunesmith/spec/__init__.py."
)


def faults(root: Path) -> Iterator[Fault]:
    """Yield every layer without such a docstring, and every deeper package without any."""
    package = root / "src" / "tunesmith"
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        if not (folder / "__init__.py").is_file():
            yield Fault(folder.relative_to(root), 1, "the package has no __init__.py", FIX)
    for path in sorted(package.rglob("__init__.py")):
        text = ast.get_docstring(parsed(path)) or ""
        where = path.relative_to(root)
        if not text:
            yield Fault(where, 1, "the package has no docstring", FIX)
        elif path.parent.parent == package and "may import" not in text.lower():
            yield Fault(where, 1, "the package's docstring does not say what it may import", FIX)
