"""A file is one noun: no module is called utils, helpers, common, misc or manager."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault, python_files

VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|misc|managers?)(_|$)")


def faults(root: Path) -> Iterator[Fault]:
    """Yield every module or package with a name that says nothing."""
    seen: set[Path] = set()
    for path in python_files(root, "src", "scripts", "tests", "benchmarks"):
        where = path.relative_to(root)
        for part in (where, *where.parents):
            if part not in seen and VAGUE.search(part.stem):
                yield Fault(part, 1, f"the name '{part.stem}' says nothing", "Name it after the one thing it holds.")
            seen.add(part)
