"""Each way in which an export can differ from what was trained fails it, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.worker.export.opened import Chances, Reply, likeliest
from tunesmith.worker.export.parity import ALLOWED, Report, Trained, advice_for, compare
from tunesmith.worker.export.replay import Replayed

END, WORDS = 9, 10
ROWS = [
    Replayed([{"role": "user", "content": f"secret {number}"}], None, "", (1, 2, 3 + number % 3), (4, 5, END))
    for number in range(20)
]
SAID = [torch.randn(3, WORDS, generator=torch.Generator().manual_seed(number)) for number in range(20)]
for each in SAID:
    each[-1, END] = 8.0


@dataclass
class Export:
    """An export that says what it is told to."""

    logits: Sequence[Tensor]
    prompts: Sequence[tuple[int, ...]]
    ends: Sequence[bool]
    stops: frozenset[int]
    by: str = "transformers 5"

    def prompt(self, row: Replayed) -> list[int]:
        return list(self.prompts[ROWS.index(row)])

    def chances(self, row: Replayed) -> list[Chances]:
        return [likeliest(each) for each in self.logits[ROWS.index(row)]]

    def replies(self, rows: Sequence[Replayed]) -> list[Reply]:
        return [Reply(self.ends[ROWS.index(row)], "") for row in rows]

    def ends_at(self, tokens: Iterable[int]) -> bool:
        return set(tokens) <= self.stops

    def close(self) -> None:
        pass


RIGHT = Export(SAID, [row.prompt for row in ROWS], [True] * 20, frozenset({END}))
TRAINED = Trained(
    ROWS, "training", [each.log_softmax(-1) for each in SAID], [Reply(True, "")] * 20, frozenset({END})
)  # fmt: skip


def compared(number_format: str = "f16", **other: Any) -> Report:
    return compare(TRAINED, replace(RIGHT, **other), export="GGUF", number_format=number_format, writes=True)


def unlike(places: int) -> list[Tensor]:
    """What was said, with another first choice at so many of the 60 places."""
    made = [each.clone() for each in SAID]
    for place in range(places):
        row = made[place % 20][place // 20]
        row[row.argmin()] = row.max() + 1
    return made


@pytest.mark.parametrize("number_format", ALLOWED)
def test_the_model_itself_passes_in_each_format(number_format: str) -> None:
    report = compared(number_format)
    assert report.passed
    assert report.token_ids == {"identical": 20, "of": 20}
    assert report.top_1 == {"same": 60, "of": 60, "required": ALLOWED[number_format].top_1}
    assert report.divergence["mean"] == pytest.approx(0, abs=1e-6)
    assert report.endings["taught"] == report.endings["written"] == {"same": 20, "of": 20}
    assert "secret" not in json.dumps(report.as_dict())


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({"prompts": [(1, 2, 7), *(row.prompt for row in ROWS[1:])]}, "1 of 20 prompts become other tokens"),
        ({"stops": frozenset({8})}, "does not end an answer at the token"),
        ({"ends": [False] * 3 + [True] * 17}, "3 of 20 written answers end otherwise"),
        ({"logits": [each * 0.6 for each in SAID]}, "the divergence is"),
        ({"logits": [each * float("nan") for each in SAID]}, "the divergence is nan"),
        ({"logits": unlike(5)}, "the first choice is the same at 55 of 60 places"),
    ],
)
def test_each_mismatch_is_a_fault(other: dict[str, Any], fault: str) -> None:
    report = compared(**other)
    assert not report.passed
    assert any(fault in each for each in report.faults), report.faults


def test_answers_that_do_not_stop_where_training_stops_are_a_fault() -> None:
    endless = [each.clone() for each in SAID]
    for each in endless:
        each[-1, END] = -8.0
    assert any("20 of 20 taught answers end otherwise" in fault for fault in compared(logits=endless).faults)


def test_a_tie_is_no_mismatch_and_fewer_bits_allow_more() -> None:
    tied = [each.clone() for each in SAID]
    for each in tied:
        first, second = each[0].topk(2).indices
        each[0, second] = each[0, first] + 1e-4
    said = [each.log_softmax(-1) for each in tied]
    trained = replace(TRAINED, said=said)
    turned = [each.clone() for each in tied]
    for each in turned:
        first, second = each[0].topk(2).indices
        each[0, second] = each[0, first] + 1e-4
    report = compare(trained, replace(RIGHT, logits=turned), export="x", number_format="f16", writes=True)
    assert report.passed
    further = unlike(5)
    assert "first choice" in str(compared("f16", logits=further).faults)
    assert "first choice" not in str(compared("q4_0", logits=further).faults)


@pytest.mark.parametrize(
    ("by", "other", "advice"),
    [
        ("transformers 5", {"prompts": [(7,)] * 20}, "restore the run's files"),
        ("llama.cpp", {"logits": unlike(30)}, "more bits"),
        ("transformers 5", {"logits": unlike(30)}, "--dtype fp32"),
    ],
)
def test_what_can_be_done_is_said(by: str, other: dict[str, Any], advice: str) -> None:
    assert advice in advice_for(compared(by=by, **other))
