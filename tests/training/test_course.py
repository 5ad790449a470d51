import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.course import Course, batch_of_pass, landing_steps, steps_left, steps_per_epoch


@given(st.integers(1, 200), st.integers(1, 50))
def test_a_pass_has_a_step_for_each_batch_and_one_for_the_rest(rows, batch):
    assert steps_per_epoch(rows, batch) == math.ceil(rows / batch)
    assert steps_per_epoch(rows, batch, rows) == 0


@pytest.mark.parametrize(("epochs", "steps"), [(1, 5), (2.5, 13), (0.1, 1), (1.1, 6), (2.2, 11)])
def test_epochs_are_counted_in_whole_steps(epochs, steps):
    assert steps_left(Course(4, epochs), rows=20, batch=4) == steps


@given(st.integers(1, 60), st.integers(1, 9), st.floats(0.1, 4), st.floats(1, 2))
def test_walking_to_the_end_takes_as_many_steps_as_were_announced(rows, batch, epochs, growth):
    course = Course(batch, epochs, growth=growth, largest_batch=8)
    announced, epoch, place, walked = steps_left(course, rows, batch), 0, 0, 0
    while steps_left(course, rows, size := batch_of_pass(course, rows, epoch), epoch, place):
        place, walked = place + size, walked + 1
        if place >= rows:
            epoch, place = epoch + 1, 0
    assert walked == announced


def test_without_an_end_there_is_no_last_step():
    assert steps_left(Course(4, None, lands=True), 20, 4) is None


def test_the_batch_grows_every_five_cycles_rounded_up_to_its_limit():
    course = Course(4, 100, growth=1.25, largest_batch=8)
    assert [batch_of_pass(course, 1000, cycle) for cycle in (0, 4, 5, 9, 10, 15, 99)] == [4, 4, 5, 5, 7, 8, 8]


def test_the_data_limits_the_batch():
    assert batch_of_pass(Course(4, 100, growth=2.0, largest_batch=32), 10, 99) == 10


def test_the_limit_never_makes_a_batch_smaller():
    assert batch_of_pass(Course(16, 100, growth=2.0, largest_batch=8), 1000, 99) == 16
    assert batch_of_pass(Course(16, 100, growth=2.0, largest_batch=8), 3, 99) == 16


def test_a_factor_of_one_changes_nothing():
    assert batch_of_pass(Course(4, 100, growth=1.0, largest_batch=32), 1000, 99) == 4


@pytest.mark.parametrize(("step", "steps"), [(0, 1), (50, 1), (51, 2), (1000, 20), (10**6, 200)])
def test_a_landing_takes_two_percent_of_the_steps_so_far(step, steps):
    assert landing_steps(step) == steps
