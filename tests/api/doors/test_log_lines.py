"""Lines of a log."""

from __future__ import annotations

from typing import Any

import pytest

from jobs_by_hand import STEP
from tunesmith.api.doors.log_lines import log_line, sentence
from tunesmith.service.jobs.queue import StoredEvent


def event(kind: str, **body: Any) -> StoredEvent:
    return StoredEvent(id=1, org="default", job="j", run=None, seq=1, time=0.0, kind=kind, body=body)


@pytest.mark.parametrize(
    ("said", "speed"),
    [
        ({}, "100 tokens/s"),
        ({"counts": "token", "tokens_per_second": 1234.5}, "1,234 tokens/s"),
        ({"counts": "picture", "rows_per_second": 12.34}, "12.3 pictures/s"),
        ({"counts": "sound", "rows_per_second": 250.6}, "251 sounds/s"),
        ({"counts": "sound", "rows_per_second": 0.5}, "0.5 sounds/s"),
        ({"counts": "pair", "rows_per_second": 64.0}, "64.0 pairs/s"),
    ],
)
def test_a_step_tells_its_speed_in_what_its_task_counts(said: dict[str, Any], speed: str) -> None:
    assert sentence(event("step", **STEP | said)) == f"Step 2: loss 1.2500, learning rate 0.0001, {speed}."


def test_a_line_begins_with_its_time() -> None:
    assert log_line(event("warning", message="Little data.")) == "1970-01-01T00:00:00Z Warning: Little data."


def test_a_kind_without_words_shows_its_fields() -> None:
    assert sentence(event("unheard", step=3, note="", more=None)) == "step 3"
