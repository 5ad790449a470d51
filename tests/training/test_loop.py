import math

import pytest
import torch

from training.parts import CPU, Pieces, Recorder, load_tiny, make_loop, settings, token_rows, weights_of
from tunesmith.spec.errors import NotANumber, OutOfMemory
from tunesmith.spec.states import Request
from tunesmith.training.batching import micro_batches
from tunesmith.training.device import Ranks
from tunesmith.training.evaluation import Measured
from tunesmith.training.loop import Loop


def pieces(folder, *, method="lora", dropout=0.0, dtype=torch.float32, validation=None):
    return Pieces(load_tiny(folder, method=method, dropout=dropout, dtype=dtype), token_rows(20), validation)


STOPS_EARLY = {"patience": 1, "min_delta": 1e9}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


def test_training_lowers_the_loss(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model, method="full"), tmp_path, epochs=6, learning_rate=1e-2)
    assert loop.run() == "all steps done"
    losses = [step.loss for step in recorder.of("step")]
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_speed_of_rows_is_told_in_rows_and_not_in_what_is_learned_of_them(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model), tmp_path, epochs=1)
    loop.run()
    first = recorder.of("step")[0]
    assert first.rows_per_second == pytest.approx(4 / first.seconds)
    assert first.tokens_per_second == pytest.approx(first.tokens / first.seconds)


