from __future__ import annotations

from pathlib import Path

import pytest

from data.sources.reading import faults, values


@pytest.mark.parametrize("name", ["data", "examples", "dataset", "items", "samples"])
def test_reads_an_array_of_tables(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "a.toml").write_text(f'title = "x"\n[[{name}]]\ntext = "a"\n[[{name}]]\ntext = "b"\n')
    assert values(path) == [(1, {"text": "a"}), (2, {"text": "b"})]


def test_reads_a_single_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.toml").write_text('question = "Who?"\nanswer = """\nAda\n"""\n')
    assert values(path) == [(1, {"question": "Who?", "answer": "Ada\n"})]


@pytest.mark.parametrize("content", ["", "# nothing\n"])
def test_a_file_without_a_row_is_a_fault(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.toml").write_text(content)
    assert values(path) == []
    assert [fault.code for fault in faults(path)] == ["empty_file"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'text = "a\n', "not TOML: .* line 1"),
        (b'text = "Gr\xf6sse"\n', "not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b'a = "x"\na = "y"\n', "not TOML: Cannot overwrite"),
    ],
)
def test_says_why_it_cannot_be_read(tmp_path: Path, content: bytes, why: str) -> None:
    (path := tmp_path / "a.toml").write_bytes(content)
    assert values(path) == []
    [fault] = faults(path)
    with pytest.raises(type(fault), match=why):
        raise fault
