from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.sources.reading import faults, values
from tunesmith.data import delimited


def test_reads_rows_below_the_header(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('question, answer\nWho?,Ada\n\n"a, b","say ""hi""\nthere"\nx,y\n')
    assert values(path) == [
        (2, {"question": "Who?", "answer": "Ada"}),
        (4, {"question": "a, b", "answer": 'say "hi"\nthere'}),
        (6, {"question": "x", "answer": "y"}),
    ]


def test_a_quote_in_the_middle_of_a_field_is_a_quote(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('question,answer\n5" wide?,yes\n')
    assert values(path) == [(2, {"question": '5" wide?', "answer": "yes"})]


def test_an_unclosed_quote_spoils_only_its_line(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('question,answer\na,b\n"open,c\nd,e\nf,g\n')
    assert values(path) == [
        (2, {"question": "a", "answer": "b"}),
        (4, {"question": "d", "answer": "e"}),
        (5, {"question": "f", "answer": "g"}),
    ]
    [fault] = faults(path)
    assert fault.where.row == 3
    assert "a quote is opened and never closed" in fault.message


def test_text_behind_a_quoted_field_is_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('question,answer\n"a" x,b\nc,d\n')
    assert [row for row, _ in values(path)] == [3]
    assert [fault.where.row for fault in faults(path)] == [2]


def test_more_fields_than_columns_are_a_fault(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("question,answer\na,b, c\nd,e\n")
    assert [row for row, _ in values(path)] == [3]
    assert "3 fields where the header has 2 columns" in faults(path)[0].message


def test_a_row_of_empty_fields_is_a_row_and_a_blank_line_is_none(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text(",\nquestion,answer\n\n,\nc,d\n")
    assert values(path) == [(4, {"question": "", "answer": ""}), (5, {"question": "c", "answer": "d"})]


def test_a_short_row_lacks_columns(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("question,answer\na\n")
    assert values(path) == [(2, {"question": "a"})]


@pytest.mark.parametrize("content", [b"", b"question,answer\n", b"\xef\xbb\xbf\n"])
def test_finds_nothing_below_no_header(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "a.csv").write_bytes(content)
    assert values(path) == []
    assert [fault.code for fault in faults(path)] == ["empty_file"]


def test_reads_on_behind_a_line_that_is_no_text(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfquestion,answer\nGr\xf6sse,1\nb,2\n\0,3\nc,4\n")
    assert [row for row, _ in values(path)] == [3, 5]
    assert [fault.where.row for fault in faults(path)] == [2, 4]


fields = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(fields, fields.filter(bool)), max_size=5))
def test_reads_what_pythons_csv_writes(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    content = io.StringIO(newline="")
    csv.writer(content, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    (path := tmp_path / "a.csv").write_bytes(content.getvalue().encode())
    assert [found for _, found in values(path)] == [{"a": first, "b": second} for first, second in rows]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_header_says_what_divides_the_fields(tmp_path: Path, delimiter: str) -> None:
    (path := tmp_path / "a.csv").write_text(f"question{delimiter}answer\nWho, then?{delimiter}Ada\n")
    assert values(path) == [(2, {"question": "Who, then?", "answer": "Ada"})]


def test_a_column_named_twice_is_a_fault_and_the_rows_are_read(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("text,text\na,b\n")
    assert values(path) == [(2, {"text": "b"})]
    assert "names column 'text' twice" in faults(path)[0].message


def test_an_unclosed_quote_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_LINES", 100)
    (path := tmp_path / "a.csv").write_text('text\n"open\n' + "a\n" * 1000)
    assert [row for row, _ in values(path)] == list(range(3, 1003))
    assert [(fault.where.row, "never closed" in fault.message) for fault in faults(path)] == [(2, True)]
