from __future__ import annotations

from pathlib import Path

from data.sources.reading import faults, values


def test_reads_fields_between_tabs(tmp_path: Path) -> None:
    (path := tmp_path / "a.tsv").write_text('question\tanswer\nWho, then?\tAda\n"a\tb"\tc\n')
    assert values(path) == [(2, {"question": "Who, then?", "answer": "Ada"}), (3, {"question": "a\tb", "answer": "c"})]


def test_says_that_a_tab_inside_a_field_needs_quotes(tmp_path: Path) -> None:
    (path := tmp_path / "a.tsv").write_text("question\tanswer\na\tb\tc\n")
    assert "(a tab inside a field needs quotes)" in faults(path)[0].message


def test_commas_divide_where_the_header_has_no_tab(tmp_path: Path) -> None:
    (path := tmp_path / "a.tsv").write_text("question,answer\na,b\n")
    assert values(path) == [(2, {"question": "a", "answer": "b"})]
