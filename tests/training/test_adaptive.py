import pytest

from tunesmith.training.adaptive import change


def decide(losses, *, pace=1.0, batch=16):
    return change(losses, pace=pace, batch=batch, first_batch=16)


def test_a_plateau_halves_the_rate():
    made = decide([1.0, 1.001, 0.999, 1.0, 1.001])
    assert (made.kind, made.pace, made.batch, made.goes_back) == ("plateau", 0.5, 16, False)
    assert abs(made.numbers["change"]) < 0.005


def test_a_rise_goes_back_with_half_the_rate_and_twice_the_batch():
    made = decide([1.0, 1.02, 1.04, 1.06, 1.08])
    assert (made.kind, made.pace, made.batch, made.goes_back) == ("rise", 0.5, 32, True)
    assert made.numbers["slope"] == pytest.approx(0.02)


def test_the_batch_grows_to_four_times_what_it_was():
    assert decide([1.0, 1.02, 1.04, 1.06, 1.08], batch=64).batch == 64


def test_steady_improvement_raises_the_rate_by_a_tenth_up_to_twice():
    falling = [1.0, 0.98, 0.96, 0.94, 0.92]
    assert (decide(falling).kind, decide(falling).pace) == ("improvement", 1.1)
    assert decide(falling, pace=1.95).pace == 2.0
    assert decide(falling, pace=2.0) is None


def test_slow_improvement_is_left_alone():
    assert decide([1.0, 0.998, 0.996, 0.994, 0.99]) is None


def test_a_rise_within_the_jitter_of_the_losses_is_a_plateau():
    made = decide([1.0, 1.2, 0.95, 1.15, 1.05])
    assert made.numbers["change"] > 0.005
    assert made.kind == "plateau"


def test_an_improvement_within_the_jitter_is_left_alone():
    assert decide([1.0, 0.7, 1.1, 0.65, 0.95]) is None


def test_fewer_than_five_losses_decide_nothing():
    assert decide([1.0, 2.0, 3.0, 4.0]) is None


def test_where_nothing_is_left_to_change_nothing_changes():
    assert decide([1.0] * 5, pace=1 / 16) is None
    assert decide([1.0, 1.1, 1.2, 1.3, 1.4], pace=1 / 16, batch=64) is None
