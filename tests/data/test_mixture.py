from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mixture import digest, read, repeats, split
from tunesmith.spec.errors import DataNotFound, MissingColumn, NoSuchColumn, RowFault, UnknownFormat, UnknownName, Where
from tunesmith.spec.examples import Conversation, Message, PlainText, PromptCompletion
from tunesmith.spec.job import DatasetRef


def test_reads_mixed_rows_each_in_its_own_format(tmp_path: Path) -> None:
    (path := tmp_path / "mixed.jsonl").write_text(
        '{"instruction": "a", "output": "b"}\n{"text": "c"}\n"d"\n{"prompt": "e", "completion": "f"}\n'
        '{"question": "g", "answer": "h"}\n{"nothing": 1}\n'
    )
    found = list(read([DatasetRef(uri=str(path))]))
    kinds = [Conversation, PlainText, PlainText, PromptCompletion, Conversation, UnknownFormat]
    assert [type(row) for row in found] == kinds


def test_reads_data_sets_in_their_order(tmp_path: Path) -> None:
    (first := tmp_path / "z.txt").write_text("one\ntwo\n")
    (second := tmp_path / "a.txt").write_text("three\n")
    found = read([DatasetRef(uri=str(first)), DatasetRef(uri=str(second))])
    assert [row.text for row in found if isinstance(row, PlainText)] == ["one", "two", "three"]


def test_takes_the_first_usable_rows_up_to_the_limit(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('"a"\n{bad\n"b"\n"c"\n')
    found = list(read([DatasetRef(uri=str(path), limit=2), DatasetRef(uri=str(path), limit=1)]))
    assert [row.text for row in found if isinstance(row, PlainText)] == ["a", "b", "a"]


def test_a_named_format_is_not_guessed(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    [fault] = read([DatasetRef(uri=str(path), format="qa")])
    assert isinstance(fault, MissingColumn)
    assert fault.message.startswith(f"{path}:1: no column 'question' (found: text).")


def test_a_named_format_beats_the_folders(tmp_path: Path) -> None:
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "a.jsonl").write_text('{"text": "a"}\n')
    assert isinstance(next(read([DatasetRef(uri=str(tmp_path))])), MissingColumn)
    assert isinstance(next(read([DatasetRef(uri=str(tmp_path), format="text")])), PlainText)


def test_renames_columns(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
    [row] = read([DatasetRef(uri=str(path), columns={"output": "response"})])
    assert isinstance(row, Conversation)
    assert row.messages[1].content == "b"


def test_finds_every_data_set_before_it_reads_one(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(DataNotFound):
        next(read([DatasetRef(uri=str(path)), DatasetRef(uri="nowhere.txt")]))
    with pytest.raises(UnknownName, match="Did you mean 'alpaca'"):
        next(read([DatasetRef(uri=str(path), format="alpacca")]))


def test_values_too_deep_to_be_shown_are_faults(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    (path := tmp_path / "a.jsonl").write_text(f'{{"text": {deep}}}\n"b"\n')
    first, second = read([DatasetRef(uri=str(path))])
    assert isinstance(first, RowFault)
    assert isinstance(second, PlainText)


def test_faults_hold_on_to_nothing(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": 1}\n{bad\n')
    for fault in read([DatasetRef(uri=str(path))]):
        assert isinstance(fault, RowFault)
        assert fault.__traceback__ is fault.__context__ is None


@given(rows=st.integers(1, 500), share=st.floats(0, 0.99), seed=st.integers(0, 2**32 - 1))
def test_a_split_gives_every_row_one_side(rows: int, share: float, seed: int) -> None:
    train, validation, test = split(rows, share, seed, test=(1 - share) / 2)
    assert (len(validation), len(test)) == (int(rows * share), int(rows * (1 - share) / 2))
    assert sorted([*train, *validation, *test]) == list(range(rows))
    assert validation.tolist() == split(rows, share, seed)[1].tolist()


def test_a_split_is_the_seeds_own() -> None:
    assert split(100, 0.1, 42)[1].tolist() == [83, 53, 70, 45, 44, 39, 22, 80, 10, 0]
    assert split(100, 0.1, 43)[1].tolist() != split(100, 0.1, 42)[1].tolist()


def test_equal_content_has_equal_digests_wherever_it_stands() -> None:
    here, there = Where("a", 1), Where("b", 2)
    turns = (Message("user", "a"), Message("assistant", "b"))
    assert digest(Conversation(turns, here)) == digest(Conversation(turns, there))
    others = [
        Conversation((Message("user", "ab"), Message("assistant", "")), here),
        Conversation((Message("user", "a"), Message("assistant", "b", train=False)), here),
        PlainText("ab", here),
        PromptCompletion("a", "b", here),
        PromptCompletion("ab", "", here),
    ]
    assert len({digest(example) for example in [Conversation(turns, here), *others]}) == 6


def test_marks_repeats_and_not_what_they_repeat() -> None:
    digests = np.array([5, 3, 5, 5, 3, 1], np.uint64)
    assert repeats(digests).tolist() == [False, False, True, True, True, False]
    assert repeats(digests[:0]).tolist() == []


@given(texts=st.lists(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1), max_size=20))
def test_reads_back_any_text_that_json_can_write(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_text("\n".join(json.dumps(text) for text in texts))
    found = [row.text for row in read([DatasetRef(uri=str(path))]) if isinstance(row, PlainText)]
    assert found == [text for text in texts if text.strip()]


def test_a_rename_that_no_row_has_a_use_for_is_refused_and_the_near_name_said(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"instruction": "a", "output": "b", "answer": "c"}\n' * 2)
    sentence = r"--columns output=anwser: no row of .*a.jsonl has a column 'anwser' .*Did you mean 'answer'"
    with pytest.raises(NoSuchColumn, match=sentence):
        list(read([DatasetRef(uri=str(path), columns={"output": "anwser"})]))


def test_a_rename_for_several_data_sets_needs_one_row_that_has_the_column(tmp_path: Path) -> None:
    (first := tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (second := tmp_path / "b.jsonl").write_text('{bad\n{"text": "b"}\n{"words": "c"}\n')
    found = read([DatasetRef(uri=str(path), columns={"text": "words"}) for path in (first, second)])
    assert [row.text for row in found if isinstance(row, PlainText)] == ["a", "b", "c"]
