"""What a page is made of, and how it becomes Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

HEADER = "<!-- Written from the code by `make docs`; change the docstrings there. -->\n"


@dataclass(frozen=True)
class Row:
    """One documented thing: its cells, and the sentence that says what it is."""

    name: str
    cells: tuple[str, ...]
    text: str
    needs_text: bool = True
    """Whether the check asks for a sentence (an event's field may be plain from its name)."""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph and a table."""

    heading: str
    text: str
    columns: tuple[str, ...] = ()
    """Titles of the cells; the name comes before them and the sentence after."""
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """One file of ``docs/reference/``."""

    name: str
    title: str
    intro: str
    sections: list[Section]

    def render(self) -> str:
        """Write the page as Markdown."""
        return "\n".join([HEADER, f"# {self.title}\n", self.intro.strip() + "\n", *map(_section, self.sections)])

    def entries(self) -> Iterator[tuple[str, str]]:
        """Every documented thing with its sentence; an empty one is a fault."""
        for section in self.sections:
            yield section.heading, section.text
            yield from ((f"{section.heading}: {row.name}", row.text) for row in section.rows if row.needs_text)


def _section(section: Section) -> str:
    lines = [f"## {section.heading}", "", _plain(section.text.strip()), ""]
    if section.rows:
        titles = ("name", *section.columns, "")
        lines.append("| " + " | ".join(titles) + " |")
        lines.append("| " + " | ".join("---" for _ in titles) + " |")
        lines += ["| " + " | ".join(map(_cell, (f"`{row.name}`", *row.cells, row.text))) + " |" for row in section.rows]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("|", "\\|")


def _plain(text: str) -> str:
    """Turn the double backticks of docstrings into Markdown's single ones; fences stay."""
    return re.sub(r"(?<!`)``(?!`)", "`", text)
