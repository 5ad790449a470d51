"""What holds for every format."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.drawn import draw_into
from data.formats.rows import EXPECTED, ROWS, TEXT_FORMATS, WHERE
from made_sounds import tones, write_sound
from tunesmith.data.check import check
from tunesmith.data.detect import format_of
from tunesmith.data.formats import FORMATS, alone
from tunesmith.data.media import placed
from tunesmith.data.mixture import FormattedRow, digest, locate, rows_of
from tunesmith.spec.errors import MissingColumn, RowFault
from tunesmith.spec.examples import KINDS, Example
from tunesmith.spec.job import DatasetRef

COLUMNS = sorted({name for known in FORMATS.values() for name in (*known.columns, *known.optional)})


def read(path: Path, **dataset: Any) -> list[FormattedRow | RowFault]:
    [located] = locate([DatasetRef(uri=str(path), **dataset)])
    return [row for file in located.files for row in rows_of(file, located.dataset)]


def moved(example: Example, row: int, file: Path) -> Example:
    return placed(replace(example, where=replace(WHERE, file=str(file), row=row)), file.parent, None)


def test_there_is_a_row_of_each_of_the_24_and_of_classes_pictures_and_preferences() -> None:
    assert ROWS.keys() == EXPECTED.keys()
    assert ROWS.keys() <= FORMATS.keys()
    assert len(TEXT_FORMATS) == 24


def test_a_mixed_file_is_read_row_by_row_in_each_rows_own_format(tmp_path: Path) -> None:
    names = list(ROWS)
    random.Random(0).shuffle(names)
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(ROWS[name]) + "\n" for name in names))
    found = [row for row in read(path) if isinstance(row, FormattedRow)]
    assert [row.format for row in found] == names
    assert [row.example for row in found] == [moved(EXPECTED[name], n, path) for n, name in enumerate(names, 1)]


def test_a_check_of_a_mixed_file_counts_a_row_of_each_format(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS.values()))
    draw_into(tmp_path, ("question.png", "caption.png", "label.png"))
    write_sound(tmp_path / "label.wav", tones("abc"))
    report = check([DatasetRef(uri=str(path))])
    assert report.by_format == dict.fromkeys(ROWS, 1)
    assert not report.faults.count


@pytest.mark.parametrize("name", ROWS)
def test_the_order_of_columns_does_not_matter(name: str) -> None:
    for order in itertools.islice(itertools.permutations(ROWS[name]), 24):
        row = {column: ROWS[name][column] for column in order}
        assert format_of(row, WHERE).name == name
        assert list(alone(FORMATS[name], row, WHERE)) == [EXPECTED[name]]


@pytest.mark.parametrize("name", ROWS)
def test_values_do_not_matter(name: str) -> None:
    assert format_of(dict.fromkeys(ROWS[name], None), WHERE).name == name


@pytest.mark.parametrize("name", ROWS)
def test_a_folder_named_after_a_format_forces_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data" / name / "part"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text(json.dumps(ROWS[name]) + '\n{"nothing": 1}\n')
    found, fault = read(tmp_path / "data")
    assert isinstance(found, FormattedRow)
    assert found.format == name
    assert isinstance(fault, MissingColumn)


def test_no_two_formats_recognise_a_row_equally() -> None:
    combinations = itertools.chain.from_iterable(itertools.combinations(COLUMNS, size) for size in (1, 2, 3))
    for names in combinations:
        row = dict.fromkeys(names)
        scores = [score for known in FORMATS.values() if (score := known.sniff(row))]
        assert len(scores) == len(set(scores)), names


def test_every_format_recognises_its_columns_by_a_number_of_its_own() -> None:
    scores = {name: known.sniff(dict.fromkeys(known.columns)) for name, known in FORMATS.items()}
    assert len(set(scores.values())) == len(scores), "choose a number that no other format has"
    assert all(1 <= score <= 99 for score in scores.values())


def test_examples_of_unlike_content_are_told_apart() -> None:
    alike = {"openai", "chat", "oasst", "vicuna", "wizardlm", "guanaco", "lima", "anthropic", "claude"}
    systems = {"sharegpt", "orca", "mistral", "chatml", "llama_chat"}
    digests = {name: digest(example) for name, example in EXPECTED.items()}
    assert len({digests[name] for name in alike}) == len({digests[name] for name in systems}) == 1
    assert len(set(digests.values())) == len(digests) - len(alike) - len(systems) + 2


TEXTS = [
    "### Human: a### Assistant: b",
    "[INST] a [/INST]",
    "<|im_start|>user\na",
    "\n\nHuman: a",
    "USER: a ASSISTANT: b",
    '{"name": "f"}',
    '[{"name": "f", "arguments": 3}]',
    "\ud800",
    "user",
    "assistant",
    "prompter",
    "[" * 2000,
]
KEYS = [
    *("role", "content", "from", "value", "text", "tool_calls", "function", "name", "arguments", "replies", "rank"),
    *("messages", "tools", "path", "user", "assistant", "weight", "message_id", "parent_id"),
]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_row_gives_examples_or_a_fault(name: str, data: st.DataObject) -> None:
    known = FORMATS[name]
    row = dict(ROWS[name])
    for column in data.draw(st.lists(st.sampled_from((*known.columns, *known.optional)), max_size=3)):
        row[column] = data.draw(ANY)
    for column in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=1)):
        del row[column]
    try:
        for example in alone(known, row, WHERE):
            digest(example)
    except RowFault as fault:
        assert str(fault).startswith("mixed.jsonl:1: ")
        assert len(str(fault)) < 600


@pytest.mark.parametrize("name", ROWS)
def test_a_format_says_what_it_produces(name: str) -> None:
    assert FORMATS[name].produces == KINDS[type(EXPECTED[name])]
