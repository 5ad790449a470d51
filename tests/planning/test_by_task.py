from __future__ import annotations

from typing import Any

import pytest

LABELLED: dict[str, Any] = {
    "kinds": {"label": 2000}, "lengths": {"p50": 90, "p95": 400, "p99": 500, "max": 510}, "rows": 3200, "exact": True,
}  # fmt: skip


def reason(plan: Any, field: str) -> str:
    return next(decision.reason for decision in plan.decisions if decision.field == field)


@pytest.mark.parametrize(("method", "rate"), [("lora", 1.25e-5), ("full", 1.25e-6)])
def test_preferences_take_a_fortieth_of_the_rate(world: Any, method: str, rate: float) -> None:
    plan = world.but(kinds={"preference": 2000}).plan(recipe={"method": method})
    assert plan.spec.task == "dpo"
    assert plan.spec.recipe.learning_rate == pytest.approx(rate)
    assert "x 0.025 for dpo" in reason(plan, "recipe.learning_rate")


def test_classes_are_told_by_the_beginning_of_a_text_in_two_passes_with_few_evaluations(world: Any) -> None:
    recipe = (plan := world.but(**LABELLED).plan()).spec.recipe
    assert plan.spec.task == "classification"
    assert (recipe.length, recipe.epochs, recipe.learning_rate) == (128, 2, 5e-4)
    assert "beginning of a text" in reason(plan, "recipe.length")
    assert "25% of an epoch" in reason(plan, "recipe.evaluate_every")


def test_short_texts_need_no_more_than_they_have(world: Any) -> None:
    lengths = {"p50": 20, "p95": 60, "p99": 70, "max": 77}
    assert world.but(**LABELLED | {"lengths": lengths}).plan().spec.recipe.length == 80


def test_what_is_typed_stays(world: Any) -> None:
    plan = world.but(**LABELLED).plan(recipe={"length": 300, "epochs": 7, "learning_rate": 0.003, "evaluate_every": 9})
    recipe = plan.spec.recipe
    assert (recipe.length, recipe.epochs, recipe.learning_rate, recipe.evaluate_every) == (300, 7, 0.003, 9)


def test_a_text_for_an_encoder_has_its_words_covered(world: Any) -> None:
    encoder = world.but(model={"kind": "encoder", "model_type": "bert"}, kinds={"text": 100})
    assert encoder.plan().spec.task == "mlm"
