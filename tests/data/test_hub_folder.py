from __future__ import annotations

import pytest

from tunesmith.data.hub_folder import Layout, complete, layout_of

README = """---
license: mit
configs:
- config_name: main
  default: true
  data_files:
  - split: train
    path: main/train-*
  - split: dev
    path: ["main/dev.jsonl", "more/*.jsonl"]
- config_name: other
  data_files: other/*.jsonl
- config_name: folder
  data_dir: folder
---
# A data set
"""
NAMES = ["main/train-00000-of-00001.parquet", "main/dev.jsonl", "more/x.jsonl", "other/a.jsonl", "folder/test.csv",
         "folder/train.csv"]  # fmt: skip


def seen(*names: str, readme: str = "") -> Layout:
    layout = layout_of(names, readme)
    assert layout is not None
    return layout


def test_the_readme_says_which_files_are_which_split() -> None:
    layout = seen(*NAMES, readme=README)
    assert layout.configs == {
        "main": {"train": (NAMES[0],), "dev": (NAMES[1], NAMES[2])},
        "other": {"train": (NAMES[3],)},
        "folder": {"train": (NAMES[5],), "test": (NAMES[4],)},
    }
    assert (layout.default, layout.written, layout.others) == ("main", True, ())


@pytest.mark.parametrize(
    ("choice", "files"),
    [
        ([], NAMES[:1]),
        (["train"], NAMES[:1]),
        (["validation"], NAMES[1:3]),
        (["dev"], NAMES[1:3]),
        (["other"], NAMES[3:4]),
        (["folder"], NAMES[5:]),
        (["folder", "test"], NAMES[4:5]),
        (["test"], []),
        (["folder", "validation"], []),
    ],
)
def test_one_word_is_a_split_if_there_is_one_else_a_configuration(choice: list[str], files: list[str]) -> None:
    assert list(seen(*NAMES, readme=README).chosen(choice)) == files


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train.jsonl", "valid.jsonl.gz", "Test.csv"], ["train", "validation", "test"]),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], ["train"]),
        (["train/a.json", "train/b/c.json", "val/a.json"], ["train", "validation"]),
        (["train_1.jsonl", "train_2.jsonl", "dev.jsonl"], ["train", "validation"]),
    ],
)
def test_names_of_files_and_folders_say_the_split(names: list[str], splits: list[str]) -> None:
    layout = seen(*names)
    assert list(layout.configs["default"]) == splits
    assert not layout.others and not layout.written


def test_folders_with_splits_are_configurations() -> None:
    layout = seen("cola/train.jsonl", "cola/test.jsonl", "sst2/train-00000-of-00001.parquet", "loose.jsonl")
    assert layout.chosen(["cola", "test"]) == ("cola/test.jsonl",)
    assert layout.chosen(["sst2"]) == ("sst2/train-00000-of-00001.parquet",)
    assert layout.chosen([]) == ()
    assert layout.others == ("loose.jsonl",)
    assert layout.offer("glue").startswith("There is glue:cola:train, glue:cola:test, glue:sst2:train")


@pytest.mark.parametrize(
    "names",
    [["base_training.json", "more.jsonl"], ["test.jsonl", "validation.jsonl"], ["retrain.json"], ["chat/a.jsonl"], []],
)
def test_other_folders_are_not_laid_out_like_that(names: list[str]) -> None:
    assert layout_of(names, "# Rows\n") is None


@pytest.mark.parametrize("head", ["[\n", "configs: 3\n", "configs: [a, {config_name: b}]\n", "", "- x\n"])
def test_a_readme_that_says_nothing_useful_is_passed_over(head: str) -> None:
    assert not seen("train.jsonl", "test.jsonl", readme=f"---\n{head}---\n").written


def test_a_series_is_complete_when_every_number_is_there() -> None:
    assert complete(["a/train-00000-of-00002.parquet", "a/train-00001-of-00002.parquet", "test.jsonl"])
    assert not complete(["a/train-00000-of-00002.parquet", "test.jsonl"])
