"""Text as programs save it, and as it should not be."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from data.sources.reading import faults, values
from tunesmith.data.lines import count_lines
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "utf-16-be-mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.yaml"])
def test_reads_what_a_byte_order_mark_announces(tmp_path: Path, encoding: str, end: str, name: str) -> None:
    content = {
        "a.jsonl": '{"text": "Größe 🙂"}\n{"text": "b"}\n',
        "a.json": '[{"text": "Größe 🙂"},\n{"text": "b"}]',
        "a.csv": "text\nGröße 🙂\nb\n",
        "a.yaml": "- text: Größe 🙂\n- text: b\n",
    }[name]
    if marked := encoding.endswith("-mark"):
        content, encoding = "\ufeff" + content, encoding.removesuffix("-mark")
    (path := tmp_path / name).write_bytes(content.replace("\n", end).encode(encoding))
    assert marked or content[0] != "\ufeff"
    assert [row for _, row in values(path)] == [{"text": "Größe 🙂"}, {"text": "b"}]


def test_utf_16_that_breaks_off_spoils_its_last_line(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_bytes("one\ntwo".encode("utf-16")[:-1])
    assert values(path) == [(1, {"text": "one"})]
    assert [fault.where.row for fault in faults(path)] == [2]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_latin_1_file_names_the_lines_and_the_cure(tmp_path: Path, name: str) -> None:
    lines = {"a.txt": "{}\n", "a.csv": "{}\n", "a.jsonl": '{{"text": "{}"}}\n'}[name]
    texts = ["text", "plain", "Größe", "plain too"]
    (path := tmp_path / name).write_bytes("".join(lines.format(text) for text in texts).encode("latin-1"))
    assert [row for _, row in values(path)][-2:] == [{"text": "plain"}, {"text": "plain too"}]
    [fault] = faults(path)
    assert fault.where.row == 3
    assert "save the file as UTF-8" in fault.message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_a_line_of_100_mb_is_a_fault_in_little_memory(tmp_path: Path, name: str) -> None:
    head, tail = {"a.json": ('[{"text": "a"},\n"', '",\n{"text": "b"}]'), "a.csv": ("text\na\n", "\nb\n")}.get(
        name, ('"a"\n"', '"\n"b"\n')
    )
    with (path := tmp_path / name).open("w") as file:
        file.write(head)
        for _ in range(25):
            file.write("x" * 2**22)
        file.write(tail)
    tracemalloc.start()
    found = list(read_file(SourceFile(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27
    assert [isinstance(row, RawRow) for row in found] == [True, False, True]


def test_lines_are_counted_like_they_are_read(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_bytes(b"a\r\n\n\nb")
    assert count_lines(SourceFile(path), 2**20) == (4, 6)


def test_a_file_that_shrinks_while_it_is_read_ends(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}\n' * 1_000_000)
    found = 0
    for row in read_file(SourceFile(path)):
        found += isinstance(row, RawRow)
        if found == 10:
            os.truncate(path, 100)
    assert 10 <= found < 1_000_000
