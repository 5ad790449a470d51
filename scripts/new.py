"""Start one more of a kind, with a test that fails until it is filled in: ``python -m scripts.new KIND NAME``."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).resolve().parent / "templates"


class Refused(Exception):
    """The name cannot be used; the message says why."""


def new_format(name: str, root: Path) -> list[Path]:
    """Start a data set format: the module, its failing test and its section in the documents."""
    module = root / "src/tunesmith/data/formats" / f"{name}.py"
    test = root / "tests/data/formats" / f"test_{name}.py"
    docs = root / "docs/formats.md"
    _refuse_existing(module, test)
    _write(module, _filled("format.py.txt", name))
    _write(test, _filled("format_test.py.txt", name))
    _write(docs, docs.read_text(encoding="utf-8") + _filled("format_docs.md.txt", name))
    return [module, test, docs]


def new_family(name: str, root: Path) -> list[Path]:
    """Start a family of language models: a row before the last one, and a failing test."""
    table = root / "src/tunesmith/modalities/text/families.py"
    test = root / "tests/modalities/text/test_families.py"
    text = table.read_text(encoding="utf-8")
    if f'"{name}"' in text:
        raise Refused(f"{table.relative_to(root)} already has a row '{name}'")
    rows, last = _split_once(text, '    Family(\n        name="any other"', table)
    _write(table, rows + _filled("family.py.txt", name) + last)
    head = test.read_text(encoding="utf-8") if test.is_file() else "from __future__ import annotations\n"
    needed = "from tunesmith.modalities.text.families import family_for"
    imported = re.search(r"^from tunesmith\.modalities\.text\.families import .*\bfamily_for\b", head, re.M)
    head = head if imported else head.replace("import annotations\n", f"import annotations\n\n{needed}\n", 1)
    _write(test, head + _filled("family_test.py.txt", name))
    return [table, test]


def new_modality(name: str, root: Path) -> list[Path]:
    """Start a modality: its seven files, its place in the table and in the import rules, and a failing test."""
    folder = root / "src/tunesmith/modalities" / name
    table = folder.parent / "__init__.py"
    rules = root / "pyproject.toml"
    test = root / "tests/modalities" / name / "test_modality.py"
    _refuse_existing(folder, test)
    listed = _replaced(table, "from tunesmith.modalities import ", f"from tunesmith.modalities import {name}, ")
    _write(table, listed.replace("text.MODALITY,", f"text.MODALITY, {name}.MODALITY,"))
    _write(rules, _replaced(rules, " | (text)", f" | ({name}) | (text)"))
    files = [folder / template.name.removesuffix(".txt") for template in sorted((TEMPLATES / "modality").iterdir())]
    for file in files:
        _write(file, _filled(f"modality/{file.name}.txt", name))
    _write(test, _filled("modality_test.py.txt", name))
    return [*files, table, rules, test]


KINDS: dict[str, Callable[[str, Path], list[Path]]] = {
    "format": new_format,
    "family": new_family,
    "modality": new_modality,
}


def _filled(template: str, name: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name, Title=name.title().replace("_", ""))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise Refused(f"{path} exists already")


def _split_once(text: str, mark: str, path: Path) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise Refused(f"{path} has no line {mark.strip()!r} to put the row before")
    return before, found + after


def _replaced(path: Path, mark: str, by: str) -> str:
    before, after = _split_once(path.read_text(encoding="utf-8"), mark, path)
    return before + by + after.removeprefix(mark)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the files and say what comes next; exit status 2 when the request is off."""
    if len(arguments) != 2 or arguments[0] not in KINDS:
        print(f"Usage: make new-KIND NAME=name, where KIND is one of {', '.join(KINDS)}.", file=sys.stderr)
        return 2
    kind, name = arguments
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        print(f"NAME={name!r} cannot name a module. Use lower-case letters, digits and _: NAME=foo.", file=sys.stderr)
        return 2
    try:
        paths = KINDS[kind](name, root)
    except Refused as refusal:
        print(f"{refusal}. Choose another NAME.", file=sys.stderr)
        return 2
    test = next(path for path in paths if path.name.startswith("test_"))
    print("\n".join(f"  {path.relative_to(root)}" for path in paths))
    print(f"Next: `make test ARGS={test.relative_to(root)}` fails and says what to fill in.")
    print("Then: `make format docs lint`.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
