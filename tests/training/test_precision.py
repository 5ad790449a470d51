"""fp16: the loss is scaled, an overflow lowers the scale and repeats the step, and a resumed run keeps the scale."""

import torch

from training.parts import Pieces, load_tiny, make_loop, token_rows, weights_of
from tunesmith.spec.states import Request
from tunesmith.training.precision import FIRST_SCALE, STEPS_TO_GROW
from tunesmith.training.progress import Progress


def fresh(folder):
    return Pieces(load_tiny(folder, method="lora", dtype=torch.float16), token_rows())


def run(folder, path, **changes):
    loop, recorder = make_loop(fresh(folder), path, precision="fp16", max_steps=4, **changes)
    loop.run()
    return loop, recorder


def test_an_overflow_halves_the_scale_and_the_step_is_made_with_it(tiny_model, tmp_path):
    loop, recorder = make_loop(fresh(tiny_model), tmp_path / "high", precision="fp16", max_steps=4)
    loop.progress.loss_scale = 2.0**40
    loop.run()
    told = [body for body in recorder.of("decision") if body.field == "recipe.precision"]
    assert told and told[-1].numbers["scale"] == loop.progress.loss_scale < 2.0**40
    assert [step.step for step in recorder.of("step")] == [1, 2, 3, 4]
    assert loop.progress.recoveries == 0
    calm, _ = make_loop(fresh(tiny_model), tmp_path / "calm", precision="fp16", max_steps=4)
    calm.progress.loss_scale = loop.progress.loss_scale
    calm.run()
    assert all(torch.equal(weights_of(calm)[name], weight) for name, weight in weights_of(loop).items())


def test_a_scale_changes_no_digit_in_32_bits(tiny_model, tmp_path):
    plain, _ = make_loop(Pieces(load_tiny(tiny_model), token_rows()), tmp_path / "plain", max_steps=3)
    plain.run()
    scaled, _ = make_loop(Pieces(load_tiny(tiny_model), token_rows()), tmp_path / "scaled", max_steps=3)
    scaled.progress.loss_scale = 1024.0
    scaled.run()
    assert all(torch.equal(weights_of(plain)[name], weight) for name, weight in weights_of(scaled).items())


def test_a_resumed_run_goes_on_with_its_scale(tiny_model, tmp_path):
    straight, _ = run(tiny_model, tmp_path / "straight")
    assert straight.progress.loss_scale <= FIRST_SCALE["fp16"]
    first, kept = make_loop(fresh(tiny_model), tmp_path / "first", precision="fp16", max_steps=4)
    kept.asked = {2: Request.PAUSE}
    first.run()
    kept.save(first, best=False, reason="paused")
    second, _ = make_loop(fresh(tiny_model), tmp_path / "second", precision="fp16", max_steps=4)
    second.resume(kept.folders[2])
    second.run()
    assert (second.progress.loss_scale, second.progress.scaled_steps) == (straight.progress.loss_scale, 4)
    assert all(torch.equal(weights_of(second)[name], weight) for name, weight in weights_of(straight).items())


def test_a_long_time_without_an_overflow_doubles_the_scale():
    progress = Progress(loss_scale=8.0, scaled_steps=STEPS_TO_GROW - 1)
    progress.scale_up()
    assert (progress.loss_scale, progress.scaled_steps) == (16.0, 0)
    unscaled = Progress()
    unscaled.scale_up()
    assert (unscaled.loss_scale, unscaled.scale_down()) == (1.0, False)
