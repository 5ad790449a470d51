"""The loop in each mode, and that each of them resumes exactly."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from training.parts import Pieces, load_tiny, make_loop, token_rows, weights_of
from tunesmith.spec.states import Request
from tunesmith.training.loop_settings import Origin
from tunesmith.training.schedules import Curve, factor

VALIDATION = {"count": 4, "seed": 5}


def pieces(folder, *, method="lora", rows=20, validation=True):
    held_out = token_rows(**VALIDATION) if validation else None
    return Pieces(
        load_tiny(folder, method=method, dropout=0.1 if method == "lora" else 0.0), token_rows(rows), held_out
    )


def scripted(monkeypatch, losses):
    """Let every loop's evaluations find the loss that belongs to their step."""
    from tunesmith.training import loop as module
    from tunesmith.training.evaluation import Measured

    def measure(pieces, rows, *, step, **others):
        return Measured(losses(step), {})

    monkeypatch.setattr(module, "measure", measure)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


CIRCULAR = {
    "batch": 8, "epochs": 11, "growth": 1.5, "largest_batch": 15, "patience": None, "schedule": "cosine",
    "warmup_ratio": 0.1, "save_every": 1,
}  # fmt: skip
ADAPTIVE = {
    "epochs": 6, "adaptive": True, "evaluate_every": 1, "schedule": "cosine", "warmup_ratio": 0.1, "save_every": 3,
}  # fmt: skip
NON_STOP = {"epochs": None, "lands": True, "warmup_ratio": 0.4, "save_every": 2}
RESTARTS = {"epochs": 4, "schedule": "cosine_with_restarts", "cycles": 3, "warmup_ratio": 0.1, "save_every": 2}


def rises_and_rests(step):
    """Falls to step 5, rises to step 14, then stands still."""
    return 3.0 - 0.1 * step if step <= 5 else 2.5 + 0.1 * (step - 5) if step <= 14 else 2.0


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("mode", "stops"), [("circular", (19, 23)), ("adaptive", (3, 9)), ("restarts", (8,))])
def test_every_mode_resumes_exactly(mode, stops, method, tiny_model, tmp_path, monkeypatch):
    changes = {"circular": CIRCULAR, "adaptive": ADAPTIVE, "restarts": RESTARTS}[mode]
    if mode == "adaptive":
        scripted(monkeypatch, rises_and_rests)
    straight, whole = make_loop(pieces(tiny_model, method=method), tmp_path / "straight", **changes)
    assert straight.run() == "all steps done"
    for stop in stops:
        first, kept = make_loop(pieces(tiny_model, method=method), tmp_path / f"first-{stop}", **changes)
        kept.asked = {stop: Request.PAUSE}
        assert first.run() == "pause"
        second, again = make_loop(pieces(tiny_model, method=method), tmp_path / f"second-{stop}", **changes)
        again.folders = dict(kept.folders)
        torch.manual_seed(stop)
        second.resume(kept.checkpoint_of(None))
        second.run()
        assert same(weights_of(second), weights_of(straight))
        assert (second.progress.step, second.progress.history) == (straight.progress.step, straight.progress.history)
        rates = {step.step: step.learning_rate for step in [*kept.of("step"), *again.of("step")]}
        assert rates == {step.step: step.learning_rate for step in whole.of("step")}


def test_a_circular_run_cycles_with_a_growing_batch_and_evaluates_each_cycle(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, **CIRCULAR | {"evaluate_every": 5})
    assert loop.run() == "all steps done"
    decisions = [(decided.field, decided.value, decided.numbers) for decided in recorder.of("decision")]
    assert decisions == [
        ("recipe.batch.size", 12, {"cycle": 6, "from": 8, "to": 12}),
        ("recipe.batch.size", 15, {"cycle": 11, "from": 12, "to": 15}),
    ]
    assert loop.total == loop.progress.step == 5 * 3 + 5 * 2 + 2
    assert [round(evaluated.epoch, 6) for evaluated in recorder.of("evaluated")] == list(range(12))


def test_a_run_without_end_lands_when_it_is_cancelled(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, **NON_STOP)
    recorder.asked = {60: Request.CANCEL}
    assert loop.total is None
    assert loop.run() == "landed"
    assert recorder.acknowledged == [(Request.CANCEL, 60)]
    rates = [step.learning_rate for step in recorder.of("step")]
    assert rates[:3] == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3])
    assert set(rates[2:60]) == {1e-3}
    assert rates[60:] == pytest.approx([2e-3 / 3, 1e-3 / 3])
    assert recorder.saved[-1][0] == loop.progress.step == 62
    assert (60, False, "landing") in recorder.saved


def test_a_run_without_end_is_paused_where_it_is(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, **NON_STOP)
    recorder.asked = {7: Request.PAUSE}
    assert loop.run() == "pause"
    assert loop.progress.landing is None


