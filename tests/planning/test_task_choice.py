from __future__ import annotations

import pytest

from tunesmith.spec.errors import BadValue, UnknownName


@pytest.mark.parametrize(
    ("kinds", "task"),
    [
        ({"conversation": 5}, "chat"),
        ({"completion": 5}, "chat"),
        ({"text": 5}, "pretraining"),
        ({"conversation": 1, "text": 5}, "chat"),
        ({"conversation": 1, "completion": 2, "text": 5}, "chat"),
    ],
)
def test_the_data_settles_the_task(world, kinds, task):
    assert world.but(kinds=kinds).plan().spec.task == task


def test_a_mixture_is_said(world):
    plan = world.but(kinds={"conversation": 1, "text": 5}).plan()
    [reason] = [decision.reason for decision in plan.decisions if decision.field == "task"]
    assert reason == "the sample holds 1 conversations and 5 plain texts"


@pytest.mark.parametrize(
    ("typed", "task"), [("chat", "chat"), ("sft", "chat"), ("continued-pretraining", "pretraining")]
)
def test_a_typed_task_may_go_by_another_name(world, typed, task):
    plan = world.but(kinds={"text": 5}).plan(task=typed)
    assert plan.spec.task == task
    assert [decision.reason for decision in plan.decisions if decision.field == "task"] == ["given"]


def test_a_task_that_does_not_exist_is_an_error(world):
    with pytest.raises(UnknownName, match=r"no task 'chatt'.*Did you mean 'chat'"):
        world.plan(task="chatt")


def test_a_task_for_other_data_is_an_error(world):
    with pytest.raises(BadValue, match="a task for 2000 conversations, such as 'chat'"):
        world.plan(task="pretraining")
