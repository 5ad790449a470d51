from __future__ import annotations

import pytest

from tunesmith.planning.fitting import rounded_up

LONG = {"p50": 900, "p95": 1500, "p99": 1900, "max": 2000}


@pytest.mark.parametrize(("tokens", "expected"), [(1, 16), (16, 16), (17, 24), (120.5, 128)])
def test_rounds_up_to_eights(tokens, expected):
    assert rounded_up(tokens) == expected


def test_computes_no_more_at_once_than_a_step_holds(world):
    assert world.plan(recipe={"mode": "fast"}).spec.recipe.batch.micro_tokens == 8 * 121


def test_a_gpu_computes_more_at_once(seven):
    plan = seven.but(memory=140 * 2**30, lengths=LONG).plan()
    assert plan.spec.recipe.batch.micro_tokens == 16_384


def test_halves_the_portion_until_it_fits(world):
    amounts = [world.but(memory=int(gib * 2**30)).plan().spec.recipe.batch.micro_tokens for gib in (16, 1.5, 1.2)]
    assert amounts == sorted(amounts, reverse=True)
    assert len(set(amounts)) == 3


def test_a_typed_portion_is_kept_and_activations_are_recomputed_instead(world):
    recipe = world.but(memory=int(1.5 * 2**30)).plan(recipe={"batch": {"micro_tokens": 1024}}).spec.recipe
    assert recipe.batch.micro_tokens == 1024
    assert recipe.gradient_checkpointing is True


def test_typed_checkpointing_is_kept(world):
    assert world.plan(recipe={"gradient_checkpointing": True}).spec.recipe.gradient_checkpointing is True
    assert world.plan(recipe={"gradient_checkpointing": False}).spec.recipe.gradient_checkpointing is False