@pytest.mark.parametrize("most", [1, 40, 52])
def test_a_run_without_end_has_landed_at_its_limit(most, tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model, validation=False), tmp_path, **NON_STOP, max_steps=most)
    assert loop.run() == "landed"
    steps = recorder.of("step")
    assert steps[-1].step == most
    assert steps[-1].learning_rate < 1e-3


def test_a_landed_run_goes_on_under_a_larger_limit(tiny_model, tmp_path):
    first, kept = make_loop(pieces(tiny_model), tmp_path / "first", **NON_STOP, max_steps=20)
    assert first.run() == "landed"
    second, again = make_loop(pieces(tiny_model), tmp_path / "second", **NON_STOP, max_steps=30)
    again.folders = dict(kept.folders)
    second.resume(kept.folders[20])
    assert second.run() == "landed"
    steps = again.of("step")
    assert [step.step for step in steps] == list(range(21, 31))
    assert [step.learning_rate for step in steps] == pytest.approx([1e-3] * 9 + [5e-4])


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_killed_while_it_lands_lands_the_same(method, tiny_model, tmp_path):
    def make(name):
        return make_loop(pieces(tiny_model, method=method), tmp_path / name, **NON_STOP | {"save_every": 1000})

    straight, recorder = make("straight")
    recorder.asked = {51: Request.CANCEL}
    straight.run()
    assert straight.progress.step == 53
    killed, again = make("killed")
    again.folders = dict(recorder.folders)
    killed.resume(recorder.folders[51])
    assert killed.run() == "landed"
    assert [step.step for step in again.of("step")] == [52, 53]
    assert same(weights_of(killed), weights_of(straight))


def test_an_adaptive_run_goes_back_and_tells_its_numbers(tiny_model, tmp_path, monkeypatch):
    scripted(monkeypatch, rises_and_rests)
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, **ADAPTIVE | {"warmup_ratio": 0.0, "schedule": "constant"})
    weights = {}
    save = recorder.save

    def keep(loop, *, best, reason):
        weights[loop.progress.step] = weights_of(loop)
        save(loop, best=best, reason=reason)

    recorder.save = keep
    loop.settings.__dict__["save_every"] = 1
    loop.run()
    rise = [decided for decided in recorder.of("decision") if "rises" in decided.reason]
    assert [decided.field for decided in rise[:2]] == ["recipe.learning_rate", "recipe.batch.size"]
    assert rise[0].numbers["slope"] > 0
    assert rise[0].numbers["rate_factor"] == rise[0].numbers["rate_factor_before"] / 2
    assert (rise[1].value, rise[1].numbers["batch_before"]) == (8, 4)
    at = int(rise[0].numbers["step"])
    assert same(weights[at], weights[5])
    assert any("stands still" in decided.reason for decided in recorder.of("decision"))
    assert loop.progress.epoch == 6
    assert loop.progress.place == 0


def test_a_limited_run_spreads_the_schedule_over_its_steps_also_with_a_larger_batch(tiny_model, tmp_path, monkeypatch):
    scripted(monkeypatch, lambda step: 1.0 + 0.1 * step)
    loop, recorder = make_loop(
        pieces(tiny_model, rows=40), tmp_path,
        epochs=20, max_steps=30, adaptive=True, evaluate_every=1, schedule="linear",
    )  # fmt: skip
    loop.run()
    assert loop.progress.batch > loop.course.batch
    steps = recorder.of("step")
    assert len(steps) == 30
    factors = {}
    for decided in recorder.of("decision"):
        if decided.field == "recipe.learning_rate":
            factors[int(decided.numbers["step"])] = decided.numbers["rate_factor"]
    pace = 1.0
    for step in steps:
        assert step.learning_rate == pytest.approx(1e-3 * (31 - step.step) / 30 * pace)
        pace = factors.get(step.step, pace)


STOPS = {
    "overfitting": {"losses": lambda step: 1.0 + 0.5 * step, "overfitting": 0.1},
    "explosion": {"losses": lambda step: 5.0 + 0.1 * step, "perplexity_limit": 100.0},
    "perfect": {"losses": lambda step: 1.0, "perfect_loss": 1e9},
    "patience": {"losses": lambda step: 1.0 + step, "patience": 3},
}
FIELDS = {
    "overfitting": "overfitting_threshold", "explosion": "perplexity_limit", "perfect": "perfect_loss",
    "patience": "patience",
}  # fmt: skip


