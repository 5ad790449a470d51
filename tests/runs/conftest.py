from __future__ import annotations

from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.runs.folder import RunFolder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "lora"


@pytest.fixture
def run(home: Path, output: Path) -> RunFolder:
    """A training run that was made by this process and not launched."""
    return RunFolder.create(home, kind="train", name="faq", plan=sample_plan(output), output=output)
