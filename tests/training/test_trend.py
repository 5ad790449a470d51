import pytest

from tunesmith.training.trend import trend


def test_a_straight_line_is_found_without_error():
    line = trend([1.0, 1.5, 2.0, 2.5, 3.0])
    assert (line.slope, line.error, line.mean) == pytest.approx((0.5, 0.0, 2.0))


def test_jitter_shows_in_the_error_of_the_slope():
    calm, noisy = trend([1.0, 1.01, 1.0, 1.01, 1.0]), trend([1.0, 1.3, 1.0, 1.3, 1.0])
    assert noisy.slope == pytest.approx(calm.slope, abs=1e-9)
    assert noisy.error > 10 * calm.error


def test_two_losses_make_a_line():
    assert trend([2.0, 1.0]).slope == -1.0
