from __future__ import annotations

from pathlib import Path

from data.sources.reading import faults, values


def test_every_line_that_is_not_blank_is_a_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_text("one\n\n  two \n\t\nthree")
    assert values(path) == [(1, {"text": "one"}), (3, {"text": "two"}), (5, {"text": "three"})]


def test_a_line_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_bytes(b"one\nGr\xf6sse\nthree\n")
    assert [row for row, _ in values(path)] == [1, 3]
    assert [fault.where.row for fault in faults(path)] == [2]
