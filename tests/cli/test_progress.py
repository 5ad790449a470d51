from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console

from tunesmith.cli.figures import Figures, clock, evaluation_line, line_of, sample_lines
from tunesmith.cli.progress import LiveView, PlainView, View, print_sample
from tunesmith.spec.events import (
    Body,
    CheckpointSaved,
    Ended,
    Evaluated,
    Event,
    Phase,
    Sample,
    Started,
    Step,
    Warned,
)
from tunesmith.spec.states import Request

STARTED = Started(
    step=0,
    total_steps=40,
    epochs=2,
    rows=320,
    validation_rows=32,
    trainable_parameters=1_000,
    parameters=100_000,
    tokens_per_epoch=9_000,
)
EVALUATED = Evaluated(
    number=7,
    step=10,
    epoch=0.5,
    seconds=932.4,
    train_loss=0.5234,
    validation_loss=0.6123,
    best_validation_loss=0.5890,
    patience=1,
)


def step(number: int) -> Step:
    return Step(
        step=number,
        epoch=number / 20,
        loss=1.2345,
        learning_rate=1e-4,
        grad_norm=1.0,
        tokens=500,
        trained_tokens=200,
        seconds=0.5,
        tokens_per_second=812.4,
        memory_bytes=1_900_000_000,
    )


def tell(view: View, bodies: Iterable[Body], seconds: float = 0.5) -> Figures:
    figures = Figures()
    for number, body in enumerate(bodies, start=1):
        event = Event(seq=number, time=1000 + number * seconds, body=body)
        figures.take(event)
        view.show(event, figures)
    return figures


def plain(bodies: Iterable[Body], seconds: float = 0.5) -> list[str]:
    output = io.StringIO()
    tell(PlainView(Console(file=output, width=80, highlight=False, markup=False, emoji=False)), bodies, seconds)
    return output.getvalue().splitlines()


def test_the_evaluation_line_is_the_guides() -> None:
    assert evaluation_line(EVALUATED) == (
        "📊 Evaluation #7 | ⏱️ Time: 00:15:32 | 📉 Train Loss: 0.5234 | 📈 Val Loss: 0.6123 | 🎯 Best Val: 0.5890 "
        "| ⏳ Patience: 1"
    )


def test_text_generation_adds_the_perplexity() -> None:
    told = EVALUATED.model_copy(
        update={"train_loss": 1.8234, "validation_loss": 2.1123, "perplexity": 8.27, "best_validation_loss": 2.0890}
    )
    assert evaluation_line(told) == (
        "📊 Evaluation #7 | ⏱️ Time: 00:15:32 | 📉 Train Loss: 1.8234 | 📈 Val Loss: 2.1123 | 📖 Perplexity: 8.3 "
        "| 🎯 Best Val: 2.0890 | ⏳ Patience: 1"
    )


def test_without_unicode_the_line_is_plain_words() -> None:
    line = evaluation_line(EVALUATED, unicode=False)
    assert line.startswith("Evaluation #7 | Time: 00:15:32 | Train Loss: 0.5234 | Val Loss: 0.6123 | Best Val: 0.5890")
    assert line.isascii()


def test_a_pipe_gets_a_step_line_every_ten_steps_and_at_the_end() -> None:
    lines = plain([STARTED, *(step(number) for number in range(1, 41))])
    steps = [line.split(" ")[1] for line in lines if line.startswith("step ")]
    assert steps == ["1/40", "11/40", "21/40", "31/40", "40/40"]
    assert lines[2] == "step 11/40 | epoch 0.55/2 | loss 1.2345 | 812 tokens/s | 1.9 GB | 0:14 left"


def test_slow_steps_get_a_line_every_ten_seconds() -> None:
    lines = plain([STARTED, *(step(number) for number in range(1, 7))], seconds=4)
    assert [line.split(" ")[1] for line in lines if line.startswith("step ")] == ["1/40", "4/40"]


def test_a_pipe_gets_one_line_for_each_thing_worth_telling() -> None:
    saved = CheckpointSaved(step=10, name="checkpoint-10", bytes=2_500_000, best=True, reason="evaluation")
    lines = plain(
        [
            Phase(name="Reading the data", done=0.1),
            Phase(name="Reading the data", done=0.9),
            EVALUATED,
            saved,
            Warned(message="half of it"),
            Ended(request=Request.PAUSE, step=10, checkpoint="checkpoint-10"),
        ]
    )
    assert lines[0] == "Reading the data"
    assert "Evaluation #7" in lines[1]
    assert lines[2:] == [
        "Saved checkpoint-10 (2.5 MB, the best so far)",
        "Warning: half of it",
        "Paused at step 10, saved in checkpoint-10",
    ]


def test_answers_stand_below_each_other_and_cannot_steer_the_terminal() -> None:
    sample = Sample(prompt="Who\x1b[2J?", expected="", before="[bold]no[/bold]", after="word " * 30)
    assert sample_lines(sample)[0] == ("Question", "Who\\x1b[2J?")
    lines = plain([sample])
    assert lines[0].split() == ["Question", "Who\\x1b[2J?"]
    assert lines[1].split() == ["Before", "[bold]no[/bold]"]
    assert lines[2].startswith("After    word word")


def test_answers_are_wrapped_on_a_terminal_of_eighty_columns() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None, markup=False)
    print_sample(Sample(prompt="Who?", expected="I", before="line\nline", after="word " * 30), console)
    lines = output.getvalue().splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip()] == ["Question", "Expected", "Before", "After"]
    assert all(len(line) <= 80 for line in lines)


def test_other_peoples_words_cannot_steer_the_terminal() -> None:
    assert line_of(Warned(message="a\x1b]0;owned\x07\u202eb")) == "Warning: a\\x1b]0;owned\\x07\\u202eb"


def test_the_live_bar_fits_eighty_columns() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=True, highlight=False, markup=False, color_system=None)
    view = LiveView(console)
    tell(view, [Phase(name="Reading the data", done=0.25)])
    console.print(view)
    tell(view, [STARTED, step(1), step(2), step(3)])
    view.notice("Saving and stopping; Ctrl-C again stops now.")
    console.print(view)
    lines = output.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("Reading the data") and lines[0].rstrip().endswith("25%")
    tail = "\n".join(lines[-3:])
    assert "left" in tail and "812 tokens/s" in tail and "step 3/40" in tail and "again stops now" in tail


def test_a_paused_run_is_summed_up() -> None:
    figures = tell(
        PlainView(Console(file=io.StringIO())),
        [STARTED, step(1), step(2), EVALUATED, Ended(request=Request.PAUSE, step=2, checkpoint="checkpoint-2")],
    )
    summary = figures.summary(run="r1", state="paused", output="./lora")
    assert (summary.steps, summary.trained_tokens, summary.validation_loss) == (2, 400, 0.6123)
    assert summary.stopped_because == "pause"


def test_durations_read_like_a_clock() -> None:
    assert [clock(9), clock(133), clock(3733), clock(932, hours=True)] == ["0:09", "2:13", "1:02:13", "00:15:32"]
