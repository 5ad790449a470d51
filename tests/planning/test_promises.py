"""What the documents promise of memory, at the settings that they print: lengths of 512, adapters on q_proj, v_proj."""

from __future__ import annotations

from typing import Any

import pytest

from planning.conftest import CHATS, GIB, GPU, SEVEN, THIRTEEN, World
from tunesmith.spec.errors import WillNotFit
from tunesmith.spec.plan import ModelFacts

GB = 10**9
FULL_ROWS = CHATS.model_copy(
    update={"lengths": dict.fromkeys(("p50", "p95", "p99", "max"), 512), "mean_length": 512.0, "trained_share": 1.0}
)
"""Every row as long as it may be, and all of it trained: the dearest data."""
SMALL_RECIPE = {"adapter": {"rank": 8, "alpha": 16}, "batch": {"size": 4, "accumulation": 4}}
LARGE_RECIPE = {"adapter": {"rank": 16, "alpha": 32}, "batch": {"size": 2, "accumulation": 8}}


def on_gpu(model: ModelFacts, gigabytes: float, recipe: dict[str, Any], **job: Any):
    world = World(model, GPU.model_copy(update={"memory": int(gigabytes * GB)}), FULL_ROWS)
    adapter = {**recipe.get("adapter", {}), "targets": ["q_proj", "v_proj"]}
    return world.plan(recipe={**recipe, "adapter": adapter, "length": 512}, **job)


@pytest.mark.parametrize(
    ("model", "method", "gigabytes", "recipe"),
    [
        (SEVEN, "qlora", 8, SMALL_RECIPE),
        (SEVEN, "lora", 16, SMALL_RECIPE),
        (THIRTEEN, "qlora", 10, LARGE_RECIPE),
        (THIRTEEN, "lora", 32, LARGE_RECIPE),
    ],
)
def test_what_is_promised_fits(model, method, gigabytes, recipe):
    plan = on_gpu(model, gigabytes, {**recipe, "method": method})
    assert plan.memory.fits
    assert plan.memory.total > 0.6 * gigabytes * GB, "a promise that is kept with so much room was not reckoned"
    assert plan.spec.recipe.batch.size == recipe["batch"]["size"]


@pytest.mark.parametrize(("model", "gigabytes"), [(SEVEN, 8), (THIRTEEN, 10)])
def test_where_lora_cannot_fit_qlora_is_taken(model, gigabytes):
    assert on_gpu(model, gigabytes, {"adapter": {"rank": 8}}).spec.recipe.method == "qlora"


def test_an_adapter_that_is_too_large_is_told():
    with pytest.raises(WillNotFit, match="--lora-r 8"):
        on_gpu(THIRTEEN, 10, {})


@pytest.mark.parametrize(("model", "method", "gigabytes"), [(SEVEN, "lora", 12), (THIRTEEN, "qlora", 7)])
def test_what_cannot_fit_is_refused(model, method, gigabytes):
    with pytest.raises(WillNotFit):
        on_gpu(model, gigabytes, {**SMALL_RECIPE, "method": method})
    assert not on_gpu(model, gigabytes, {**SMALL_RECIPE, "method": method}, force=True).memory.fits


def test_full_training_of_7b_says_what_would_fit():
    with pytest.raises(WillNotFit, match=r"Try --method lora or --method qlora\. --force"):
        on_gpu(SEVEN, 28, {"method": "full"})
    assert on_gpu(SEVEN, 160, {"method": "full"}).memory.fits


def test_an_8_bit_optimizer_is_named_where_it_alone_helps():
    least = {"method": "full", "gradient_checkpointing": True, "batch": {"micro_tokens": 512}}
    needed = on_gpu(SEVEN, 1000, least).memory
    between = (needed.total - needed.optimizer // 4) / GB
    with pytest.raises(WillNotFit, match="--optimizer adamw_bnb_8bit"):
        on_gpu(SEVEN, between, least)
    assert on_gpu(SEVEN, between, {**least, "optimizer": "adamw_bnb_8bit"}).memory.fits
    assert on_gpu(SEVEN, between, {**least, "optimizer": "adafactor"}).memory.fits


def test_a_13b_base_in_4_bits_says_what_it_takes():
    memory = on_gpu(THIRTEEN, 10, {**LARGE_RECIPE, "method": "qlora"}).memory
    assert memory.weights == pytest.approx(7.3 * GIB, rel=0.02)
    double = on_gpu(THIRTEEN, 10, {**LARGE_RECIPE, "method": "qlora", "quantization": {"double": True}}).memory
    saved = memory.weights - double.weights
    assert saved == pytest.approx(THIRTEEN.linear_parameters * 0.37 / 8, rel=0.05), "0.37 bits a weight (QLoRA)"


def test_8_bits_lie_between():
    totals = [
        on_gpu(SEVEN, 100, {**SMALL_RECIPE, "method": method}).memory.weights
        for method in ("qlora", "lora-8bit", "lora")
    ]
    assert totals == sorted(totals)
    assert totals[1] == pytest.approx(SEVEN.parameters * 1.05, rel=0.02)
