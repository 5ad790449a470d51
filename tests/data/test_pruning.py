from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesmith.data import locks
from tunesmith.data.pruning import prune


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Three entries of 1,000 bytes; ``a`` was used longest ago."""
    for age, name in ((3, "a"), (2, "b"), (1, "c")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ids.npy").write_bytes(b"0" * 998)
        (entry := tmp_path / name / "entry.json").write_text("{}")
        os.utime(entry, (1e9 - age, 1e9 - age))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("limit", "left"), [(3000, ["a", "b", "c"]), (2999, ["b", "c"]), (2000, ["b", "c"]), (1999, ["c"]), (0, [])]
)
def test_removes_what_was_not_used_for_longest(cache: Path, limit: int, left: list[str]) -> None:
    prune(cache, limit)
    assert names(cache) == left


def test_leaves_what_is_in_use(cache: Path) -> None:
    held = locks.shared(cache / "a" / "entry.json")
    assert held is not None
    assert [path.name for path in prune(cache, 1500)] == ["b", "c"]
    held.close()
    assert [path.name for path in prune(cache, 500)] == ["a"]


def test_leaves_what_is_no_entry(cache: Path) -> None:
    (cache / ".staging-x").mkdir()
    (cache / "notes.txt").write_text("mine")
    prune(cache, 0)
    assert names(cache) == [".staging-x", "notes.txt"]
