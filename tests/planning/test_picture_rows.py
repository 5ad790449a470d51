from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.drawn import draw_into
from tiny import make_tokenizer
from tunesmith.data.check import check
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.planning.data_sample import data_facts
from tunesmith.spec.errors import NoUsableRow
from tunesmith.spec.job import DatasetRef

PICTURES = [{"image": f"{n}.png", "caption": "A cat."} for n in range(6)]
CHATS = [{"user": f"Hello {n}?", "assistant": "Yes?"} for n in range(4)]
SENTENCE = "a picture cannot be used with this model: it reads text alone. Train a multimodal model"


def written(path: Path, rows: list[dict[str, str]]) -> list[DatasetRef]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [DatasetRef(uri=str(path))]


@pytest.fixture
def encoder(tmp_path: Path) -> TextEncoder:
    make_tokenizer(tmp_path)
    return TextEncoder(tmp_path)


def test_pictures_alone_end_a_text_job_with_what_to_do(tmp_path: Path, encoder: TextEncoder) -> None:
    with pytest.raises(NoUsableRow, match=f"none of 6 rows can be used.*{SENTENCE}") as caught:
        data_facts(written(tmp_path / "pictures.jsonl", PICTURES), encoder)
    assert caught.value.exit_code == 65


def test_pictures_among_text_are_left_out_and_counted(tmp_path: Path, encoder: TextEncoder) -> None:
    data = written(tmp_path / "mixed.jsonl", [*PICTURES, *CHATS])
    facts = data_facts(data, encoder)
    assert (facts.rows, facts.faults) == (4, 6)
    report = check(data, encoder)
    assert report.faults.count == 6
    assert SENTENCE in report.faults.first[0].message


def test_a_check_without_a_model_takes_pictures(tmp_path: Path) -> None:
    draw_into(tmp_path, [row["image"] for row in PICTURES])
    report = check(written(tmp_path / "mixed.jsonl", [*PICTURES, *CHATS]))
    assert report.by_format == {"vision": 6, "chat": 4}
    assert not report.faults.count


def test_a_check_without_a_model_names_the_pictures_that_are_not_there(tmp_path: Path) -> None:
    draw_into(tmp_path, [row["image"] for row in PICTURES[:5]])
    report = check(written(tmp_path / "mixed.jsonl", PICTURES))
    assert (report.rows, report.faults.by_code) == (5, {"media_missing": 1})
    assert "5.png'" in report.faults.first[0].message
