from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.planning.facts import data_facts
from tunesmith.spec.errors import BadValue, DataNotFound, NoSuchColumn, NothingTrained, NoUsableRow
from tunesmith.spec.job import DatasetRef


@pytest.fixture
def encoder(tiny_model: Path) -> TextEncoder:
    return TextEncoder(tiny_model)


def write(path: Path, rows: Sequence[Any]) -> DatasetRef:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DatasetRef(uri=str(path))


def turns(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant") * len(contents)
    return {
        "messages": [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)],
    }


def test_counts_rows_kinds_and_formats(chat_file, encoder):
    facts = data_facts([DatasetRef(uri=str(chat_file))], encoder)
    assert (facts.rows, facts.exact, facts.sampled, facts.faults) == (40, True, 40, 0)
    assert facts.kinds == {"conversation": 40}
    assert facts.formats == {"openai": 40}
    assert facts.sequences_per_row == 1


def test_measures_lengths_and_what_is_trained(chat_file, encoder):
    facts = data_facts([DatasetRef(uri=str(chat_file))], encoder)
    assert facts.lengths["p50"] <= facts.lengths["p95"] <= facts.lengths["p99"] <= facts.lengths["max"]
    assert 0 < facts.trained_share < 1
    assert 10 < facts.mean_length <= facts.lengths["max"]


def test_looks_at_2000_rows_of_many(tmp_path, encoder):
    data = write(tmp_path / "text.jsonl", [{"text": f"line {i}"} for i in range(5000)])
    facts = data_facts([data], encoder)
    assert facts.rows == 5000
    assert 1500 < facts.sampled <= 2000
    assert facts.kinds == {"text": facts.sampled}


def test_leaves_faulty_rows_out_of_the_count(tmp_path, encoder):
    data = write(tmp_path / "mixed.jsonl", [turns("a", "b")] * 6 + [{"nothing": 1}] * 2)
    facts = data_facts([data], encoder)
    assert (facts.rows, facts.faults, facts.exact) == (6, 2, False)


def test_validation_data_is_not_looked_at(tmp_path, encoder):
    train = write(tmp_path / "train.jsonl", [turns("a", "b")] * 3)
    held_out = write(tmp_path / "held.jsonl", [turns("c", "d")] * 9).model_copy(update={"validation": True})
    assert data_facts([train, held_out], encoder).rows == 3


def test_nothing_but_validation_data_is_an_error(chat_file, encoder):
    with pytest.raises(BadValue, match="data to train on"):
        data_facts([DatasetRef(uri=str(chat_file), validation=True)], encoder)


def test_no_usable_row_names_the_first_fault(tmp_path, encoder):
    data = write(tmp_path / "bad.jsonl", [{"nothing": 1}, {"less": 2}])
    with pytest.raises(NoUsableRow, match=r"none of 2 rows.*bad\.jsonl:1"):
        data_facts([data], encoder)


def test_an_empty_file_is_an_error(tmp_path, encoder):
    with pytest.raises(NoUsableRow, match=r"no row can be used\. First fault: .*empty\.jsonl:1: the file holds no row"):
        data_facts([write(tmp_path / "empty.jsonl", [])], encoder)


def test_a_missing_file_is_an_error(tmp_path, encoder):
    with pytest.raises(DataNotFound):
        data_facts([DatasetRef(uri=str(tmp_path / "no.jsonl"))], encoder)


def test_rows_in_which_nothing_is_trained_are_an_error(tmp_path, encoder):
    row = turns("a", "b")
    row["messages"][1]["weight"] = 0
    with pytest.raises((NothingTrained, NoUsableRow)):
        data_facts([write(tmp_path / "mute.jsonl", [row] * 3)], encoder)


def test_a_renamed_column_that_no_row_has_is_refused_and_noted_where_only_a_sample_was_seen(tmp_path, encoder):
    few, many = (write(tmp_path / f"{n}.jsonl", [{"text": f"line {i}"} for i in range(n)]) for n in (5, 5000))
    with pytest.raises(NoSuchColumn, match=r"--columns text=nope: no row of .*5\.jsonl has a column 'nope'"):
        data_facts([few.model_copy(update={"columns": {"text": "nope"}})], encoder)
    assert data_facts([many.model_copy(update={"columns": {"text": "nope"}})], encoder).misnamed == "nope"
    assert data_facts([few], encoder).misnamed is None
