from __future__ import annotations

from typing import Any

import pytest

from tunesmith.planning.choices import GIVEN, SUGGESTED
from tunesmith.planning.suggestions import with_suggestions
from tunesmith.spec.errors import BadEntry, MissingTarget, PrecisionUnusable, UnknownKey, WillNotFit
from tunesmith.spec.plan import Plan

World = Any
GIB = 2**30
GPT2 = {"model_type": "gpt2", "linear_layers": ["c_attn", "c_fc", "c_proj"], "linear_widths": {"c_attn": 3072}}


def value(plan: Plan, field: str) -> Any:
    found: Any = plan.spec
    for part in field.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def decided(plan: Plan, field: str) -> tuple[Any, str]:
    """What was decided of a field, and why; exactly one decision is about it."""
    (found,) = [decision for decision in plan.decisions if decision.field == field]
    return found.value, found.reason


@pytest.mark.parametrize(
    ("field", "suggested"),
    [
        ("recipe.method", "full"),
        ("recipe.adapter.rank", 32),
        ("recipe.adapter.alpha", 16),
        ("recipe.adapter.dropout", 0.3),
        ("recipe.adapter.targets", ["q_proj", "v_proj"]),
        ("recipe.length", 64),
        ("recipe.batch.size", 2),
        ("recipe.batch.accumulation", 3),
        ("recipe.learning_rate", 3e-4),
        ("recipe.epochs", 7.0),
        ("recipe.mode", "slow"),
        ("recipe.optimizer", "adafactor"),
        ("recipe.warmup_ratio", 0.25),
        ("recipe.precision", "fp32"),
        ("recipe.checkpoints.every_steps", 17),
        ("recipe.stopping.patience", 9),
        ("evaluation.validation_split", 0.25),
        ("options.train_on", "all"),
        ("seed", 7),
    ],
)
def test_an_open_field_takes_what_was_suggested_and_says_so(world: World, field: str, suggested: Any) -> None:
    plan = world.plan(suggested={field: suggested})
    assert value(plan, field) == suggested
    assert decided(plan, field) == (suggested, SUGGESTED)


@pytest.mark.parametrize(
    ("typed", "field", "suggested", "kept"),
    [
        ({"recipe": {"method": "lora"}}, "recipe.method", "full", "lora"),
        ({"recipe": {"adapter": {"targets": ["q_proj"]}}}, "recipe.adapter.targets", ["v_proj"], ["q_proj"]),
        ({"recipe": {"optimizer": "adamw_torch"}}, "recipe.optimizer", "adafactor", "adamw_torch"),
        ({"options": {"train_on": "assistant"}}, "options.train_on", "all", "assistant"),
        ({"seed": 42}, "seed", 7, 42),
    ],
)
def test_a_typed_value_stays(world: World, typed: dict[str, Any], field: str, suggested: Any, kept: Any) -> None:
    plan = world.plan(**typed, suggested={field: suggested})
    assert value(plan, field) == kept
    assert decided(plan, field) == (kept, GIVEN)


def test_null_leaves_a_field_open(world: World) -> None:
    plan = world.plan(recipe={"length": None}, suggested={"recipe.length": 64})
    assert plan.spec.recipe.length == 64


