"""Which task the data is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tunesmith.modalities.base import Task
from tunesmith.planning.choices import Choices
from tunesmith.spec.errors import BadValue, UnknownName
from tunesmith.spec.plan import DataFacts

WORDS: Final = {"conversation": "conversations", "completion": "prompts with completions", "text": "plain texts"}
"""Kinds of example, as people call them."""


def choose_task(typed: str | None, data: DataFacts, tasks: Sequence[Task], choices: Choices) -> str:
    """Return the typed task, or the one that is made for exactly the kinds of example in the sample.

    Raises:
        UnknownName: no task has the typed name.
        BadValue: the typed task cannot train on what the data holds.
    """
    fitting = [task for task in tasks if task.kinds >= set(data.kinds)]
    if typed is not None:
        task = _named(typed, tasks)
        if task not in fitting:
            wanted = " or ".join(repr(other.name) for other in fitting)
            raise BadValue("--task", typed, f"a task for {_listed(data)}, such as {wanted}")
    else:
        task = min(fitting, key=lambda task: len(task.kinds))
    return choices.settle(
        "task", task.name if typed else None, lambda: (task.name, f"the sample holds {_listed(data)}")
    )


def _named(name: str, tasks: Sequence[Task]) -> Task:
    for task in tasks:
        if name == task.name or name in task.aliases:
            return task
    raise UnknownName("task", name, [task.name for task in tasks])


def _listed(data: DataFacts) -> str:
    return " and ".join(f"{count} {WORDS.get(kind, kind)}" for kind, count in sorted(data.kinds.items()))
