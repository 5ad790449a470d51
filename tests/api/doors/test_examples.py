from __future__ import annotations

import pytest

from tunesmith.api.doors import tasks_answers, train_view
from tunesmith.spec.recipe import Part


@pytest.mark.parametrize(
    "shown",
    [
        train_view.Submitted, train_view.JobRow, train_view.JobView,
        tasks_answers.Started, tasks_answers.TaskRow, tasks_answers.TaskView,
    ],
)  # fmt: skip
def test_what_the_pages_show_is_a_whole_answer(shown: type[Part]) -> None:
    example = shown.model_json_schema()["examples"][0]
    assert set(example) == set(shown.model_fields)
    shown.model_validate(example)
