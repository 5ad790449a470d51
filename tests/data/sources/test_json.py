from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.sources.reading import faults, values
from tunesmith.data.columns import text
from tunesmith.spec.errors import UnreadableRow, Where

ROWS = [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize("document", [ROWS, *({key: ROWS} for key in ("data", "examples", "items", "samples"))])
def test_reads_a_list_bare_or_wrapped(tmp_path: Path, document: object) -> None:
    (path := tmp_path / "a.json").write_text(json.dumps(document))
    assert values(path) == [(1, {"text": "a"}), (2, {"text": "b"})]


def test_reads_a_single_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text('{"text": "a", "data": "x"}')
    assert values(path) == [(1, {"text": "a", "data": "x"})]


def test_reads_lines_of_json_under_this_name(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text('\n{"text": "a"}\n{"text": "b"}\n{bad\n')
    assert values(path) == [(2, {"text": "a"}), (3, {"text": "b"})]
    assert [fault.where.row for fault in faults(path)] == [4]


@pytest.mark.parametrize("content", ["", " \n", "[]", '{"data": []}'])
def test_a_file_without_a_row_is_a_fault(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.json").write_text(content)
    assert values(path) == []
    assert [fault.code for fault in faults(path)] == ["empty_file"]


@pytest.mark.parametrize(("content", "line"), [('[{"text": "a"},\n{"text": }]', 2), ("[" * 100_000, 1), ("[1] x", 1)])
def test_names_the_line_at_which_it_breaks(tmp_path: Path, content: str, line: int) -> None:
    (path := tmp_path / "a.json").write_text(content)
    assert values(path) == []
    assert [fault.where.row for fault in faults(path)] == [line]


def test_bytes_that_are_no_text_spoil_only_their_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_bytes(b'[{"text": "Gr\xf6sse"}, {"text": "b"}]')
    (_, first), (_, second) = values(path)
    assert second == {"text": "b"}
    assert isinstance(first, dict)
    with pytest.raises(UnreadableRow, match="not valid UTF-8 at character 3"):
        text(first, "text", Where("a.json", 1))
