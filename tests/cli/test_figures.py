from __future__ import annotations

from cli.test_progress import EVALUATED, STARTED, step
from tunesmith.cli.figures import Figures, line_of
from tunesmith.spec.events import Body, DecisionMade, Event, Prepared, Started, Tested


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
    ledger = {"total": {"shares": {"trained": 23.4, "context": 70.0, "truncated": 6.6, "leaked": 0.0}}}
    cut = line_of(ready.model_copy(update={"ledger": ledger, "cached": False}))
    assert cut is not None and cut.endswith("out; tokens: 23.4 % trained, 70 % context, 6.6 % truncated")
    patches = ready.model_copy(update={"ledger": {"total": {"shares": {"trained": 100.0}}}, "counts": "patch"})
    frames = patches.model_copy(update={"counts": "frame"})
    assert [str(line_of(each)).split("; ")[1] for each in (patches, frames)] == [
        "patches: 100 % trained", "frames: 100 % trained",
    ]  # fmt: skip
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


def test_a_step_is_told_in_what_its_task_counts() -> None:
    pictures = step(1).model_copy(update={"counts": "picture", "rows_per_second": 12.34})
    assert "| 812 tokens/s |" in gathered(STARTED, step(1)).step_line()
    assert "| 12.3 pictures/s |" in gathered(STARTED, pictures).step_line()


def test_the_first_and_the_newest_evaluation_are_kept() -> None:
    later = EVALUATED.model_copy(update={"number": 8, "validation_loss": 0.5})
    figures = gathered(STARTED, EVALUATED, later)
    assert (figures.first_evaluation, figures.evaluated) == (EVALUATED, later)


def test_a_run_without_end_has_no_total_until_it_lands() -> None:
    endless = STARTED.model_copy(update={"total_steps": None, "epochs": None})
    figures = gathered(endless, step(1), step(2), step(3))
    assert figures.seconds_left is None
    assert figures.step_line().startswith("step 3 | epoch 0.15 | loss 1.2345")
    assert line_of(endless) == "Training 1.00% of 100,000 parameters on 320 rows (32 held out): without end"
    landing = DecisionMade(field="recipe.mode", value="landing", reason="", numbers={"step": 3, "last_step": 5})
    landed = gathered(endless, step(1), step(2), step(3), landing, step(4))
    assert landed.step_line().startswith("step 4/5 | ")
    assert landed.seconds_left is not None


def test_a_test_of_the_result_is_told_with_what_the_task_measures() -> None:
    tested = Tested(rows=1200, loss=0.25, metrics={"accuracy": 0.9375, "macro_f1": 0.5})
    assert line_of(tested) == "Test on 1,200 rows kept for it | Loss: 0.2500 | Accuracy: 0.9375 | Macro F1: 0.5000"
    text = Tested(rows=3, loss=1.0, metrics={"perplexity": 2.72})
    assert line_of(text) == "Test on 3 rows kept for it | Loss: 1.0000 | Perplexity: 2.7"


def test_what_a_task_measures_stands_at_the_end_of_the_evaluation_line() -> None:
    found = {"accuracy": 0.9, "majority_share": 0.6, "rows of ham": 431.0, "f1 of ham": 0.5}
    line = line_of(EVALUATED.model_copy(update={"metrics": found}), unicode=False)
    assert line is not None
    assert line.endswith("Best Val: 0.5890 | Patience: 1 | Accuracy: 0.9000")
    text = line_of(EVALUATED.model_copy(update={"perplexity": 8.3, "metrics": {"perplexity": 8.3}}))
    assert text is not None
    assert text.endswith("📖 Perplexity: 8.3 | 🎯 Best Val: 0.5890 | ⏳ Patience: 1")
