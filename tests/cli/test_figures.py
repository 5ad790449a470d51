from __future__ import annotations

from cli.test_progress import EVALUATED, STARTED, step
from tunesmith.cli.figures import Figures, line_of
from tunesmith.spec.events import Body, DecisionMade, Event, Prepared, Started


def gathered(*bodies: Body, seconds: float = 1.0) -> Figures:
    figures = Figures()
    for number, body in enumerate(bodies, start=1):
        figures.take(Event(seq=number, time=100 + number * seconds, body=body))
    return figures


def test_the_time_left_follows_the_pace_since_the_start() -> None:
    assert gathered(STARTED, step(1), step(2), step(3), step(4)).seconds_left == 36


def test_a_resumed_run_counts_from_where_it_goes_on() -> None:
    resumed = STARTED.model_copy(update={"step": 30})
    assert gathered(resumed, step(31), step(32)).seconds_left == 8


def test_the_time_left_is_not_guessed_from_one_step() -> None:
    assert gathered(STARTED, step(1)).seconds_left is None


def test_data_and_start_are_told_with_their_numbers() -> None:
    ready = Prepared(rows=1800, faults=2, ledger={}, cached=True, fingerprint="f")
    assert line_of(ready) == "Data ready: 1,800 rows, 2 faulty rows left out (from the cache)"
    assert line_of(STARTED) == "Training 1.00% of 100,000 parameters on 320 rows (32 held out): 40 steps"
    resumed = Started(**{**STARTED.model_dump(), "step": 7, "validation_rows": 0})
    assert line_of(resumed) == "Training 1.00% of 100,000 parameters on 320 rows: 40 steps, from step 7"


def test_a_decision_is_told_with_its_reason() -> None:
    decided = DecisionMade(field="learning_rate", value=1e-4, reason="the gradient was not a number")
    assert line_of(decided) == "Decided: learning_rate = 0.0001 (the gradient was not a number)"


def test_steps_and_heartbeats_have_no_line_of_their_own() -> None:
    assert line_of(step(1)) is None


def test_a_run_without_a_step_can_be_summed_up() -> None:
    summary = Figures().summary(run="r", state="cancelled", output="")
    assert (summary.steps, summary.train_loss, summary.stopped_because) == (0, None, "cancelled")


def test_the_first_and_the_newest_evaluation_are_kept() -> None:
    later = EVALUATED.model_copy(update={"number": 8, "validation_loss": 0.5})
    figures = gathered(STARTED, EVALUATED, later)
    assert (figures.first_evaluation, figures.evaluated) == (EVALUATED, later)
