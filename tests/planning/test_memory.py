from __future__ import annotations

import pytest

from tunesmith.planning.memory import GIB, LOGIT_NUMBERS, SHORT


def test_a_7b_adapter_fits_in_16_gb(seven):
    plan = seven.plan(recipe={"method": "lora", "precision": "bf16", "batch": {"size": 4}})
    assert plan.memory.fits
    assert plan.memory.total > 13 * GIB


@pytest.mark.parametrize(("trained", "share"), [({"method": "lora"}, 0.02), ({"method": "full"}, 1.0)])
def test_optimizer_and_gradients_are_those_of_the_trained_weights(world, trained, share):
    memory = world.plan(recipe={**trained, "precision": "fp32"}).memory
    assert memory.weights == pytest.approx(135e6 * 4, rel=0.05)
    assert memory.gradients <= share * 135e6 * 8
    assert memory.gradients <= memory.optimizer <= 2 * memory.gradients


def test_gradients_of_one_pass_take_the_place_of_its_activations(world):
    many, few = (
        world.plan(recipe={"method": "full", "precision": "bf16", "batch": {"micro_tokens": tokens}}).memory
        for tokens in (1024, 16)
    )
    assert many.gradients == 135_000_000 * 4
    assert few.gradients == 135_000_000 * 6 - few.activations


def test_bf16_keeps_32_bit_masters_of_what_is_trained(world):
    memory = world.plan(recipe={"method": "full", "precision": "bf16"}).memory
    assert memory.weights == 135_000_000 * 2
    assert memory.optimizer == 135_000_000 * 12


def test_adapter_weights_count_by_their_targets(world):
    few, many = (world.plan(recipe={"adapter": {"targets": targets}}) for targets in (["q_proj"], ["all-linear"]))
    assert few.memory.optimizer == 8 * 30 * 2 * 576 * 12
    assert many.memory.optimizer == 8 * 30 * (4 * 2 * 576 + 3 * (576 + 1536)) * 12


def test_logits_stop_growing_with_the_batch(world):
    def logits(tokens: int) -> int:
        recipe = {"batch": {"micro_tokens": tokens, "size": 512}}
        return world.but(trained_share=1.0).plan(recipe=recipe).memory.logits

    assert logits(128) < logits(1024) == logits(8192)


def test_limits_are_those_of_the_engine():
    from tunesmith.training.documents import KEEP_LENGTH
    from tunesmith.training.logits import CHUNK_NUMBERS

    assert (LOGIT_NUMBERS, SHORT) == (CHUNK_NUMBERS, KEEP_LENGTH)


def test_logits_are_those_of_labelled_positions(world):
    plans = [world.but(trained_share=share).plan() for share in (0.02, 0.08)]
    assert plans[1].memory.logits == pytest.approx(4 * plans[0].memory.logits, rel=0.05)


def test_checkpointing_keeps_one_layer_and_the_inputs_of_the_others(world):
    kept, recomputed = (world.plan(recipe={"gradient_checkpointing": flag}).memory for flag in (False, True))
    assert recomputed.activations < kept.activations / 10
    assert recomputed.weights == kept.weights


def test_a_row_longer_than_the_portion_counts_whole(world):
    lengths = {"p50": 100, "p95": 2000, "p99": 3000, "max": 4000}
    short, long = (world.but(lengths={**lengths, "max": top}).plan() for top in (1000, 4000))
    assert long.memory.activations > 3.5 * short.memory.activations


def test_a_gpu_has_more_overhead(world, seven):
    assert seven.plan().memory.overhead > world.plan().memory.overhead


@pytest.mark.parametrize(
    ("model_type", "recipe", "megabytes"),
    [
        ("llama", {"method": "lora"}, 602),
        ("llama", {"method": "full"}, 689),
        ("llama", {"method": "lora", "precision": "fp32"}, 1154),
        ("qwen3", {"method": "lora"}, 1121),
        ("qwen3", {"method": "full"}, 1394),
    ],
)
def test_activations_are_a_little_above_what_was_measured(world, model_type, recipe, megabytes):
    lengths = dict.fromkeys(("p50", "p95", "p99", "max"), 64)
    seen = world.but(model={"model_type": model_type}, lengths=lengths, trained_share=0.4)
    memory = seen.plan(recipe={**recipe, "batch": {"micro_tokens": 1024, "size": 16}}).memory
    assert megabytes <= (memory.activations + memory.logits) / 2**20 <= 1.5 * megabytes
