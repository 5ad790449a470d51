import math

import pytest

from tunesmith.training.stopping import Evaluation, Judge, Thresholds, training_stop, validation_stop

ALL = Thresholds(patience=100, overfitting=0.1, min_evaluations=5, perfect_loss=0.01, perplexity_limit=100.0)


def evaluations(train, validation):
    return [Evaluation(step, t, v) for step, (t, v) in enumerate(zip(train, validation, strict=True))]


def judge(train, validation, limits=ALL, waited=0):
    return validation_stop(evaluations(train, validation), waited, limits)


@pytest.mark.parametrize(("last", "degree"), [(1.2, "moderate"), (2.6, "severe")])
def test_a_rising_validation_loss_far_above_the_training_loss_is_overfitting(last, degree):
    validation = [1.0 + (last - 1.0) * step / 4 for step in range(5)]
    stop = judge([0.95] * 5, validation)
    assert stop.field == "recipe.stopping.overfitting_threshold"
    assert stop.reason.startswith(f"{degree} overfitting")
    assert stop.numbers["slope"] == pytest.approx((last - 1.0) / 4)
    assert stop.numbers["gap"] == pytest.approx(sum(validation) / 5 / 0.95 - 1)


def test_a_gap_alone_is_no_overfitting():
    assert judge([0.1] * 5, [1.0, 0.99, 0.98, 0.97, 0.96]) is None


def test_a_rise_alone_is_no_overfitting():
    assert judge([1.0, 1.01, 1.02, 1.03, 1.04], [1.0, 1.01, 1.02, 1.03, 1.04]) is None


def test_too_few_evaluations_are_not_judged():
    rising = [1.0, 1.5, 2.0, 2.5]
    assert judge([0.5] * 4, rising) is None
    assert judge([0.5] * 4, rising, Thresholds(overfitting=0.1, min_evaluations=4)) is not None


def test_the_evaluation_before_the_first_step_does_not_count():
    assert judge([None, *[0.5] * 4], [1.0, 1.1, 1.2, 1.3, 1.4]) is None


def test_only_the_last_five_evaluations_are_judged():
    assert judge([0.5] * 8, [0.1, 0.2, 0.3, 1.0, 0.9, 0.8, 0.7, 0.6]) is None


@pytest.mark.parametrize(("validation", "words"), [(0.5, "severe overfitting"), (1e-7, "a perfect fit")])
def test_no_training_loss_at_all(validation, words):
    assert judge([1e-8] * 5, [validation] * 5).reason.startswith(words)


def test_a_high_and_rising_perplexity_is_an_explosion():
    losses = [5.0, 5.1, 5.2, 5.3, 5.4]
    stop = judge(losses, losses)
    assert stop.field == "recipe.stopping.perplexity_limit"
    assert stop.reason.startswith("perplexity explosion")
    assert judge(losses, losses[::-1]) is None
    assert judge(losses, losses, Thresholds(perplexity_limit=1000.0)) is None
    assert judge([3.0] * 5, [4.0, 4.05, 4.1, 4.15, 4.2], Thresholds(perplexity_limit=100.0)) is None


def test_patience_counts_evaluations_without_improvement():
    assert judge([1.0], [1.0], Thresholds(patience=3), waited=2) is None
    stop = judge([1.0], [1.0], Thresholds(patience=3), waited=3)
    assert (stop.field, stop.reason) == ("recipe.stopping.patience", "no better validation loss in 3 evaluations")
    assert stop.numbers == {"waited": 3, "patience": 3}


def test_a_perfect_loss_takes_ten_steps():
    assert training_stop([0.001] * 9, ALL) is None
    stop = training_stop([5.0] * 3 + [0.001] * 10, ALL)
    assert stop.field == "recipe.stopping.perfect_loss"
    assert stop.numbers == pytest.approx({"train_loss": 0.001, "threshold": 0.01})
    assert training_stop([0.001] * 9 + [0.2], ALL) is None


def test_a_stop_that_is_switched_off_never_comes():
    assert training_stop([0.0] * 10, Thresholds()) is None
    assert judge([1e-8] * 5, [1.0, 9.0, 99.0, 999.0, 9999.0], Thresholds(), waited=1000) is None


def test_min_delta_decides_what_is_better():
    judge = Judge(min_delta=0.5)
    assert judge.improved(1.0, 1.0, None, None)
    assert judge.improved(0.4, 0.4, 1.0, 1.0)
    assert not judge.improved(0.6, 0.6, 1.0, 1.0)


@pytest.mark.parametrize(
    ("metric", "found", "best", "better"),
    [
        ("accuracy", (0.9, 1.0), (0.8, 0.5), True),  # The metric decides, whatever the loss does.
        ("accuracy", (0.7, 0.1), (0.8, 0.5), False),
        ("accuracy", (0.8, 0.4), (0.8, 0.5), True),  # Few rows held out: the same accuracy, and surer of it.
        ("accuracy", (0.8, 0.5), (0.8, 0.5), False),
        ("-wer", (0.2, 1.0), (0.3, 0.5), True),
        ("-wer", (0.4, 0.1), (0.3, 0.5), False),
        ("accuracy", (math.nan, 0.1), (0.3, 0.5), False),
        ("accuracy", (0.1, 0.9), (None, 0.5), True),  # What could not be measured is worse than anything that could.
    ],
)
def test_a_metric_decides_what_is_better_and_the_loss_between_equal_ones(metric, found, best, better):
    value, loss = found
    best_value, best_loss = best
    assert Judge(metric).improved(loss, value, best_loss, best_value) is better


def test_a_metric_must_gain_by_more_than_min_delta():
    judge = Judge("accuracy", 0.05)
    assert not judge.improved(0.5, 0.84, 0.5, 0.8)
    assert judge.improved(0.5, 0.86, 0.5, 0.8)


def test_a_metric_is_looked_up_by_its_name():
    assert Judge("-wer").value(0.5, {"wer": 0.2}) == 0.2
    assert Judge().value(0.5, {"wer": 0.2}) == 0.5
    assert math.isnan(Judge("accuracy").value(0.5, {}))
    assert (Judge("macro_f1").name, Judge("-wer").name, Judge().name) == ("macro f1", "wer", "loss")


def test_patience_says_what_it_waited_for():
    found = validation_stop([], 3, Thresholds(patience=3), "accuracy")
    assert found is not None
    assert found.reason == "no better validation accuracy in 3 evaluations"
