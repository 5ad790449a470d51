from __future__ import annotations

import click
import pytest

from tunesmith.cli.field_option import FieldType, field_option, flag_name
from tunesmith.spec.job import Output
from tunesmith.spec.recipe import AdapterRecipe, Recipe


def test_the_flag_is_the_fields_own_or_its_name() -> None:
    assert flag_name("rank", AdapterRecipe.model_fields["rank"]) == "--lora-r"
    assert flag_name("learning_rate", Recipe.model_fields["learning_rate"]) == "--learning-rate"


def test_the_help_is_the_fields_docstring_with_its_default() -> None:
    option = field_option(
        "recipe.adapter.dropout", AdapterRecipe.model_fields["dropout"], ["--lora-dropout"], "Adapter"
    )
    assert option.help == "Share of the adapter's inputs set to zero while training. [default: 0.05]"
    assert (option.name, option.default, option.section) == ("recipe__adapter__dropout", None, "Adapter")


def test_a_switch_has_two_sides() -> None:
    option = field_option("output.tensorboard", Output.model_fields["tensorboard"], ["--tensorboard"], "Output")
    assert (option.opts, option.secondary_opts) == (["--tensorboard"], ["--no-tensorboard"])
    assert option.help is not None and option.help.endswith("[default: yes]")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("epochs", "2.5", 2.5), ("max_steps", "0", 0), ("schedule", "linear", "linear"), ("mode", "balanced", "medium")],
)
def test_text_becomes_the_fields_type(name: str, text: str, value: object) -> None:
    converted = FieldType(Recipe.model_fields[name]).convert(text, None, None)
    assert converted == value


def test_choices_are_offered_to_shells() -> None:
    kind = FieldType(Recipe.model_fields["schedule"])
    option = click.Option(["--schedule"], type=kind)
    offered = kind.shell_complete(click.Context(click.Command("x")), option, "co")
    assert [item.value for item in offered] == ["cosine", "constant", "cosine_with_restarts"]
    modes = FieldType(Recipe.model_fields["mode"])
    offered = modes.shell_complete(click.Context(click.Command("x")), option, "a")
    assert [item.value for item in offered] == ["adaptive"]
