from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.data.files import find, look_up, parts
from tunesmith.data.sources import read_file
from tunesmith.spec.errors import DataNotFound, RowFault, UnreadableData


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


def test_a_list_may_mix_files_folders_globs_archives_and_names_with_commas(tree: Path) -> None:
    (tree / "a,b.json").touch()
    uri = f"{tree}/a,b.json,{tree}/deep,{tree}/*.jsonl"
    assert parts(uri) == [f"{tree}/a,b.json", f"{tree}/deep", f"{tree}/*.jsonl"]
    assert names(uri, tree) == ["a,b.json", "deep/er/c.csv", "b.jsonl"]


def test_notes_what_is_passed_over_but_not_what_comes_with_every_data_set(tree: Path) -> None:
    for name in ("README.md", "LICENSE", "dataset_infos.json", "notes.docx"):
        (tree / name).touch()
    assert look_up(str(tree)).notes == [f"Passed over, as these are no rows: {tree}/notes.docx."]
    assert "dataset_infos.json" not in names(str(tree), tree)
    assert names(str(tree / "dataset_infos.json"), tree) == ["dataset_infos.json"]


def test_pictures_beside_rows_are_not_passed_over_for_the_rows_may_name_them(tree: Path) -> None:
    assert (tree / "image.png").is_file()
    assert look_up(str(tree)).notes == []


def test_recordings_of_which_nothing_says_what_they_are_are_refused_with_the_ways_to_say_it(tmp_path: Path) -> None:
    (tmp_path / "1.wav").touch()
    with pytest.raises(UnreadableData, match=r"nothing says what they are: put each class into a folder of its own"):
        look_up(str(tmp_path))


def test_follows_links_to_folders_but_nowhere_twice(tree: Path, tmp_path: Path) -> None:
    (tree / "deep" / "loop").symlink_to(tree)
    (tree / "linked").symlink_to(tree / "qa")
    (tree / "itself.json").symlink_to(tree / "itself.json")
    found = [file.path.name for file in find(str(tree))]
    assert found == ["a.json", "b.jsonl", "c.csv", "d.txt", "e.yml"]
    assert [file.path.name for file in find(f"{tree}/**/*.csv")] == ["c.csv"]


def test_two_names_of_one_file_are_two_files(tree: Path) -> None:
    (tree / "again.json").symlink_to(tree / "a.json")
    assert names(f"{tree}/a.json,{tree}/again.json,{tree}/qa/../a.json", tree) == ["a.json", "again.json"]


def test_pipes_and_devices_are_no_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(UnreadableData, match="neither a file nor a folder"):
        find(str(tmp_path / "a.jsonl"))
    with pytest.raises(UnreadableData, match="no file of a known type"):
        find(str(tmp_path))


def test_a_file_that_is_gone_or_locked_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}')
    [file] = find(str(path))
    path.unlink()
    [fault] = read_file(file)
    assert isinstance(fault, RowFault)
    assert "the system says 'No such file or directory'" in fault.message


NOBODY = 65534
"""A user to whom a folder can be locked, as it cannot be to root."""


@pytest.fixture
def not_root() -> Iterator[None]:
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(was)


def test_a_folder_that_is_locked_is_one_sentence(not_root: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (locked := Path(folder) / "deep").mkdir()
        locked.chmod(0)
        with pytest.raises(UnreadableData, match="Permission denied"):
            find(folder)
        locked.chmod(0o700)


def test_a_part_of_a_folder_is_its_split(tmp_path: Path) -> None:
    for name in ("train.jsonl", "validation.jsonl", "data/test-00000-of-00001.jsonl", "extra.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(f"{tmp_path}:train", tmp_path) == ["train.jsonl"]
    assert names(f"{tmp_path}:val,{tmp_path}:test", tmp_path) == ["validation.jsonl", "data/test-00000-of-00001.jsonl"]
    with pytest.raises(DataNotFound, match=f"There is {tmp_path}:train, {tmp_path}:validation"):
        find(f"{tmp_path}:trian")


def test_a_folder_without_splits_is_all_train(tree: Path) -> None:
    assert names(f"{tree}/qa:train", tree) == ["qa/d.txt", "qa/more/e.yml"]
    with pytest.raises(DataNotFound, match="has no splits"):
        find(f"{tree}/qa:test")


def test_a_name_with_a_colon_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train:1.json", "C:data.json"):
        Path(name).touch()
        assert [str(file.path) for file in find(name)] == [name]
    for missing in ("C:\\data\\rows.json", "a:b:c:d", ":train", "train:"):
        with pytest.raises(DataNotFound):
            find(missing)
