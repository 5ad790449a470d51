"""A name for a run that has none."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from tunesmith.spec.job import JobSpec

LONGEST: Final = 64
"""Characters that a name may have."""


def run_name(spec: JobSpec) -> str:
    """Join the last parts of the model's and the first data set's names, such as ``smollm2-135m-instruct-faq``."""
    parts = PurePath(spec.datasets[0].uri.split(",")[0]).parts
    data = next((part for part in reversed(parts) if "*" not in part), "")
    model = _plain(PurePath(spec.model.source).name)[: LONGEST // 2]
    return f"{model}-{_plain(PurePath(data).stem)}"[:LONGEST].strip("-._") or "run"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-._").lower()
