from __future__ import annotations

from pathlib import Path

import pytest

from data.sources.reading import faults, values


@pytest.mark.parametrize(
    "content", ["- text: a\n- text: b\n", "conversations:\n- text: a\n- text: b\n", "text: a\n---\ntext: b\n"]
)
def test_reads_lists_bare_or_wrapped_and_documents(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.yaml").write_text(content)
    assert values(path) == [(1, {"text": "a"}), (2, {"text": "b"})]


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "data: []\n"])
def test_a_file_without_a_row_is_a_fault(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.yml").write_text(content)
    assert values(path) == []
    assert [fault.code for fault in faults(path)] == ["empty_file"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"- text: a\n- text: [b\n- text: c\n", 3),
        (b"- text: a\n- text: Gr\xf6sse\n", 2),
        (b"- when: 2024-13-45\n", 1),
        (b"- !!python/object/apply:os.system [ls]\n", 1),
        (b"[" * 100_000, 1),
        (b"- " * 100_000 + b"x", 1),
        (b"- text: a\0\n", 1),
    ],
)
def test_names_the_line_at_which_it_breaks(tmp_path: Path, content: bytes, line: int) -> None:
    (path := tmp_path / "a.yaml").write_bytes(content)
    assert values(path) == []
    assert [fault.where.row for fault in faults(path)] == [line]
