"""The working folder of a training, for those who read its data again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder


@contextlib.contextmanager
def where_trained(training: RunFolder) -> Iterator[None]:
    """Stand where the relative paths of a training begin, if that is still there; absolute ones need no folder."""
    folder = training.header().folder
    with contextlib.chdir(folder) if Path(folder).is_dir() else contextlib.nullcontext():
        yield
