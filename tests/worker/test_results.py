"""What a result says of itself."""

import pytest

from tunesmith.spec.recipe import AdapterRecipe, QuantizationRecipe, Recipe
from tunesmith.worker.results import _method, how_it_is_used


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"method": "full"}, "full"),
        ({"method": "lora"}, "LoRA, rank 4, on q_proj"),
        ({"method": "qlora"}, "LoRA, rank 4, on q_proj, over a base in 4 bits (fp4)"),
        ({"method": "lora-8bit"}, "LoRA, rank 4, on q_proj, over a base in 8 bits"),
    ],
)
def test_the_card_says_what_was_trained_and_over_what(recipe, words):
    adapter = AdapterRecipe(rank=4, targets=["q_proj"])
    assert _method(Recipe(**recipe, adapter=adapter, quantization=QuantizationRecipe(kind="fp4"))) == words


@pytest.mark.parametrize(("switches", "name"), [({"dora": True}, "DoRA"), ({"dora": True, "rslora": True}, "rsDoRA")])
def test_the_card_names_the_kind_of_adapter(switches, name):
    adapter = AdapterRecipe(rank=4, targets=["q_proj"], **switches)
    assert _method(Recipe(method="lora", adapter=adapter)).startswith(f"{name}, rank 4")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("chat", "tunesmith chat --adapter ."),
        ("dpo", "tunesmith chat --adapter ."),
        ("classification", "`AutoModelForSequenceClassification` and put the adapter on"),
        ("mlm", "`AutoModelForMaskedLM` and put the adapter on"),
        ("", "tunesmith chat --adapter ."),
    ],
)
def test_the_card_says_how_the_result_of_a_task_is_opened(task, words):
    assert words in how_it_is_used(task, lora=True)
