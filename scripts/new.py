"""Start one more of a kind, with a test that fails until it is filled in: ``python -m scripts.new KIND NAME [OF]``.

``OF`` is what it belongs to: the modality of a family (text), the row format of a layout (labelled_media).
"""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable
from pathlib import Path
from string import Template

from tunesmith.data.formats import FORMATS
from tunesmith.modalities import MODALITIES

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


def new_layout(name: str, root: Path, of: str = "labelled_media") -> list[Path]:
    """Start a layout of folders: the module, its failing test and its section below that of its row format."""
    if of not in FORMATS:
        raise Refused(f"'{of}' is none of the formats {', '.join(FORMATS)}")
    module = root / "src/tunesmith/data/layouts" / f"{name}.py"
    test = root / "tests/data/layouts" / f"test_{name}.py"
    docs = root / "docs/formats.md"
    _refuse_existing(module, test)
    before, after = _split_once(docs.read_text(encoding="utf-8"), f"\n## {of}\n", docs)
    section, heading, following = after.partition("\n\n## ")
    _write(module, _filled("layout.py.txt", name, of))
    _write(test, _filled("layout_test.py.txt", name))
    _write(docs, before + section.rstrip("\n") + _filled("layout_docs.md.txt", name) + (heading + following or "\n"))
    return [module, test, docs]


def new_family(name: str, root: Path, modality: str = "text") -> list[Path]:
    """Start a family of models of a modality: a row before the last one, and a failing test."""
    if modality not in MODALITIES:
        raise Refused(f"'{modality}' is none of the modalities {', '.join(MODALITIES)}")
    table = root / "src/tunesmith/modalities" / modality / "families.py"
    test = root / "tests/modalities" / modality / "test_families.py"
    text = table.read_text(encoding="utf-8")
    if f'"{name}"' in text:
        raise Refused(f"{table.relative_to(root)} already has a row '{name}'")
    rows, last = _split_once(text, "\n    Family(", table, last=True)
    template = "family.py.txt" if modality == "text" else "family_of_media.py.txt"
    kind = MODALITIES[modality].tasks[0].models[0]
    _write(table, f"{rows}\n{_filled(template, name, kind).rstrip()}{last}")
    head = test.read_text(encoding="utf-8") if test.is_file() else "from __future__ import annotations\n"
    for module, noun in (("base", "family_of"), (f"{modality}.families", "FAMILIES")):
        needed = f"from tunesmith.modalities.{module} import "
        if not re.search(rf"^{re.escape(needed)}.*\b{noun}\b", head, re.M):
            head = head.replace("import annotations\n", f"import annotations\n\n{needed}{noun}\n", 1)
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


KINDS: dict[str, Callable[..., list[Path]]] = {
    "format": new_format,
    "layout": new_layout,
    "family": new_family,
    "modality": new_modality,
}
OF = ("layout", "family")
"""Kinds that belong to something else."""


def _filled(template: str, name: str, of: str = "") -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name, Title=name.title().replace("_", ""), of=of)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise Refused(f"{path} exists already")


def _split_once(text: str, mark: str, path: Path, *, last: bool = False) -> tuple[str, str]:
    before, found, after = text.rpartition(mark) if last else text.partition(mark)
    if not found:
        raise Refused(f"{path} has no line {mark.strip()!r} to put it before or below")
    return before, found + after


def _replaced(path: Path, mark: str, by: str) -> str:
    before, after = _split_once(path.read_text(encoding="utf-8"), mark, path)
    return before + by + after.removeprefix(mark)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the files and say what comes next; exit status 2 when the request is off."""
    if len(arguments) not in (2, 3) or arguments[0] not in KINDS or (len(arguments) == 3 and arguments[0] not in OF):
        print(f"Usage: make new-KIND NAME=name, where KIND is one of {', '.join(KINDS)}.", file=sys.stderr)
        return 2
    kind, name, *of = arguments
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        print(f"NAME={name!r} cannot name a module. Use lower-case letters, digits and _: NAME=foo.", file=sys.stderr)
        return 2
    try:
        paths = KINDS[kind](name, root, *of)
    except Refused as refusal:
        print(f"{refusal}. Choose another.", file=sys.stderr)
        return 2
    test = next(path for path in paths if path.name.startswith("test_"))
    print("\n".join(f"  {path.relative_to(root)}" for path in paths))
    print(f"Next: `make test ARGS={test.relative_to(root)}` fails and says what to fill in.")
    print("Then: `make format docs lint`.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
