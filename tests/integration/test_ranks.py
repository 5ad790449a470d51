"""Two processes that share each step compute what one computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.conftest import Here
from integration.jobs import begin, steps_of, tiny_job, until_over
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs import checkpoints
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.job import Resources
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe
from tunesmith.spec.states import RunState


def test_two_ranks_give_one_ranks_result(
    here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    recipe = {
        "adapter": AdapterRecipe(rank=4, dropout=0.0),
        "batch": BatchRecipe(size=8, accumulation=1, micro_tokens=100),
        "max_steps": 3,
    }
    alone = begin(tiny_job(tiny_model, chat_data, tmp_path / "one", **recipe), settings)
    assert here.code == 0

    shared = tiny_job(tiny_model, chat_data, tmp_path / "two", **recipe, resources=Resources(device="cpu", processes=2))
    plan = plan_job(shared, settings)
    assert (plan.execution.processes, plan.execution.threads) == (2, max(1, plan.device.cores // 2))
    together = until_over(start(plan, settings, executor=LocalExecutor()))
    assert status(together).state is RunState.SUCCEEDED, together.log.read_text()

    one, two = steps_of(alone), steps_of(together)
    assert [step.step for step in two] == [1, 2, 3]
    assert [(step.tokens, step.trained_tokens) for step in two] == [(step.tokens, step.trained_tokens) for step in one]
    assert [step.loss for step in two] == pytest.approx([step.loss for step in one], rel=1e-4)
    assert [step.grad_norm for step in two] == pytest.approx([step.grad_norm for step in one], rel=1e-3)

    events = list(follow(together))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    saved = [event.body.step for event in events if event.body.kind == "checkpoint_saved"]
    assert len(saved) == len(set(saved)) > 0
    assert all(checkpoints.verify(own.path) for own in checkpoints.listed(together))