@pytest.mark.parametrize("micro_tokens", [16, 100, 4096])
def test_any_split_into_micro_batches_gives_the_same_gradient(micro_tokens, tiny_model, tmp_path):
    whole, _ = make_loop(pieces(tiny_model), tmp_path)
    split, _ = make_loop(pieces(tiny_model), tmp_path, micro_tokens=micro_tokens)
    rows = list(range(8))
    labels = whole.pieces.train.labels(rows, 0)
    one, other = (
        whole.gradients.add_up(rows, labels, whole.progress),
        split.gradients.add_up(rows, labels, split.progress),
    )
    assert one == pytest.approx(other, rel=1e-5)
    for a, b in zip(whole.trainables.gradients(), split.trainables.gradients(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(method, dtype, tiny_model, tmp_path):
    def fresh():
        return pieces(tiny_model, method=method, dropout=0.1, dtype=dtype, validation=token_rows(4, seed=5))

    straight, _ = make_loop(fresh(), tmp_path / "straight", schedule="cosine", warmup_ratio=0.1)
    straight.run()
    for stop in (1, 4, 9):
        first, kept = make_loop(fresh(), tmp_path / f"first-{stop}", schedule="cosine", warmup_ratio=0.1)
        kept.asked = {stop: Request.PAUSE}
        assert first.run() == "pause"
        kept.save(first, best=False, reason="paused")
        second, again = make_loop(fresh(), tmp_path / f"second-{stop}", schedule="cosine", warmup_ratio=0.1)
        again.folders = dict(kept.folders)
        torch.manual_seed(stop)
        second.resume(kept.checkpoint_of(None))
        second.run()
        assert same(weights_of(second), weights_of(straight))


def test_a_step_that_runs_out_of_memory_goes_on_with_half_the_rows(tiny_model, tmp_path):
    calm, _ = make_loop(pieces(tiny_model), tmp_path / "calm", max_steps=3, micro_tokens=4096)
    calm.run()
    tight_pieces = pieces(tiny_model)
    compute, most, now = tight_pieces.loss, 70, {"tokens": 0}

    def loss(batch):
        now["tokens"] = batch.tokens
        return compute(batch)

    def run_out(grad):
        if now["tokens"] > most:
            raise torch.OutOfMemoryError("injected half-way through the backward pass")

    first = next(p for p in tight_pieces.model.parameters() if p.requires_grad)
    first.register_hook(run_out)
    tight_pieces.loss = loss
    tight, recorder = make_loop(tight_pieces, tmp_path / "tight", max_steps=3, micro_tokens=4096)
    tight.run()
    assert tight.progress.micro_tokens <= 2 * most
    assert next(d.field for d in recorder.of("decision")) == "recipe.batch.micro_tokens"
    for a, b in zip(weights_of(calm).values(), weights_of(tight).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


class Shared(Ranks):
    """One process of several, of which another ran out of memory at the first step."""

    def least(self, number, device):
        return min(number, 32)


def test_the_first_process_tells_what_another_one_learned(tiny_model, tmp_path):
    recorder = Recorder(tmp_path)
    loop = Loop(pieces(tiny_model), settings(max_steps=2), recorder, CPU, Shared(0, 1))
    loop.run()
    (decision,) = recorder.of("decision")
    assert (decision.field, decision.value, decision.numbers) == ("recipe.batch.micro_tokens", 32, {"step": 1})
    assert loop.progress.micro_tokens == 32


def test_a_single_row_that_does_not_fit_ends_the_run(tiny_model, tmp_path):
    parts = pieces(tiny_model)

    def loss(batch):
        raise MemoryError

    parts.loss = loss
    loop, _ = make_loop(parts, tmp_path)
    with pytest.raises(OutOfMemory, match="one row of"):
        loop.run()


def poison(parts, at):
    """Make the loss of the computations numbered in ``at`` (from 0) not a number."""
    compute, count = parts.loss, iter(range(10_000))

    def loss(batch):
        value = compute(batch)
        return value * math.nan if torch.is_grad_enabled() and next(count) in at else value

    parts.loss = loss


@pytest.mark.parametrize("at", [0, 7])
def test_a_loss_that_is_not_a_number_goes_back_once_with_half_the_rate(at, tiny_model, tmp_path):
    parts = pieces(tiny_model)
    poison(parts, {at})
    loop, recorder = make_loop(parts, tmp_path, micro_tokens=4096)
    assert loop.run() == "all steps done"
    (decision,) = recorder.of("decision")
    assert decision.field == "recipe.learning_rate"
    assert decision.value == pytest.approx(0.5e-3)
    assert recorder.of("step")[-1].learning_rate == pytest.approx(0.5e-3)
    assert all(torch.isfinite(weight).all() for weight in weights_of(loop).values())


def test_the_second_time_the_run_fails_with_the_layer_named(tiny_model, tmp_path):
    parts = pieces(tiny_model)
    poison(parts, set(range(100)))
    loop, _ = make_loop(parts, tmp_path, micro_tokens=4096)
    with pytest.raises(NotANumber, match="lora_"):
        loop.run()


def test_a_validation_loss_that_is_not_a_number_goes_back_once_and_then_fails(tiny_model, tmp_path, monkeypatch):
    found = iter([3.0, 2.9, math.nan, 2.8, math.inf])
    monkeypatch.setattr("tunesmith.training.loop.measure", lambda *args, **others: Measured(next(found), {}))
    loop, recorder = make_loop(pieces(tiny_model, validation=token_rows(6, seed=9)), tmp_path)
    with pytest.raises(NotANumber, match=r"Step 5: the validation loss is not a number, also"):
        loop.run()
    (decision,) = recorder.of("decision")
    assert decision.value == pytest.approx(0.5e-3)
    assert decision.numbers == {"step": 4, "back_to": 2}
    assert [told.step for told in recorder.of("evaluated")] == [0, 2, 4]


def test_patience_ends_a_run_that_no_longer_improves_and_the_best_weights_stay(tiny_model, tmp_path):
    parts = pieces(tiny_model, method="full", validation=token_rows(6, seed=9))
    loop, recorder = make_loop(parts, tmp_path, epochs=100, learning_rate=3e-2, patience=3)
    assert loop.run() == "no better validation loss in 3 evaluations"
    losses = [e.validation_loss for e in recorder.of("evaluated")][1:]
    assert loop.progress.best_loss == min(losses)
    assert loop.progress.step > (loop.progress.best_step or 0)
    assert loop.measure(parts.validation).loss == pytest.approx(min(losses), rel=1e-4)


def test_a_metric_chooses_the_best_weights_and_ends_the_run_though_the_loss_rises(tiny_model, tmp_path, monkeypatch):
    found = [(3.0, 0.1), (3.1, 0.5), (3.3, 0.8), (3.2, 0.8), (3.2, 0.7), (2.0, 0.6)]
    told = iter([Measured(loss, {"accuracy": value}) for loss, value in found])
    monkeypatch.setattr("tunesmith.training.loop.measure", lambda *args, **others: next(told))
    parts = pieces(tiny_model, validation=token_rows(6, seed=9))
    loop, recorder = make_loop(parts, tmp_path, epochs=100, metric="accuracy", patience=2)
    assert loop.run() == "no better validation accuracy in 2 evaluations"
    said = recorder.of("evaluated")[1:]
    assert [(one.best, one.patience) for one in said] == [(0.5, 0), (0.8, 0), (0.8, 0), (0.8, 1), (0.8, 2)]
    assert {one.judged_by for one in said} == {"accuracy"}
    assert (loop.weights_of, loop.progress.best_loss) == (said[2].step, 3.2)
    assert {reason for _, best, reason in recorder.saved if best} == {"best validation accuracy"}


def test_the_validation_loss_before_the_first_step_is_told(tiny_model, tmp_path):
    parts = pieces(tiny_model, validation=token_rows(6, seed=9))
    loop, recorder = make_loop(parts, tmp_path, max_steps=2)
    loop.run()
    assert [e.number for e in recorder.of("evaluated")] == [0, 1]
    assert loop.progress.start_loss == recorder.of("evaluated")[0].validation_loss


def test_every_epoch_ends_with_an_evaluation_whatever_the_interval(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model, validation=token_rows(6, seed=9)), tmp_path, evaluate_every=1000)
    loop.run()
    assert [e.step for e in recorder.of("evaluated")] == [0, 5, 10]


def test_min_delta_decides_what_counts_as_better(tiny_model, tmp_path):
    parts = pieces(tiny_model, validation=token_rows(6, seed=9))
    loop, _ = make_loop(parts, tmp_path, patience=2, min_delta=100.0, epochs=5)
    assert loop.run() == "no better validation loss in 2 evaluations"


def test_no_steps_are_possible(tiny_model, tmp_path):
    loop, _ = make_loop(pieces(tiny_model), tmp_path, max_steps=0)
    assert loop.run() == "all steps done"
    assert loop.progress.step == 0


def test_a_run_that_had_stopped_early_does_not_train_on_when_it_is_resumed(tiny_model, tmp_path):
    def make(folder, **changes):
        return make_loop(pieces(tiny_model, validation=token_rows(4, seed=1)), folder, **STOPS_EARLY | changes)

    whole, recorder = make(tmp_path / "whole")
    reason = whole.run()
    assert (reason, whole.progress.step) == ("no better validation loss in 1 evaluations", 4)

    resumed, again = make(tmp_path / "resumed")
    resumed.resume(recorder.folders[4])
    again.folders.update(recorder.folders)
    assert resumed.run() == reason
    assert not again.of("step")
    assert same(weights_of(resumed), weights_of(whole))

    further, _ = make(tmp_path / "further", epochs=3)
    further.resume(recorder.folders[4])
    further.observer.folders.update(recorder.folders)
    further.run()
    assert further.progress.step > 4


def test_every_part_of_a_step_and_of_an_evaluation_is_a_sign_of_life(tiny_model, tmp_path):
    loop, recorder = make_loop(pieces(tiny_model, validation=token_rows(8, seed=1)), tmp_path, max_steps=1)
    loop.run()
    parts = len(micro_batches(range(8), loop.pieces.validation.lengths, 128))
    assert parts > 1
    assert recorder.beats.count(1) == parts
    assert recorder.beats.count(0) > parts
