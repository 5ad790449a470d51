from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.data import sampling
from tunesmith.data.sampling import Sample, sample
from tunesmith.spec.examples import PlainText
from tunesmith.spec.job import DatasetRef


def texts(found: Sample) -> list[str]:
    return [example.text for example in found.examples if isinstance(example, PlainText)]


def write(path: Path, rows: int) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(f"{row}") + "\n" for row in range(rows)))
    elif path.suffix == ".json":
        path.write_text(json.dumps([f"{row}" for row in range(rows)]))
    else:
        path.write_text("text\n" + "".join(f"{row}\n" for row in range(rows)))
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_looks_at_rows_from_all_over_a_file(tmp_path: Path, name: str) -> None:
    found = sample([DatasetRef(uri=str(write(tmp_path / name, 100)))], 10)
    assert texts(found) == [str(row) for row in range(0, 100, 10)]
    assert (found.total_rows, found.exact, found.formats) == (100, True, {"text": 10})


def test_looks_at_everything_where_there_is_little(tmp_path: Path) -> None:
    (path := write(tmp_path / "a.jsonl", 3)).write_text(path.read_text() + "{bad")
    found = sample([DatasetRef(uri=str(path))], 10)
    assert (len(found.examples), len(found.faults), found.total_rows) == (3, 1, 4)


def test_stays_within_the_limit_of_a_data_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 100)
    found = sample([DatasetRef(uri=str(path), limit=20)], 10)
    assert found.total_rows == 20
    assert texts(found) == [str(row) for row in range(0, 20, 2)]


def test_spreads_over_data_sets_by_their_size(tmp_path: Path) -> None:
    big, small = write(tmp_path / "big.jsonl", 90), write(tmp_path / "small.csv", 10)
    found = sample([DatasetRef(uri=str(big)), DatasetRef(uri=str(small))], 10)
    assert len(found.examples) == 10
    assert texts(found)[-1] == "0"


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_extrapolates_from_the_start_of_a_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_text("text\n" + '"0123456789"\n' * 200_000)
    monkeypatch.setattr(sampling, "COUNTED_BYTES", 2**20)
    monkeypatch.setattr(sampling, "PARSED_BYTES", 2**16)
    found = sample([DatasetRef(uri=str(path))], 10)
    assert not found.exact
    assert found.total_rows == pytest.approx(200_000, rel=0.01)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    found = sample([DatasetRef(uri=str(tmp_path / "a.jsonl"))], 10)
    assert (found.examples, found.total_rows, found.exact) == ([], 0, True)
    assert [fault.code for fault in found.faults] == ["empty_file"]


def test_counts_a_tree_of_messages_as_one(tmp_path: Path) -> None:
    trees = [
        {"message_id": f"{tree}-{n}", "parent_id": f"{tree}-{n - 1}" if n else None, "message_tree_id": f"{tree}",
         "text": "Hi", "role": "assistant" if n % 2 else "prompter"}
        for tree in range(200) for n in range(4)
    ]  # fmt: skip
    path = tmp_path / "flat.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in trees))
    found = sample([DatasetRef(uri=str(path))], 80)
    assert (found.total_rows, found.exact, found.faults) == (200, False, [])
    assert found.formats == {"oasst": len(found.examples)}
    assert len(found.examples) > 10
