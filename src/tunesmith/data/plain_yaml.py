"""What of YAML is read: plain data, neither nested without end nor unfolding from a few lines to gigabytes."""

from __future__ import annotations

from typing import Final

import yaml

MAX_DEPTH: Final = 100
"""Deepest nesting; libyaml's loader overruns the stack somewhere beyond 5,000."""
FREE_NODES: Final = 100_000
"""Values that aliases may unfold to at any ratio."""
MAX_UNFOLDED: Final = 100
"""Most values that one written value may become by aliases; short rows that share one list of tools reach about 50."""

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Builds plain data only."""


def refused(content: str) -> str:
    """Return why a text is not loaded; empty where nothing speaks against it. Aliases unfold where rows are walked."""
    counts: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    written = 0
    for event in yaml.parse(content, Loader=LOADER):
        written += 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) - 1 > MAX_DEPTH:
                return f"it is nested deeper than {MAX_DEPTH} levels"
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_):
                return f"'*{event.anchor}' stands inside of what it means"
            anchor, count = None, counts.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, count = open_.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, count = event.anchor, 1
        else:
            continue
        if anchor is not None:
            counts[anchor] = count
        around, so_far = open_[-1]
        open_[-1] = (around, so_far + count)
        if so_far + count > max(FREE_NODES, MAX_UNFOLDED * written):
            return f"its aliases unfold to more than {MAX_UNFOLDED} times what is written"
    return ""
