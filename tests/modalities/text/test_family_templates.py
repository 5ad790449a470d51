"""The templates of families train exactly what the assistant says, and its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tunesmith.modalities.family_templates import FAMILY_TEMPLATES, fitting_template
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Conversation, Message

WHERE = Where("chat.jsonl", 1)
TURNS = (
    Message("system", "Be brief."),
    Message("user", "Hi there"),
    Message("assistant", "Hello."),
    Message("user", "And now?"),
    Message("assistant", "Bye."),
)
ENDINGS = {
    "llama2": "</s>",
    "llama3": "<|eot_id|>",
    "llama4": "<|eot|>",
    "mistral": "</s>",
    "gemma": "<end_of_turn>",
    "chatml": "<|im_end|>",
    "phi2": "<|endoftext|>",
    "phi3": "<|end|>",
}
FAMILIES = {
    "llama2": "llama",
    "llama3": "llama",
    "llama4": "llama4_text",
    "mistral": "mistral",
    "gemma": "gemma3",
    "chatml": "qwen3",
    "phi2": "phi",
    "phi3": "phi3",
}


@pytest.fixture
def model(tmp_path):
    def made(model_type: str, tokens: tuple[str, ...]) -> Path:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*tokens, "<|end of text|>")])
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end of text|>"}))
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        return Path(tmp_path)

    return made


def trained_texts(encoder: TextEncoder, turns: tuple[Message, ...] = TURNS) -> list[str]:
    """What is trained of a conversation, stretch by stretch."""
    [row] = encoder(Conversation(turns, WHERE))
    found: list[list[int]] = []
    for place, (token, trained) in enumerate(zip(row.ids, row.mask, strict=True)):
        if trained and not (place and row.mask[place - 1]):
            found.append([])
        if trained:
            found[-1].append(token)
    return [encoder.spell(ids) for ids in found]


@pytest.mark.parametrize("name", FAMILY_TEMPLATES)
def test_answers_and_their_ends_are_trained(name, model):
    encoder = TextEncoder(model(FAMILIES[name], FAMILY_TEMPLATES[name].tokens))
    assert encoder.borrowed is FAMILY_TEMPLATES[name]
    assert [text.replace(" ", "").strip("\n") for text in trained_texts(encoder)] == [
        f"Hello.{ENDINGS[name]}",
        f"Bye.{ENDINGS[name]}",
    ]


@pytest.mark.parametrize("name", FAMILY_TEMPLATES)
def test_a_prompt_is_how_the_whole_conversation_begins(name, model):
    encoder = TextEncoder(model(FAMILIES[name], FAMILY_TEMPLATES[name].tokens))
    [whole] = encoder(Conversation(TURNS, WHERE))
    prompt = encoder.prompt(TURNS[:4])
    assert list(whole.ids[: len(prompt)]) == prompt
    assert "Be brief." in encoder.spell(prompt)


def test_writes_llama_2_as_documented(model):
    encoder = TextEncoder(model("llama", ("<s>", "</s>")))
    assert encoder.spell(encoder.prompt(TURNS[:4])) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi there [/INST] Hello. </s><s>[INST] And now? [/INST]"
    )


def test_writes_gemma_as_documented(model):
    encoder = TextEncoder(model("gemma", FAMILY_TEMPLATES["gemma"].tokens))
    assert encoder.spell(encoder.prompt(TURNS[1:4])) == (
        "<bos><start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n"
        "<start_of_turn>user\nAnd now?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_the_tokenizer_decides_among_a_familys_templates(model):
    names = ("llama3", "chatml", "llama2")
    fitting = fitting_template(names, lambda token: token in ("<s>", "</s>"))
    assert fitting is FAMILY_TEMPLATES["llama2"]
    assert fitting_template(names, lambda token: False) is None


def test_a_tokenizer_without_the_tokens_leaves_the_plain_template(model):
    encoder = TextEncoder(model("llama", ()))
    assert encoder.borrowed is None
    assert trained_texts(encoder, TURNS[1:3]) == [" Hello.<|end of text|>"]
