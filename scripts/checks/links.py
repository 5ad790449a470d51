"""Links between documents lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault
from scripts.checks.doc_commands import documents

LINK = re.compile(r"\]\(([^)\s]+)\)")


def faults(root: Path) -> Iterator[Fault]:
    """Yield every relative link to a file that is not there."""
    for path in documents(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for target in LINK.findall(line):
                file = target.partition("#")[0]
                if file and "://" not in file and not (path.parent / file).exists():
                    yield Fault(path.relative_to(root), number, f"{target} is not there", "Mend the link.")
