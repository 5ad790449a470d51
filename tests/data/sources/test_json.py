from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.sources.reading import faults, values
from tunesmith.data import json_stream
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


@pytest.mark.parametrize(
    ("content", "rows", "broken"),
    [
        ('[{"text": "a"},\n{"text": },\n{"text": "c"}]', ["a", "c"], {2: "Expecting value in line 2"}),
        ('[\n  {"text": "a"},\n  {"text: "b"},\n  {"text": "c"}\n]', ["a", "c"], {2: "in line 3"}),
        ('[\n {\n  "text": "a\n },\n {\n  "text": "c"\n }\n]', ["c"], {1: "Invalid control character at in line 3"}),
        ('[{"text": "a"}, {"text": [1,}, {"text": "c"}]', ["a"], {2: "Expecting value in line 1"}),
        ('[{"text": "a"}, {"text": nil, "x": ["]"]}, {"text": "c"}]', ["a", "c"], {2: "Expecting value"}),
        ('[{"text": "a"}, {"text": "b"', ["a"], {2: "Expecting ',' delimiter in line 1"}),
        ('{"data": [{"text": "a"}, oops, {"text": "c"}], "version": 1}', ["a", "c"], {2: "Expecting value"}),
        ('{"text": "a", "text": "b"}', [], {1: "stands twice"}),
        ('[{"text": "a"}, {"text": "b", "text": "c"}]', ["a"], {2: "'text' stands twice"}),
        ("[" * 100_000, [], {1: "nested too deeply"}),
        ('[{"text": "a"}] x', ["a"], {2: "text goes on behind the end"}),
        ('[{"text": "a"} {"text": "b"}]', ["a"], {2: "Expecting ','"}),
    ],
)
def test_what_is_no_json_spoils_its_own_row(
    tmp_path: Path, content: str, rows: list[str], broken: dict[int, str]
) -> None:
    (path := tmp_path / "a.json").write_text(content)
    assert [row for _, row in values(path)] == [{"text": text} for text in rows]
    found = {fault.where.row: fault.message for fault in faults(path)}
    assert [row for row in found if row in broken] == list(broken)
    assert all(why in found[row] for row, why in broken.items())


def test_reads_not_a_number_as_what_it_is(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text('[{"text": "a", "score": NaN}, {"text": "b", "score": -Infinity}]')
    (_, first), (_, second) = values(path)
    assert isinstance(first, dict) and math.isnan(first["score"])
    assert second == {"text": "b", "score": -math.inf}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(json_values, min_size=2, max_size=6), indent=st.none() | st.integers(0, 2), block=st.integers(1, 40)
)
def test_reads_what_pythons_json_writes_however_it_is_cut_into_pieces(
    monkeypatch: pytest.MonkeyPatch, rows: list[object], indent: int | None, block: int
) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", block)
    content = json.dumps(rows, indent=indent, ensure_ascii=bool(block % 2)).encode("utf-8", "surrogatepass")
    found = list(json_stream.JsonStream(io.BufferedReader(io.BytesIO(content)), ()).rows())
    assert json.dumps(found) == json.dumps(rows)


def test_a_row_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE", 10_000)
    monkeypatch.setattr(json_stream, "BLOCK", 1_000)
    long = json.dumps({"text": '],"' * 10_000})
    for separator in (", ", ",\n"):
        (path := tmp_path / "a.json").write_text(
            f'[{separator[1]}{{"text": "a"}}{separator}{long}{separator}{{"text": "c"}}]'
        )
        assert values(path) == [(1, {"text": "a"}), (3, {"text": "c"})]
        assert [(fault.where.row, "longer than" in fault.message) for fault in faults(path)] == [(2, True)]


def test_takes_the_articles_of_squad_apart(tmp_path: Path) -> None:
    answers = [{"text": "Ada", "answer_start": 0}]
    paragraph = {"context": "Ada wrote it.", "qas": [{"id": "q1", "question": "Who?", "answers": answers}]}
    document = {"version": "1.1", "data": [{"title": "Notes", "paragraphs": [paragraph, paragraph]}]}
    (path := tmp_path / "a.json").write_text(json.dumps(document))
    row = {
        "id": "q1",
        "title": "Notes",
        "context": "Ada wrote it.",
        "question": "Who?",
        "answers": {"text": ["Ada"], "answer_start": [0]},
    }
    assert values(path) == [(1, row), (2, row)]


def test_bytes_that_are_no_text_spoil_only_their_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_bytes(b'[{"text": "Gr\xf6sse"}, {"text": "b"}]')
    (_, first), (_, second) = values(path)
    assert second == {"text": "b"}
    assert isinstance(first, dict)
    with pytest.raises(UnreadableRow, match="not valid UTF-8 at character 3"):
        text(first, "text", Where("a.json", 1))


@pytest.mark.parametrize(
    "content",
    [
        '[{"a": 1}, {"a":',
        '[{"a": 1},',
        '{"data": [{"a": 1}, {"a":',
        '{"data": [\n{"a": 1},\n{"a":',
        '{"data": [\n{"a": 1},\n{"a": x}\n]}',
    ],
)
def test_a_document_that_breaks_off_is_one_fault(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.json").write_text(content)
    assert [row for _, row in values(path)] == [{"a": 1}]
    assert len(faults(path)) == 1
