"""Files that are a model folder already: they stay as they are."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.service.models.readers import Fetched, Reader


def read(fetched: Fetched, result: Path) -> str:
    """Move the files into the result; the README of the model's makers is kept beside our own."""
    result.mkdir()
    for file in fetched.files:
        os.rename(file, result / ("MODEL_CARD.md" if file.name == "README.md" else file.name))
    return f"{len(fetched.files)} files"


READER = Reader("folder", "none.", read)
