"""Which weights are trained, in which number format, and what the method changes elsewhere."""

from __future__ import annotations

import pytest

from planning.conftest import GIB, GPU, SEVEN, World
from tunesmith.spec.errors import BadValue, PackageMissing, PrecisionUnusable, WillNotFit
from tunesmith.spec.plan import Plan


def reason(plan: Plan, field: str) -> str:
    return next(decision.reason for decision in plan.decisions if decision.field == field)


def test_lora_where_it_fits(seven):
    assert seven.plan().spec.recipe.method == "lora"


def test_qlora_where_lora_cannot_fit(seven):
    plan = seven.but(memory=8 * GIB).plan()
    assert plan.spec.recipe.method == "qlora"
    assert plan.memory.fits
    assert "LoRA needs" in reason(plan, "recipe.method")


@pytest.mark.parametrize("facts", [{"quantizes": False}, {"model": {"model_type": "gemma3n_text"}}])
def test_lora_where_nothing_can_store_a_base_in_4_bits(seven, facts):
    with pytest.raises(WillNotFit, match="smaller model"):
        seven.but(memory=8 * GIB, **facts).plan()
    assert seven.but(memory=8 * GIB, **facts).plan(force=True).spec.recipe.method == "lora"


def test_full_training_only_if_it_is_asked_for(world):
    assert world.but(memory=2**40).plan().spec.recipe.method == "lora"
    assert world.plan(recipe={"method": "full"}).spec.recipe.method == "full"


def test_a_family_that_does_not_bear_4_bits_says_so(world):
    with pytest.raises(BadValue, match=r"lora-8bit: Gemma 3n models do not bear 4 bits"):
        world.but(model={"model_type": "gemma3n_text"}).plan(recipe={"method": "qlora"})


def test_a_typed_4_bit_base_needs_bitsandbytes(world):
    with pytest.raises(PackageMissing, match="bitsandbytes"):
        world.but(quantizes=False).plan(recipe={"method": "qlora"})


@pytest.mark.parametrize(("method", "rate"), [("lora", 5e-4), ("qlora", 4e-4), ("lora-8bit", 4e-4), ("full", 5e-5)])
def test_the_rate_goes_by_the_method(world, method, rate):
    assert world.plan(recipe={"method": method}).spec.recipe.learning_rate == pytest.approx(rate)


def test_qlora_recomputes_activations_unless_told_otherwise(world):
    plan = world.plan(recipe={"method": "qlora"})
    assert plan.spec.recipe.gradient_checkpointing is True
    assert "QLoRA" in reason(plan, "recipe.gradient_checkpointing")
    typed = world.plan(recipe={"method": "qlora", "gradient_checkpointing": False})
    assert typed.spec.recipe.gradient_checkpointing is False


def test_a_4_bit_base_says_how_it_is_stored(world):
    plan = world.plan(recipe={"method": "qlora"})
    quantization = plan.spec.recipe.quantization
    assert (quantization.kind, quantization.double, quantization.compute) == ("nf4", False, "bf16")
    assert reason(plan, "recipe.quantization.compute") == "the run's own"
    typed = world.plan(recipe={"method": "qlora", "quantization": {"double": True, "compute": "fp32", "kind": "fp4"}})
    assert [reason(typed, f"recipe.quantization.{name}") for name in ("kind", "double", "compute")] == ["given"] * 3


@pytest.mark.parametrize(
    ("recipe", "warning"),
    [
        ({"quantization": {"double": True}}, "not stored in 4 bits"),
        ({"circular": {"cycles": 7}}, "Mode medium has no cycles"),
        ({"schedule_cycles": 5}, "Schedule cosine has no waves"),
        ({"decay_ratio": 0.5}, "Schedule cosine has no decay of its own"),
        ({"force_epochs": True, "stopping": {"patience": 2}}, "every automatic stop off"),
        ({"mode": "circular", "epochs": 3, "circular": {"cycles": 7}}, "--epochs says how many cycles"),
        ({"optimizer": "paged_adamw_8bit"}, "runs as adamw_bnb_8bit"),
    ],
)
def test_says_what_has_no_effect(world, recipe, warning):
    assert any(warning in each for each in world.plan(recipe=recipe).warnings)


def test_the_same_words_are_not_said_where_they_count(world):
    counts = {
        "method": "qlora",
        "quantization": {"double": True},
        "schedule": "cosine_with_restarts",
        "schedule_cycles": 5,
        "stopping": {"patience": 2},
    }
    assert not world.plan(recipe=counts).warnings
    assert not world.plan(recipe={"schedule": "wsd", "decay_ratio": 0.5}).warnings
    assert not World(device=GPU).plan(recipe={"optimizer": "paged_adamw_8bit"}).warnings


def test_a_typed_fp16_on_a_cpu_is_refused_and_bf16_named(world):
    with pytest.raises(PrecisionUnusable, match=r"--dtype fp16: a CPU .* Give --dtype bf16") as refused:
        world.plan(recipe={"precision": "float16"})
    assert refused.value.exit_code == 78
    with pytest.raises(PrecisionUnusable, match=r"--quant-compute-dtype fp16: a CPU .* bf16"):
        world.plan(recipe={"method": "qlora", "quantization": {"compute": "fp16"}})
    with pytest.raises(PrecisionUnusable, match="Give --dtype fp32"):
        world.but(bf16=False).plan(recipe={"precision": "fp16"})


@pytest.mark.parametrize("model_type", ["gemma3_text", "gemma3n_text", "llama4_text"])
def test_fp16_is_never_for_a_family_that_overflows_in_it(model_type):
    old = World(device=GPU.model_copy(update={"bf16": False})).but(model={"model_type": model_type})
    assert old.plan().spec.recipe.precision == "fp32"
    assert "overflow in fp16" in reason(old.plan(), "recipe.precision")
    with pytest.raises(PrecisionUnusable, match="overflow in it"):
        old.plan(recipe={"precision": "fp16"})


def test_fp16_on_a_gpu_without_bf16():
    plan = World(device=GPU.model_copy(update={"bf16": False})).plan()
    assert plan.spec.recipe.precision == "fp16"
    assert plan.memory.weights == World(device=GPU).plan().memory.weights


def test_flash_attention_where_it_is_installed_and_the_family_bears_it():
    flash = World(model=SEVEN, device=GPU.model_copy(update={"flash": True}))
    attention = {
        kind: flash.but(model={"model_type": kind}).plan().execution.attention
        for kind in ("llama", "gptj", "gemma3n_text", "mamba")
    }
    assert attention == {
        "llama": "documents",
        "gptj": "flash_attention_2",
        "gemma3n_text": "stock",
        "mamba": "flash_attention_2",
    }
    typed = flash.but(model={"model_type": "gptj"}).plan(recipe={"precision": "fp32"})
    assert typed.execution.attention == "stock"


def test_dora_leaves_the_fused_layers(world):
    assert world.plan().execution.fused
    assert not world.plan(recipe={"adapter": {"dora": True}}).execution.fused
