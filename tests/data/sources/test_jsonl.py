from __future__ import annotations

from pathlib import Path

import pytest

from data.sources.reading import faults, values
from tunesmith.data.lines import MAX_LINE
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file


def test_reads_a_value_from_each_line(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n  \n"b"\n[1]\n')
    assert values(path) == [(1, {"text": "a"}), (4, "b"), (5, [1])]


def test_reads_a_file_with_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b"}\r\n')
    assert values(path) == [(1, {"text": "a"}), (2, {"text": "b"})]


def test_one_bad_line_is_one_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": \n{"text": "c"}\n')
    assert values(path) == [(1, {"text": "a"}), (3, {"text": "c"})]
    [fault] = faults(path)
    assert fault.message.startswith(f"{path}:2: cannot be read: not JSON: Expecting value at character 9.")


def test_a_line_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_bytes('{"text": "Größe"}\n'.encode("latin-1") + b'{"text": "b"}\n')
    assert values(path) == [(2, {"text": "b"})]
    assert "byte 0xf6 is not UTF-8" in faults(path)[0].message


def test_a_null_byte_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_bytes(b'{"text": "a\0"}\n{"text": "b"}\n')
    assert values(path) == [(2, {"text": "b"})]
    assert "null byte" in faults(path)[0].message


def test_a_line_that_is_too_long_is_a_fault(tmp_path: Path) -> None:
    with (path := tmp_path / "a.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(5):
            file.write(b"x" * (MAX_LINE // 4))
        file.write(b'"}\n{"text": "b"}\n')
    assert values(path) == [(2, {"text": "b"})]
    assert "longer than 16 MiB" in faults(path)[0].message


def test_deep_nesting_and_endless_numbers_are_faults(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text("[" * 100_000 + "\n" + "1" * 5_000 + "\n" + '{"text": "c"}\n')
    assert values(path) == [(3, {"text": "c"})]
    assert [fault.where.row for fault in faults(path)] == [1, 2]


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_a_file_without_a_row_is_a_fault(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    assert values(path) == []
    assert [fault.code for fault in faults(path)] == ["empty_file"]


def test_passes_over_lines_that_nobody_wants(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('"a"\n{bad\n"c"\n')
    assert [row.values for row in read_file(SourceFile(path), {3}) if isinstance(row, RawRow)] == ["c"]


def test_knows_how_far_it_has_read(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('"a"\n"bc"\n')
    assert [row.position for row in read_file(SourceFile(path)) if isinstance(row, RawRow)] == [4, 9]


def test_a_file_that_the_system_will_not_hand_over_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").symlink_to("/proc/self/mem")
    [fault] = faults(path)
    assert fault.message.startswith(f"{path}:1: cannot be read: the system says")
