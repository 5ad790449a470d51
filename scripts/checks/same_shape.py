"""Siblings look alike: every format, every row of families and every modality has the shape of the others."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault, parsed, public_names

MODALITY_FILES = frozenset(
    {"__init__.py", "options.py", "families.py", "builder.py", "encode.py", "metrics.py", "predictor.py"}
)

GROUPED = frozenset({"group"})
"""What a format of rows that belong together offers beside what all formats do."""


def faults(root: Path) -> Iterator[Fault]:
    """Yield every sibling that differs from its siblings."""
    package = root / "src" / "tunesmith"
    yield from _formats(root, package / "data" / "formats")
    for folder in sorted((package / "modalities").glob("*/")):
        if folder.name == "parts":  # what several modalities are built of
            continue
        if (folder / "__init__.py").is_file():
            yield from _modality(root, folder)


def _formats(root: Path, folder: Path) -> Iterator[Fault]:
    """A format's module offers the same public names as most others do; one of several rows an example also groups."""
    public = {path: public_names(path) for path in sorted(folder.glob("*.py")) if _is_one_of_many(path)}
    if not public:
        return
    usual, _ = Counter(public.values()).most_common(1)[0]
    for path, names in public.items():
        wanted = usual | (names & GROUPED)
        if names != wanted:
            what = f"offers {_listed(names)} where the other formats offer {_listed(wanted)}"
            yield Fault(path.relative_to(root), 1, what, "Give it the same public names; make the rest private.")


def _is_one_of_many(path: Path) -> bool:
    return path.name != "__init__.py" and not path.name.startswith("_") and path.stem != "base"


def _modality(root: Path, folder: Path) -> Iterator[Fault]:
    """A modality has exactly the seven files, names itself, and its rows of families give the same facts."""
    where = folder.relative_to(root)
    found = {path.name for path in folder.glob("*.py")}
    for name in sorted(MODALITY_FILES - found):
        yield Fault(where / name, 1, "the modality lacks this file", "Write it; every modality has the same seven.")
    for name in sorted(found - MODALITY_FILES):
        fix = "Put it into one of the seven files, or into training/ where it is not of this modality alone."
        yield Fault(where / name, 1, "no other modality has this file", fix)
    init = folder / "__init__.py"
    if "MODALITY" not in public_names(init):
        yield Fault(where / "__init__.py", 1, "there is no MODALITY", "Add MODALITY = Modality(name=..., tasks=...).")
    if (folder / "families.py").is_file():
        yield from _families(root, folder / "families.py")


def _families(root: Path, path: Path) -> Iterator[Fault]:
    """Every ``Family(...)`` gives its facts by keyword."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Family" and node.args:
            what = "a Family gives facts by position"
            yield Fault(path.relative_to(root), node.lineno, what, "Name each fact: Family(name=..., ...).")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
