"""Answers token by token, from a real tiny model with random weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from tunesmith.modalities.base import Predictor
from tunesmith.modalities.text.predictor import Answer, TextPredictor, load_predictor
from tunesmith.spec.errors import AdapterMismatch, NotALanguageModel, PromptTooLong
from tunesmith.spec.examples import Message
from tunesmith.spec.sampling import Sampling


class Bytes:
    """The tiny model's tokenizer: 256 bytes and three special tokens."""

    stop_ids = frozenset({258})

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return self.ids("".join(f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in messages))

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids))


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Bytes:
    return Bytes(tiny_model)


@pytest.fixture(scope="module")
def predictor(tiny_model: Path, encoder: Bytes) -> TextPredictor:
    return load_predictor(tiny_model, encoder=encoder)


def model_of(predictor: TextPredictor) -> Any:
    return predictor._model


def answer(encoder: Bytes, text: str, *, limit: int = 99, stop: Sequence[str] = (), end: bool = False) -> Answer:
    tokens = encoder.ids(text) + ([258] if end else [])
    return Answer(iter(tokens), encoder, limit=limit, stop=stop)


def test_the_cache_gives_what_the_whole_sequence_gives(predictor: TextPredictor, encoder: Bytes) -> None:
    ids = encoder.ids("Once upon a time")
    expected = list(ids)
    with torch.no_grad():
        for _ in range(12):
            expected.append(int(model_of(predictor)(input_ids=torch.tensor([expected])).logits[0, -1].argmax()))
    text = "".join(predictor.answer(ids, Sampling(max_tokens=12)))
    assert text == encoder.decode(expected[len(ids) :])


def test_a_seed_makes_a_drawn_answer_repeatable(predictor: TextPredictor, encoder: Bytes) -> None:
    ids = encoder.ids("Hello")
    drawn = ["".join(predictor.answer(ids, Sampling(16, 1.0, seed=seed))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_ends_at_the_token_limit_and_says_so(predictor: TextPredictor, encoder: Bytes) -> None:
    said = predictor.answer(encoder.ids("Hello"), Sampling(max_tokens=5))
    "".join(said)
    assert (said.tokens, said.prompt_tokens, said.finish_reason) == (5, 5, "length")


def test_ends_where_the_model_can_see_no_further(predictor: TextPredictor, encoder: Bytes) -> None:
    said = predictor.answer(encoder.ids("x" * 509), Sampling(max_tokens=50))
    "".join(said)
    assert said.tokens == 3


def test_a_prompt_that_fills_the_model_is_refused(predictor: TextPredictor, encoder: Bytes) -> None:
    with pytest.raises(PromptTooLong, match="512"):
        predictor.answer(encoder.ids("x" * 512), Sampling())


def test_ends_at_a_stop_token_without_showing_it(encoder: Bytes) -> None:
    said = answer(encoder, "Paris.", end=True)
    assert "".join(said) == "Paris."
    assert said.finish_reason == "stop"


def test_ends_before_a_stop_text(encoder: Bytes) -> None:
    said = answer(encoder, "one\n\nUser: two", stop=["\nUser:", "nothing"])
    pieces = list(said)
    assert "".join(pieces) == "one\n"
    assert (said.finish_reason, said.tokens) == ("stop", len("one\n\nUser:"))


def test_text_that_only_begins_like_a_stop_text_is_given(encoder: Bytes) -> None:
    assert "".join(answer(encoder, "one\nUs", stop=["\nUser:"])) == "one\nUs"


@pytest.mark.parametrize("text", ["naïve café", "日本語です", "👩‍🚀 go", "a\u0301"])
def test_characters_of_several_tokens_come_whole(encoder: Bytes, text: str) -> None:
    pieces = list(answer(encoder, text))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_an_answer_cut_inside_a_character_says_so_once(encoder: Bytes) -> None:
    assert "".join(answer(encoder, "日", limit=2)) == "\ufffd"


@pytest.fixture
def adapted(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter folder with weights that matter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    model.save_pretrained(tmp_path / "lora")
    return tmp_path / "lora"


TURNS = (Message("user", "Hello"),)


def test_a_model_in_training_answers_and_stays_in_training(tiny_model: Path, adapted: Path, encoder: Bytes) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    model = PeftModel.from_pretrained(base, str(adapted), is_trainable=True).train()
    few = Sampling(max_tokens=16, temperature=2.0, seed=3)
    after = TextPredictor(model, encoder).answers([TURNS], few)
    assert model.training
    assert after == load_predictor(tiny_model, encoder=encoder, adapter=adapted).answers([TURNS], few)


def test_a_predictor_is_what_every_modality_promises() -> None:
    for name in ("answer", "answers"):
        ours, promised = (inspect.signature(getattr(one, name)) for one in (TextPredictor, Predictor))
        assert list(ours.parameters) == list(promised.parameters)


def test_an_adapter_for_another_base_is_one_sentence(tiny_model: Path, adapted: Path, encoder: Bytes) -> None:
    weights = load_file(adapted / "adapter_model.safetensors")
    wider = {name: torch.zeros(weight.shape[0], 48) if "lora_A" in name else weight for name, weight in weights.items()}
    save_file(wider, adapted / "adapter_model.safetensors")
    with pytest.raises(AdapterMismatch, match=tiny_model.name):
        load_predictor(tiny_model, encoder=encoder, adapter=adapted)


def test_a_folder_of_something_else_is_one_sentence(tmp_path: Path, encoder: Bytes) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "not-a-thing"}')
    with pytest.raises(NotALanguageModel) as raised:
        load_predictor(tmp_path, encoder=encoder)
    assert "\n" not in raised.value.message
