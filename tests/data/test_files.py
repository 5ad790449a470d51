from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.data.files import find
from tunesmith.spec.errors import DataNotFound, UnreadableData


def names(uri: str, top: Path) -> list[str]:
    return [str(file.path.relative_to(top)) for file in find(uri)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a.json", "deep/er/c.csv", "qa/d.txt", "qa/more/e.yml", ".hidden/x.json", "image.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_finds_the_files_of_a_folder_in_depth_and_in_order(tree: Path) -> None:
    assert names(str(tree), tree) == ["a.json", "b.jsonl", "deep/er/c.csv", "qa/d.txt", "qa/more/e.yml"]


def test_a_folder_named_after_a_format_forces_it(tree: Path) -> None:
    forced = {file.path.name: file.format for file in find(str(tree))}
    assert forced == {"a.json": None, "b.jsonl": None, "c.csv": None, "d.txt": "qa", "e.yml": "qa"}
    assert {file.format for file in find(str(tree / "qa"))} == {"qa"}


def test_expands_globs(tree: Path) -> None:
    assert names(f"{tree}/*.json*", tree) == ["a.json", "b.jsonl"]
    assert names(f"{tree}/**/*.csv", tree) == ["deep/er/c.csv"]


def test_a_file_whose_name_is_a_glob_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].json").touch()
    assert names(str(tmp_path / "a[1].json"), tmp_path) == ["a[1].json"]


def test_takes_a_list_with_commas_and_each_file_once(tree: Path) -> None:
    assert names(f"{tree}/b.jsonl, {tree}/a.json,{tree}/*.jsonl", tree) == ["b.jsonl", "a.json"]


def test_a_file_with_a_comma_in_its_name_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a,b.json").touch()
    assert names(str(tmp_path / "a,b.json"), tmp_path) == ["a,b.json"]


def test_follows_the_home_of_the_user(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert names("~/a.json", tree) == ["a.json"]


@pytest.mark.parametrize("uri", ["nothing.json", "*.nothing", "a,b"])
def test_says_that_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataNotFound):
        find(uri)


@pytest.mark.parametrize("name", ["image.png", "/dev/null", "empty", "*.png"])
def test_says_that_what_is_there_holds_no_rows(tree: Path, name: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(UnreadableData, match=r"Files may be: \.csv, \.json"):
        find(str(tree / name))
