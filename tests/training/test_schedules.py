import pytest

from tunesmith.spec.recipe import Schedule
from tunesmith.training.schedules import SHAPES, Curve, factor, landing_factor, warmup_steps


def curve(name):
    return Curve(name, cycles=3, decay=0.2)


def test_every_schedule_of_a_recipe_has_a_shape():
    assert set(SHAPES) == {schedule.value for schedule in Schedule}


@pytest.mark.parametrize("schedule", [name for name in SHAPES if name != "cosine_with_restarts"])
def test_the_rate_rises_to_its_highest_and_never_again(schedule):
    warmup = warmup_steps(100, 0.1)
    factors = [factor(curve(schedule), step, 100, warmup) for step in range(100)]
    assert factors[:10] == sorted(factors[:10])
    assert max(factors) == factors[10] == pytest.approx(1.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert min(factors) >= 0


def test_restarts_begin_each_wave_at_the_full_rate():
    factors = [factor(curve("cosine_with_restarts"), step, 90, 0) for step in range(91)]
    assert [step for step, each in enumerate(factors) if each == 1.0] == [0, 30, 60]
    assert factors[29] < 0.01
    assert factors[90] == 0.0


def test_wsd_is_constant_and_falls_over_its_share_of_all_steps():
    factors = [factor(curve("wsd"), step, 100, 10) for step in range(100)]
    assert set(factors[10:81]) == {1.0}
    assert factors[90] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.05)


def test_without_warmup_the_first_step_has_the_full_rate():
    assert factor(curve("cosine"), 0, 10, warmup_steps(10, 0.0)) == 1.0


def test_steps_of_warmup_take_the_place_of_the_ratio_and_end_with_the_run():
    assert [warmup_steps(50, 0.1, steps) for steps in (None, 0, 20, 100)] == [5, 0, 20, 50]


@pytest.mark.parametrize("schedule", SHAPES)
def test_without_an_end_the_rate_stays_where_the_warm_up_brought_it(schedule):
    assert [factor(curve(schedule), step, None, 3) for step in (0, 1, 2, 3, 10**6)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_landing_falls_in_a_straight_line_and_never_to_nothing():
    assert [landing_factor(step, 3) for step in range(3)] == [0.75, 0.5, 0.25]
    assert landing_factor(0, 1) == 0.5
