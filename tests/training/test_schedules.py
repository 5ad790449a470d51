import pytest

from tunesmith.spec.recipe import Schedule
from tunesmith.training.schedules import SHAPES, factor, warmup_steps


def test_every_schedule_of_a_recipe_has_a_shape():
    assert set(SHAPES) == {schedule.value for schedule in Schedule}


@pytest.mark.parametrize("schedule", SHAPES)
def test_the_rate_rises_to_its_highest_and_never_again(schedule):
    warmup = warmup_steps(100, 0.1)
    factors = [factor(schedule, step, 100, warmup) for step in range(100)]
    assert factors[:10] == sorted(factors[:10])
    assert max(factors) == factors[10] == pytest.approx(1.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert min(factors) >= 0


def test_without_warmup_the_first_step_has_the_full_rate():
    assert factor("cosine", 0, 10, warmup_steps(10, 0.0)) == 1.0
