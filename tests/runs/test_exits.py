from __future__ import annotations

import signal

import pytest

from tunesmith.runs.exits import CODES, SIGNALS, explain


@pytest.mark.parametrize(
    ("code", "number", "reason"),
    [
        (65, None, "data"),
        (70, None, "the run failed"),
        (75, None, "paused"),
        (76, None, "cancelled"),
        (78, None, "configuration"),
        (3, None, "exit code 3"),
        (None, 9, "killed, most likely out of memory"),
        (None, 11, "segmentation fault"),
        (None, 15, "terminated"),
        (None, 6, "aborted"),
        (None, 7, "bus error"),
        (137, None, "killed, most likely out of memory"),
        (None, int(signal.SIGUSR1), "ended by signal SIGUSR1"),
        (None, 63, "ended by signal 63"),
        (None, None, "died without a trace"),
    ],
)
def test_says_why(code: int | None, number: int | None, reason: str) -> None:
    assert explain(code, number).reason == reason


def test_every_reason_says_what_to_do() -> None:
    for words in [*CODES.values(), *SIGNALS.values(), explain(3), explain(None, 63), explain(None)]:
        assert words.explanation.endswith(".")
        assert words.todo.endswith(".")
