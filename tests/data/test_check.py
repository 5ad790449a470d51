from __future__ import annotations

import json
from pathlib import Path

from data.byte_encoder import ByteEncoder, write_chats
from tunesmith.data.check import Settings, check
from tunesmith.spec.job import DatasetRef


def test_counts_rows_formats_faults_and_duplicates(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("a", "b"), ("c", "d")])
    path.write_text(path.read_text() + '{"text": "long text"}\n{"text": ""}\n')
    found = check([DatasetRef(uri=str(path))])
    assert (found.rows, found.by_format, found.duplicates) == (4, {"openai": 3, "text": 1}, 1)
    assert [(fault.where.row, fault.code) for fault in found.faults.first] == [(5, "empty_row")]
    assert found.lengths == {"p50": 2, "p95": 9, "p99": 9, "max": 9}
    assert (found.unit, found.ledger) == ("characters", None)


def test_counts_tokens_with_an_encoder(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("ü", "b"), ("refuse me", "c"), ("a", "b", "c", "d")])
    found = check([DatasetRef(uri=str(path))], ByteEncoder())
    assert (found.unit, found.lengths["max"]) == ("tokens", 4)
    assert [fault.code for fault in found.faults.first] == ["template_refused"]
    assert found.ledger is not None
    total = found.ledger.total
    assert (total.trained, total.context, total.repeated, total.tokens) == (3, 3, 3, 9)


def test_counts_rows_that_stand_on_both_sides(tmp_path: Path) -> None:
    train = write_chats(tmp_path / "train.jsonl", [("a", "b"), ("c", "d")])
    held = write_chats(tmp_path / "held.jsonl", [("c", "d")])
    assert check([DatasetRef(uri=str(train)), DatasetRef(uri=str(held), validation=True)]).leaked == 1


def test_finds_nothing_in_nothing(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").touch()
    for encoder in (None, ByteEncoder()):
        found = check([DatasetRef(uri=str(path))], encoder)
        assert (found.rows, found.duplicates, found.leaked) == (0, 0, 0)
        assert not found.clean


def test_is_plain_data(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b")])
    path.write_text(path.read_text() + "{bad\n")
    plain = json.loads(json.dumps(check([DatasetRef(uri=str(path))], ByteEncoder()).as_dict()))
    assert set(plain["faults"]["first"][0]) == {"file", "row", "column", "code", "message"}
    assert (plain["clean"], plain["faults"]["by_code"], plain["sides"]["train"]) == (False, {"unreadable_row": 1}, 1)
    assert sum(plain["ledger"]["total"]["shares"].values()) == 100


def test_a_length_that_nobody_typed_is_refused_where_it_costs_much(tmp_path: Path) -> None:
    data = [DatasetRef(uri=str(write_chats(tmp_path / "a.jsonl", [("12", "3456")])))]
    refused = check(data, ByteEncoder(), Settings(length=4, length_chosen=True))
    assert "At a length of 4 tokens 50.0% of the trained tokens would be cut" in refused.refusal
    assert not refused.clean
    typed = check(data, ByteEncoder(), Settings(length=4))
    assert "A length of 4 tokens cuts 50.0% of the trained tokens off; 6 would keep them all." in typed.warnings
    assert (typed.refusal, typed.clean) == ("", True)
