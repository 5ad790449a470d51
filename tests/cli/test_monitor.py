from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Call
from tunesmith.cli.monitor import CHARTS_PORT
from tunesmith.service.system import charts


def test_without_logs_it_is_one_sentence_and_status_1(tunesmith: Call, home: Path) -> None:
    for arguments in (["monitor"], ["monitor", "./lora"], ["train", "--tensorboard-only"]):
        said = tunesmith(*arguments)
        assert said.status == 1
        assert said.err.endswith("no logs yet. Train something there first.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tensorboard-only", "--output", "here"],
        ["--tensorboard-only", "6007", "--output", "here"],
        ["--output", "here", "--tensorboard-only"],
    ],
)
def test_only_charts_may_be_asked_for_anywhere_and_need_neither_model_nor_data(
    tunesmith: Call, home: Path, arguments: list[str]
) -> None:
    said = tunesmith("train", *arguments)
    assert (said.status, said.err.split("/")[-1]) == (1, "here: no logs yet. Train something there first.\n")


def test_a_detached_run_has_nobody_to_end_its_charts(tunesmith: Call, home: Path) -> None:
    said = tunesmith("train", "--detach", "--tensorboard-port", "6007")
    assert said.status == 2
    assert "--detach and --tensorboard-port contradict each other" in said.err


def test_the_port_is_the_one_that_people_know() -> None:
    assert charts.PORT == CHARTS_PORT == 6006
