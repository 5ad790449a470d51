from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_disk import small_disk
from tunesmith.data.faults import SHOWN, FaultLog
from tunesmith.spec.errors import DiskFull, EmptyRow, UnreadableRow, Where


def test_writes_all_and_keeps_the_first(tmp_path: Path) -> None:
    path = tmp_path / "below" / "faults.jsonl"
    with FaultLog(path) as log:
        for row in range(1, 31):
            log.add(UnreadableRow(Where("a.jsonl", row), "it is bad"))
        log.add(EmptyRow("text", Where("a.jsonl", 31)))
        assert not path.exists()
        faults = log.finish()
    assert (faults.count, faults.by_code, faults.file) == (31, {"unreadable_row": 30, "empty_row": 1}, path)
    assert [fault.where.row for fault in faults.first] == list(range(1, SHOWN + 1))
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == list(range(1, 32))
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_log_leaves_what_was_there(tmp_path: Path) -> None:
    (path := tmp_path / "faults.jsonl").write_text("before\n")
    with pytest.raises(KeyboardInterrupt), FaultLog(path) as log:
        log.add(EmptyRow("text", Where("a.jsonl", 1)))
        raise KeyboardInterrupt
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        with pytest.raises(DiskFull, match="the disk is full"), FaultLog(disk / "faults.jsonl") as log:
            for row in range(20_000):
                log.add(EmptyRow("text", Where("a.jsonl", row)))
        assert list(disk.iterdir()) == []


def test_counts_without_a_file() -> None:
    with FaultLog(None) as log:
        log.add(EmptyRow("text", Where("a.jsonl", 1)))
        faults = log.finish()
    assert (faults.count, faults.file) == (1, None)
