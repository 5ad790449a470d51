from __future__ import annotations

from pathlib import Path

import pytest

from data.sources.reading import faults, values
from tunesmith.data import elements


def test_children_of_the_root_are_rows_and_their_attributes_and_children_columns(tmp_path: Path) -> None:
    (path := tmp_path / "a.xml").write_text(
        '<rows><row id="1"><question>Who?</question><answer>  Ada &amp; co </answer></row>\n'
        "<row><question>What?</question><answer><![CDATA[<b>]]></answer></row></rows>"
    )
    assert values(path) == [
        (1, {"id": "1", "question": "Who?", "answer": "Ada & co"}),
        (2, {"question": "What?", "answer": "<b>"}),
    ]


def test_children_of_one_name_are_a_list_and_nested_ones_objects(tmp_path: Path) -> None:
    turn = "<messages><role>{}</role><content>{}</content></messages>"
    (path := tmp_path / "a.xml").write_text(
        f"<d><c>{turn.format('user', 'Hi')}{turn.format('assistant', 'Yes')}</c></d>"
    )
    assert values(path) == [
        (1, {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]})
    ]


def test_a_child_with_nothing_but_text_is_a_text(tmp_path: Path) -> None:
    (path := tmp_path / "a.xml").write_text('<d><t>one</t><t lang="en">two</t></d>')
    assert values(path) == [(1, "one"), (2, {"lang": "en", "text": "two"})]


@pytest.mark.parametrize(
    ("encoding", "named"), [("latin-1", "iso-8859-1"), ("utf-16", "utf-16"), ("utf-8-sig", "utf-8")]
)
def test_reads_the_encoding_that_the_file_declares(tmp_path: Path, encoding: str, named: str) -> None:
    (path := tmp_path / "a.xml").write_bytes(
        f'<?xml version="1.0" encoding="{named}"?><d><t>Größe</t></d>'.encode(encoding)
    )
    assert values(path) == [(1, "Größe")]


@pytest.mark.parametrize(
    ("content", "rows", "why"),
    [
        ("<d><t>a</t><t>b</d>", 1, "mismatched tag in line 1"),
        ("<d><t>a</t>", 1, "no element found"),
        ("", 0, "the file is empty"),
        ('<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><d><t>&b;</t></d>', 0, "declares the entity 'a'"),
        ('<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d><t>&a;</t></d>', 0, "declares the entity 'a'"),
        ("<d>" + "<a>" * 200 + "</a>" * 200 + "</d>", 0, "nested deeper than 100"),
        ('<?xml version="1.0" encoding="klingon"?><d/>', 0, "unknown encoding"),
        ("<d><t>Gr\udcf6sse</t></d>", 0, "not well-formed"),
    ],
)
def test_ends_with_a_fault_where_it_is_no_xml(tmp_path: Path, content: str, rows: int, why: str) -> None:
    (path := tmp_path / "a.xml").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert len(values(path)) == rows
    [fault] = faults(path)
    assert why in fault.message
    assert fault.where.row == rows + 1


def test_a_row_without_end_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_LINE", 2**20)
    (path := tmp_path / "a.xml").write_text(f"<d><t>a</t><t>{'x' * 2**21}</t></d>")
    assert values(path) == [(1, "a")]
    assert "longer than" in faults(path)[0].message
