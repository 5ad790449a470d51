from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunesmith.spec.errors import BadEntry, UnknownKey
from tunesmith.spec.job import JobSpec, Resources
from tunesmith.spec.recipe import AdapterRecipe, Recipe
from tunesmith.spec.work import EvaluateSpec
from tunesmith.spec.wrong_values import explained, translated, wanted


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("a whole number from 1 to 1024", AdapterRecipe.model_fields["rank"]),
        ("a whole number from 16 to 1048576", Recipe.model_fields["length"]),
        ("a number above 0", AdapterRecipe.model_fields["alpha"]),
        ("a number of at least 0 and below 1", AdapterRecipe.model_fields["dropout"]),
        ("a list of names that is not empty", AdapterRecipe.model_fields["targets"]),
        ("one of full, lora, qlora, lora-8bit", Recipe.model_fields["method"]),
        ("true or false", Recipe.model_fields["gradient_checkpointing"]),
        ("one of auto, cpu, cuda", Resources.model_fields["device"]),
        ("a map of names to values", JobSpec.model_fields["labels"]),
        ("a map of settings", JobSpec.model_fields["recipe"]),
        ("a list of entries that has at most 1000", EvaluateSpec.model_fields["prompts"]),
        ("one of 1", JobSpec.model_fields["schema_version"]),
    ],
)
def test_a_field_says_what_it_may_hold(words: str, field: object) -> None:
    assert wanted(field) == words  # type: ignore[arg-type]


def fault(job: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(job)
    return caught.value


def test_an_unknown_key_is_named_with_its_siblings() -> None:
    job = {"model": {"source": "m"}, "datasets": [{"uri": "d"}], "recipe": {"adapter": {"rnk": 3}}}
    error = explained(fault(job), JobSpec, "job.yaml")
    assert isinstance(error, UnknownKey)
    assert error.message.startswith("job.yaml, in recipe.adapter: unknown key 'rnk'. Did you mean 'rank'?")


def test_a_value_inside_a_list_is_named() -> None:
    error = explained(fault({"model": {"source": "m"}, "datasets": [{"uri": "d", "limit": 0}]}), JobSpec, "job.yaml")
    assert isinstance(error, BadEntry)
    assert error.message.startswith("job.yaml: 'datasets.0.limit' is 0, which is not a whole number of at least 1.")


def test_a_fault_that_nobody_named_is_still_a_sentence() -> None:
    error = translated(fault({}))
    assert isinstance(error, BadEntry)
    assert "model" in error.message


def test_other_exceptions_are_left_alone() -> None:
    assert translated(ValueError("x")) is None
