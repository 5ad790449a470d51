"""How long a run is planned to be, and what may end it."""

from __future__ import annotations

import pytest

from planning.conftest import GPU, World
from tunesmith.spec.errors import BadValue
from tunesmith.training.course import Course, steps_left


@pytest.mark.parametrize(
    ("mode", "epochs", "schedule", "effective", "rate"),
    [
        ("circular", 100, "cosine", 4, 4e-4),
        ("adaptive", 3, "cosine", 16, 5e-4),
        ("ultra", 8, "cosine_with_restarts", 64, 1.25e-4),
        ("circle", 100, "cosine", 4, 4e-4),
        ("non-stop", None, "constant", 32, 1.5e-4),
    ],
)
def test_every_mode_has_its_numbers(world, mode, epochs, schedule, effective, rate):
    recipe = world.plan(recipe={"mode": mode}).spec.recipe
    assert (recipe.epochs, recipe.schedule) == (epochs, schedule)
    assert recipe.batch.size * recipe.batch.accumulation == effective
    assert recipe.learning_rate == pytest.approx(rate)


def test_a_run_without_an_end_has_neither_steps_nor_time(world):
    plan = world.plan(recipe={"mode": "non-stop"})
    assert (plan.steps, plan.seconds) == (None, None)
    typed = world.plan(recipe={"mode": "non-stop", "max_steps": 90})
    assert typed.steps == 90
    assert typed.seconds > 0


def test_a_run_without_an_end_has_a_constant_rate(world):
    with pytest.raises(BadValue, match=r"--schedule.*constant"):
        world.plan(recipe={"mode": "non-stop", "schedule": "linear"})
    limited = world.plan(recipe={"mode": "non-stop", "schedule": "linear", "max_steps": 90})
    assert limited.spec.recipe.schedule == "linear"


def test_circular_takes_its_cycles_or_the_typed_epochs(world):
    cycles = world.plan(recipe={"mode": "circular", "circular": {"cycles": 7}}).spec.recipe
    epochs = world.plan(recipe={"mode": "circular", "epochs": 3}).spec.recipe
    assert (cycles.epochs, epochs.epochs) == (7, 3)


def test_circular_evaluates_once_a_cycle(world):
    assert world.but(rows=100).plan(recipe={"mode": "circular"}).spec.recipe.evaluate_every == 23


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("epochs", [3, 12, 100, 7.5])
def test_a_growing_batch_takes_the_steps_that_the_loop_takes(device, epochs):
    world = World(device=GPU) if device == "cuda" else World()
    plan = world.but(rows=100).plan(recipe={"mode": "circular", "epochs": epochs})
    largest = {"cpu": 8, "cuda": 32}[device]
    course = Course(4, epochs, growth=1.25, largest_batch=largest)
    assert plan.steps == pytest.approx(steps_left(course, 90, 4), abs=1)


def test_a_batch_that_does_not_grow_takes_more_steps(world):
    small = world.but(rows=100)
    still = small.plan(recipe={"mode": "circular", "circular": {"batch_multiplier": 1.0}})
    assert still.steps == 2300 > small.plan(recipe={"mode": "circular"}).steps


@pytest.mark.parametrize(
    ("kinds", "patience", "gap", "perfect"),
    [
        ({"conversation": 5}, 3, 0.1, 0.01),
        ({"text": 5}, 5, 0.2, 0.5),
        ({"completion": 5}, 5, 0.2, 0.5),
        ({"completion": 1, "text": 5}, 5, 0.2, 0.5),
        ({"conversation": 1, "text": 5}, 3, 0.1, 0.01),
    ],
)
def test_running_text_is_judged_more_mildly(world, kinds, patience, gap, perfect):
    stopping = world.but(kinds=kinds).plan().spec.recipe.stopping
    assert (stopping.patience, stopping.overfitting_threshold, stopping.perfect_loss) == (patience, gap, perfect)


def test_a_typed_threshold_is_kept_whatever_the_data(world):
    typed = {"patience": 3, "overfitting_threshold": 0.1, "perfect_loss": 0.01}
    stopping = world.but(kinds={"text": 5}).plan(recipe={"stopping": typed}).spec.recipe.stopping
    assert stopping.model_dump(include=set(typed)) == typed


def test_a_cut_row_counts_as_long_as_it_is_left(world):
    quantiles = [*range(0, 1000, 10), 990]
    lengths = {"p50": 500, "p95": 950, "p99": 990, "max": 990}
    facts = world.but(quantiles=quantiles, lengths=lengths, mean_length=495.0)
    whole, cut = facts.plan(), facts.plan(recipe={"length": 64})
    assert cut.seconds < whole.seconds / 3
    assert cut.spec.recipe.batch.size > whole.spec.recipe.batch.size