@pytest.mark.parametrize(
    ("facts", "suggested", "field", "instead", "why"),
    [
        ({"model": GPT2}, ["q_proj", "v_proj"], "recipe.adapter.targets", ["c_attn", "c_proj"], "no q_proj"),
        ({}, "fp16", "recipe.precision", "bf16", "fp16, which was suggested, is of no use on a CPU"),
        ({"bf16": False}, "fp16", "recipe.precision", "fp32", "of no use on a CPU"),
        ({"quantizes": False}, "qlora", "recipe.method", "lora", "bitsandbytes is not installed"),
        ({"quantizes": False}, "adamw_bnb_8bit", "recipe.optimizer", "adamw_torch", "bitsandbytes is not installed"),
        ({"memory": GIB}, "full", "recipe.method", "lora", "full was suggested, which needs"),
        ({}, 8192, "recipe.length", 4096, "8192 were suggested, and this is all that the model can see"),
        ({"rows": 3, "sampled": 3}, 0.2, "evaluation.validation_split", 0.0, "which is none of 3 rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_gives_way_with_a_reason(
    world: World, facts: dict[str, Any], suggested: Any, field: str, instead: Any, why: str
) -> None:
    plan = world.but(**facts).plan(suggested={field: suggested})
    found, reason = decided(plan, field)
    assert sorted(found) == sorted(instead) if isinstance(instead, list) else found == instead
    assert value(plan, field) == found
    assert why in reason


def test_a_base_in_four_bits_computes_in_what_the_run_does_where_fp16_is_of_no_use(world: World) -> None:
    plan = world.plan(recipe={"method": "qlora"}, suggested={"recipe.quantization.compute": "fp16"})
    assert plan.spec.recipe.quantization.compute == "bf16"
    assert "of no use on a CPU" in decided(plan, "recipe.quantization.compute")[1]


def test_full_that_does_not_fit_becomes_lora_and_then_qlora(seven: World) -> None:
    lora = seven.but(memory=20 * GIB).plan(suggested={"recipe.method": "full"})
    assert lora.spec.recipe.method == "lora" and lora.memory.fits
    qlora = seven.but(memory=9 * GIB).plan(suggested={"recipe.method": "full"})
    assert qlora.spec.recipe.method == "qlora" and qlora.memory.fits
    assert "full was suggested" in decided(qlora, "recipe.method")[1]
    with pytest.raises(WillNotFit):
        seven.but(memory=GIB).plan(suggested={"recipe.method": "full"})


def test_a_forced_job_keeps_what_was_suggested(seven: World) -> None:
    assert seven.plan(suggested={"recipe.method": "full"}, force=True).spec.recipe.method == "full"


def test_a_suggested_length_may_cut_more_than_a_chosen_one(world: World) -> None:
    assert not world.plan(suggested={"recipe.length": 64}).length_chosen
    assert world.plan().length_chosen


def test_a_suggested_split_is_still_a_default(world: World) -> None:
    assert world.plan(suggested={"evaluation.validation_split": 0.2}).split_chosen
    assert not world.plan(evaluation={"validation_split": 0.2}).split_chosen


def test_nobody_is_warned_that_a_suggestion_has_no_effect(world: World) -> None:
    further = {"recipe.adapter.rank": 4, "recipe.quantization.kind": "fp4", "recipe.circular.cycles": 3}
    plan = world.plan(suggested={"recipe.method": "full", **further})
    assert not [sentence for sentence in plan.warnings if "no effect" in sentence]
    fields = {decision.field for decision in plan.decisions}
    assert not {"recipe.adapter.rank", "recipe.quantization.kind"} & fields


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"recipe": {"adapter": {"targets": ["nowhere"]}}}, MissingTarget),
        ({"recipe": {"precision": "fp16"}}, PrecisionUnusable),
    ],
)
def test_what_is_typed_is_refused_as_ever(world: World, typed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        world.plan(**typed, suggested={"recipe.length": 64})


@pytest.mark.parametrize("path", ["recipe.lenght", "recipe.adapter.rank.more", "nothing", "datasets.first.uri"])
def test_a_path_that_no_job_has_is_refused(world: World, path: str) -> None:
    with pytest.raises(UnknownKey, match=f"suggested: unknown key '{path}'"):
        world.plan(suggested={path: 1})


def test_a_value_that_a_field_cannot_have_is_refused(world: World) -> None:
    with pytest.raises(BadEntry, match=r"suggested: 'recipe\.length' is 3"):
        world.plan(suggested={"recipe.length": 3})


def test_taking_suggestions_twice_changes_nothing(world: World) -> None:
    spec = world.spec(suggested={"recipe.adapter.rank": 4, "recipe.method": "full", "options.train_on": "all"})
    once = with_suggestions(spec)
    assert once.recipe.adapter.rank == 4 and once.model_dump() == with_suggestions(once).model_dump()
    assert not {"method", "adapter"} & once.recipe.model_fields_set
