"""A folder of model files stays as it is."""

from __future__ import annotations

from pathlib import Path

from tunesmith.service.models.aliases import ALIASES
from tunesmith.service.models.readers import Fetched
from tunesmith.service.models.readers.folder import read
from tunesmith.settings import Settings


def test_the_makers_readme_keeps_a_place_of_its_own(tmp_path: Path) -> None:
    for name in ("config.json", "README.md"):
        (tmp_path / name).write_text(name)
    files = sorted(tmp_path.iterdir())
    told = read(Fetched(ALIASES["minilm-l6"], files, Settings(), lambda stage, done: None), tmp_path / "out")
    assert told == "2 files"
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        "config.json": "config.json",
        "MODEL_CARD.md": "README.md",
    }
