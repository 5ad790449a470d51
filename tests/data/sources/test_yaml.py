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


def _bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [" + ", ".join(["boom"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (_bomb(9, 10), "unfold to more than"),
        (_bomb(30, 2), "unfold to more than"),
        ("text: &x [a, *x]\n", "stands inside of what it means"),
        ("text: !!python/object/apply:os.system ['touch canary']\n", "not YAML"),
        ("text: !!python/object/new:os.system ['touch canary']\n", "not YAML"),
        ("text: !!python/name:os.system\n", "not YAML"),
        ("- " * 5000 + "a\n", "nested deeper"),
    ],
    ids=["laughs", "doubling", "within itself", "apply", "new", "name", "deep"],
)
def test_what_would_fill_the_memory_or_run_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(content)
    [fault] = faults(Path("a.yaml"))
    assert why in fault.message
    assert not (tmp_path / "canary").exists()


def test_rows_may_share_what_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {text: a, tags: &t [x, y]}\n" + "- {text: b, tags: *t}\n" * 200)
    assert len(values(tmp_path / "a.yaml")) == 201
