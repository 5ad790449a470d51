"""``docs/formats.md`` tells of each format and layout, and the rows printed there are rows of that format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault
from tunesmith.data.formats import FORMATS
from tunesmith.data.grouping import Grouping, Made
from tunesmith.data.layouts import LAYOUTS
from tunesmith.spec.errors import RowFault, Where

PAGE = Path("docs/formats.md")
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.M | re.S)
LAYOUT = re.compile(r"^(?:### |\| `)(\w+)", re.M)
BLOCK = re.compile(r"```json\n(.*?)```", re.S)


def faults(root: Path) -> Iterator[Fault]:
    """Yield formats without a section, sections without a format, and rows that their format does not read."""
    text = (root / PAGE).read_text(encoding="utf-8")
    sections = {found[1].strip(): (text[: found.start()].count("\n") + 1, found[2]) for found in SECTION.finditer(text)}
    for name in sorted(FORMATS.keys() - sections.keys()):
        yield Fault(PAGE, 1, f"the format '{name}' has no section", f"Add '## {name}' with a row of it as JSON.")
    for name in sorted(set(LAYOUTS) - set(LAYOUT.findall(text))):
        yield Fault(PAGE, 1, f"the layout '{name}' is not told of", f"Add '### {name}' below the section of its rows.")
    for name, (line, body) in sections.items():
        if name not in FORMATS:
            yield Fault(PAGE, line, f"there is no format '{name}'", "Rename the section or remove it.")
        else:
            yield from _rows(name, line, body)


def _rows(name: str, line: int, body: str) -> Iterator[Fault]:
    rows = [json.loads(row) for block in BLOCK.findall(body) for row in block.splitlines() if row]
    if not rows:
        yield Fault(PAGE, line, f"the section '{name}' shows no row", "Add one as a ```json block.")
    grouping, made = Grouping(), list[Made | RowFault]()
    for row in rows:
        taken = max(FORMATS.values(), key=lambda known: known.sniff(row))
        if taken.name != name or not taken.sniff(row):
            fix = "Show a row of the section's own format, or mend the format's sniff."
            yield Fault(PAGE, line, f"a row below '{name}' is taken for {taken.name}", fix)
            continue
        made += grouping.add(taken, row, Where(str(PAGE), line))
    for each in [*made, *grouping.close()]:
        if isinstance(each, RowFault):
            yield Fault(PAGE, line, f"a row below '{name}' is faulty: {each.message}", "Mend the row.")
