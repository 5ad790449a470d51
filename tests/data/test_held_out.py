"""Rows to measure on: those that training held out and no others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.byte_encoder import ByteEncoder
from tunesmith.data.held_out import NONE_TRAINED, Measurable, Split, given, held_out, trained_digests
from tunesmith.data.mixture import digest
from tunesmith.data.prepare import prepare
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import PlainText
from tunesmith.spec.job import DatasetRef

ROWS = 60
SPLIT = Split(share=0.3, test=0.0, typed=True, seed=7, drop_duplicates=False)


@pytest.fixture
def data(tmp_path: Path) -> DatasetRef:
    """Sixty texts, each fifth of which stands there twice."""
    texts = [f"text {place}" for place in range(ROWS)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, *texts[::5]]))
    return DatasetRef(uri=str(path))


def texts(found: Measurable) -> list[str]:
    return [example.text for example in found.examples if isinstance(example, PlainText)]


def options(tmp_path: Path, **changes: object) -> dict[str, object]:
    how = {"cache_dir": tmp_path / "cache", "length": 64, "limit": 1000, "seed": 1, "trained": NONE_TRAINED}
    return {**how, "progress": lambda name, done: None, **changes}


@pytest.mark.parametrize("test", [0.0, 0.2])
def test_the_rows_are_those_that_training_held_out(test: float, data: DatasetRef, tmp_path: Path) -> None:
    split = Split(share=0.3, test=test, typed=True, seed=7, drop_duplicates=False)
    found = held_out([data], ByteEncoder(), split, **options(tmp_path))  # type: ignore[arg-type]
    prepared = prepare(
        [data], ByteEncoder(), cache_dir=tmp_path / "cache", length=64, split=0.3, split_typed=True, test_split=test,
        seed=7, strict=False, drop_duplicates=False, length_chosen=False, progress=lambda name, done: None,
    )  # fmt: skip
    side = prepared.test if test else prepared.validation
    assert found.side == ("test" if test else "validation")

    def tokens(rows: object) -> list[list[int]]:
        return sorted(rows.row(place)[0].tolist() for place in range(len(rows)))  # type: ignore[attr-defined, arg-type]

    assert tokens(found.rows) == tokens(side)
    assert not {tuple(row) for row in tokens(found.rows)} & {tuple(row) for row in tokens(prepared.train)}
    for place, owner in enumerate(found.owners):
        assert bytes(found.rows.row(place)[0].tolist()[: len(texts(found)[owner])]).decode() == texts(found)[owner]


def test_the_digests_of_a_training_are_those_of_its_rows(data: DatasetRef, tmp_path: Path) -> None:
    found = trained_digests(
        [data], ByteEncoder(), SPLIT, cache_dir=tmp_path / "cache", progress=lambda name, done: None
    )
    held = held_out([data], ByteEncoder(), SPLIT, **options(tmp_path))  # type: ignore[arg-type]
    held_digests = {digest(example) for example in held.examples}
    assert not held_digests & set(found.tolist())
    every = given([data], ByteEncoder(), **options(tmp_path))  # type: ignore[arg-type]
    assert {digest(example) for example in every.examples} == held_digests | set(found.tolist())


def test_rows_that_were_trained_on_are_left_out_and_counted(data: DatasetRef, tmp_path: Path) -> None:
    trained = np.array([digest(PlainText("text 5", Where("elsewhere", 1)))], np.uint64)
    found = given([data], ByteEncoder(), **options(tmp_path, trained=trained))  # type: ignore[arg-type]
    assert "text 5" not in texts(found) and "text 6" in texts(found)
    assert found.trained_on == 2
    assert found.found == ROWS + ROWS // 5 - 2


def test_a_limit_takes_rows_by_the_seed(data: DatasetRef, tmp_path: Path) -> None:
    first, again, other = (
        texts(given([data], ByteEncoder(), **options(tmp_path, limit=10, seed=seed)))  # type: ignore[arg-type]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == len(other) == 10