@pytest.mark.parametrize("cause", STOPS)
def test_an_automatic_stop_ends_the_run_and_tells_its_numbers(cause, tiny_model, tmp_path, monkeypatch):
    changes = dict(STOPS[cause])
    scripted(monkeypatch, changes.pop("losses"))
    if cause == "overfitting":
        changes["learning_rate"] = 3e-2
    loop, recorder = make_loop(pieces(tiny_model, method="full"), tmp_path, epochs=20, **{"patience": None} | changes)
    if cause == "overfitting":
        loop.progress.losses = [0.5] * 9
    reason = loop.run()
    (decision,) = recorder.of("decision")
    assert (decision.field, decision.value) == (f"recipe.stopping.{FIELDS[cause]}", "stop")
    assert decision.reason == reason == loop.progress.stopped
    assert len(decision.numbers) >= 3
    assert loop.progress.step < loop.total


def test_forced_epochs_are_all_trained_and_end_with_the_last_weights(tiny_model, tmp_path, monkeypatch):
    scripted(monkeypatch, lambda step: 1.0 + 0.5 * step)
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, epochs=4, patience=None, forced=True)
    assert loop.run() == "all steps done"
    assert loop.progress.step == 20
    assert loop.weights_of == 20
    assert loop.progress.best_step == 2
    assert [decided.field for decided in recorder.of("decision")] == ["recipe.force_epochs"]


def test_a_perfect_loss_stops_a_run_without_validation(tiny_model, tmp_path):
    loop, _ = make_loop(pieces(tiny_model, validation=False), tmp_path, epochs=20, perfect_loss=100.0)
    assert loop.run().startswith("perfect loss")
    assert loop.progress.step == 10


def finished(tiny_model, tmp_path, method="lora", **changes):
    loop, recorder = make_loop(pieces(tiny_model, method=method), tmp_path / "first", **changes)
    loop.run()
    return loop, recorder.folders[loop.progress.step]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_continued_weights_begin_where_the_other_run_ended(method, tiny_model, tmp_path):
    _, folder = finished(tiny_model, tmp_path, method)
    loop, _ = make_loop(pieces(tiny_model, method=method), tmp_path, origin=Origin(folder, state=False))
    assert (loop.progress.step, dict(loop.optimizer.state)) == (0, {})
    assert same(weights_of(loop), load_file(folder / "weights.safetensors"))


def test_a_continued_state_keeps_counting_steps_and_its_place_on_the_schedule(tiny_model, tmp_path):
    first, folder = finished(tiny_model, tmp_path, schedule="linear", patience=1000)
    assert first.progress.step == 10
    loop, recorder = make_loop(
        pieces(tiny_model, rows=12), tmp_path, origin=Origin(folder, state=True), schedule="linear", patience=1000
    )
    assert (loop.progress.step, loop.total) == (10, 16)
    moments = next(iter(loop.optimizer.state.values()))
    assert float(moments["step"]) == 10
    loop.run()
    steps = recorder.of("step")
    assert [step.step for step in steps] == list(range(11, 17))
    assert steps[0].epoch == pytest.approx(4 / 12)
    assert [step.learning_rate for step in steps] == pytest.approx([1e-3 * (16 - at) / 16 for at in range(10, 16)])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_continued_state_is_warmed_up_only_once(schedule, tiny_model, tmp_path):
    rate = {"schedule": schedule, "warmup_ratio": 0.3, "patience": 1000}
    first, folder = finished(tiny_model, tmp_path, epochs=1, **rate)
    assert (first.progress.step, first.progress.warmup) == (5, 2)
    origin = Origin(folder, state=True)
    loop, recorder = make_loop(pieces(tiny_model), tmp_path / "second", origin=origin, epochs=3, save_every=5, **rate)
    assert loop.total == 20
    loop.run()
    rates = [step.learning_rate for step in recorder.of("step")]
    assert rates == pytest.approx([1e-3 * factor(Curve(schedule), at, 20, 2) for at in range(5, 20)])
    assert rates == sorted(rates, reverse=True)

    resumed, told = make_loop(pieces(tiny_model), tmp_path / "third", epochs=3, save_every=5, **rate)
    resumed.resume(recorder.folders[15])
    resumed.run()
    assert [step.learning_rate for step in told.of("step")] == rates[10:]


def test_a_continued_run_that_meets_no_number_starts_over_from_what_it_took_over(tiny_model, tmp_path):
    _, folder = finished(tiny_model, tmp_path)
    parts = pieces(tiny_model, validation=False)
    compute, count = parts.loss, iter(range(1000))

    def loss(batch):
        value = compute(batch)
        return value * math.nan if torch.is_grad_enabled() and next(count) == 0 else value

    parts.loss = loss
    loop, recorder = make_loop(parts, tmp_path, origin=Origin(folder, state=True), micro_tokens=4096)
    loop.run()
    (decision,) = recorder.of("decision")
    assert decision.numbers == {"step": 11, "back_to": 10}
    assert recorder.of("step")[0].step == 11
