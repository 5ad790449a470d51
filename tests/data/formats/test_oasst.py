from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.formats.oasst import FORMAT
from tunesmith.data.mixture import FormattedRow, locate, rows_of
from tunesmith.spec.errors import EmptyRow, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation
from tunesmith.spec.job import DatasetRef

WHERE = Where("trees.jsonl", 1)


def node(name: str, parent: str | None, text: str, **more: Any) -> dict[str, Any]:
    role = "prompter" if len(name) % 2 else "assistant"
    return {"message_id": name, "parent_id": parent, "message_tree_id": name[0], "text": text, "role": role, **more}


def tree(name: str) -> list[dict[str, Any]]:
    """A question with two answers, of which the second is the better one and goes on."""
    return [
        node(name, None, f"{name}?"),
        node(f"{name}1", name, "worse", rank=1),
        node(f"{name}2", name, "better", rank=0.0),
        node(f"{name}21", f"{name}2", "more?", rank=None),
        node(f"{name}3", name, "deleted", rank=-1, deleted=True),
        node(f"{name}212", f"{name}21", "more"),
    ]


def nested(rows: list[dict[str, Any]], root: dict[str, Any]) -> dict[str, Any]:
    return root | {"replies": [nested(rows, row) for row in rows if row["parent_id"] == root["message_id"]]}


def path_of(name: str) -> list[str]:
    return [f"{name}?", "better", "more?", "more"]


def read(path: Path, rows: list[Any], wanted: set[int] | None = None) -> list[FormattedRow | RowFault]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [located] = locate([DatasetRef(uri=str(path))])
    return list(rows_of(located.files[0], located.dataset, wanted))


def spoken(found: list[FormattedRow | RowFault]) -> list[tuple[int, list[str]]]:
    rows = [row for row in found if isinstance(row, FormattedRow) and isinstance(row.example, Conversation)]
    assert len(rows) == len(found)
    return [(row.example.where.row, [turn.content for turn in row.example.messages]) for row in rows]  # type: ignore[union-attr]


def test_follows_the_best_reply_of_a_nested_tree() -> None:
    row = {"message_tree_id": "a", "tree_state": "ready_for_export", "prompt": nested(tree("a"), tree("a")[0])}
    assert FORMAT.sniff(row)
    assert FORMAT.group(row, WHERE) is None
    [example] = FORMAT.examples([(row, WHERE)])
    assert isinstance(example, Conversation)
    assert [turn.content for turn in example.messages] == path_of("a")
    assert [turn.role for turn in example.messages] == ["user", "assistant"] * 2


@pytest.mark.parametrize("backwards", [False, True])
def test_makes_one_conversation_of_the_rows_of_a_tree(tmp_path: Path, backwards: bool) -> None:
    one, two = tree("a")[:: -1 if backwards else 1], tree("b")
    found = read(tmp_path / "flat.jsonl", [*one, *two])
    assert spoken(found) == [(1, path_of("a")), (7, path_of("b"))]
    assert [row.rows for row in found if isinstance(row, FormattedRow)] == [6, 6]


def test_trees_stand_among_rows_of_other_formats(tmp_path: Path) -> None:
    talk = {"user": "u", "assistant": "v"}
    found = read(tmp_path / "mixed.jsonl", [talk, *tree("a"), talk, *tree("b")])
    assert spoken(found) == [(1, ["u", "v"]), (2, path_of("a")), (8, ["u", "v"]), (9, path_of("b"))]


def test_a_tree_is_found_again_by_its_first_row(tmp_path: Path) -> None:
    rows = [*tree("a"), *tree("b"), *tree("c"), {"user": "u", "assistant": "v"}]
    assert spoken(read(tmp_path / "flat.jsonl", rows, {7, 19})) == [(7, path_of("b")), (19, ["u", "v"])]
    assert spoken(read(tmp_path / "flat.jsonl", rows, {1, 13})) == [(1, path_of("a")), (13, path_of("c"))]


def test_a_tree_whose_beginning_was_skipped_is_no_fault(tmp_path: Path) -> None:
    rows = [*tree("a"), *tree("b")]
    assert spoken(read(tmp_path / "flat.jsonl", rows, {3, 7, 10})) == [(7, path_of("b"))]


def test_says_that_the_rows_of_a_tree_must_follow_each_other(tmp_path: Path) -> None:
    first, *rest = tree("a")
    found = read(tmp_path / "flat.jsonl", [first, *tree("b"), *rest])
    faults = [row for row in found if isinstance(row, RowFault)]
    assert [(fault.where.row, fault.column) for fault in faults] == [(1, "text"), (8, "parent_id")]
    assert "rows of a tree must follow each other" in faults[1].message
    assert [row.example.where.row for row in found if isinstance(row, FormattedRow)] == [2]


def test_reads_a_tree_of_which_a_message_is_missing_and_names_what_hangs_in_the_air(tmp_path: Path) -> None:
    rows = [row for row in tree("a") if row["message_id"] != "a1"] + [node("a11", "a1", "lost")]
    found, fault = read(tmp_path / "flat.jsonl", rows)
    assert isinstance(found, FormattedRow)
    assert isinstance(fault, RowFault)
    assert (fault.where.row, fault.column) == (6, "parent_id")


@pytest.mark.parametrize(
    ("change", "fault", "column"),
    [
        ({"text": ""}, EmptyRow, "prompt.replies[0].text"),
        ({"role": "narrator"}, WrongType, "prompt.replies[0].role"),
        ({"rank": "first"}, WrongType, "prompt.replies[0].rank"),
        ({"replies": 3}, WrongType, "prompt.replies[0].replies"),
        ({"replies": ["x"]}, WrongType, "prompt.replies[0].replies[0]"),
    ],
)
def test_names_the_message_at_fault(change: dict[str, Any], fault: type[RowFault], column: str) -> None:
    row = {"message_tree_id": "a", "prompt": nested(tree("a")[:2], tree("a")[0])}
    row["prompt"]["replies"][0] |= change
    with pytest.raises(fault, match=r"trees\.jsonl:1: ") as caught:
        list(FORMAT.examples([(row, WHERE)]))
    assert caught.value.column == column


def test_refuses_messages_that_follow_each_other_in_a_circle() -> None:
    rows = [(node("a", None, "?"), WHERE), (node("a1", "a", "b"), WHERE), (node("a", "a1", "c"), WHERE)]
    with pytest.raises(WrongType, match="message_id"):
        list(FORMAT.examples(rows))
