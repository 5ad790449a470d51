from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from modalities.templates import CHATML, LLAMA3
from tunesmith.modalities.chat_template import ChatTemplate, TemplateRefusal, load, special_tokens
from tunesmith.spec.errors import NoChatTemplate, UnreadableFile

TALK = [
    {"role": "user", "content": "Hé, wie geht's? 🙂"},
    {"role": "assistant", "content": '  Gut <|im_end|> & "danke"\n'},
    {"role": "user", "content": "hello hello"},
]


@pytest.mark.parametrize("kind", ["chatml", "llama3", "qwen3", "thinks first", "mistral"])
@pytest.mark.parametrize("asking", [False, True])
def test_gives_the_text_and_the_ids_of_transformers(text_model: Callable[[str], Path], kind: str, asking: bool) -> None:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    folder = text_model(kind)
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    ours = load(folder)
    assert ours is not None
    text = ours.render(TALK, add_generation_prompt=asking)
    assert text == theirs.apply_chat_template(TALK, tokenize=False, add_generation_prompt=asking)
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    assert ids == theirs.apply_chat_template(TALK, add_generation_prompt=asking, return_dict=False)


def test_gives_the_ids_of_transformers_on_a_whole_model(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    from tunesmith.modalities.text.encode import TextEncoder

    theirs = AutoTokenizer.from_pretrained(tiny_model)
    expected = theirs.apply_chat_template(TALK, add_generation_prompt=True, return_dict=False)
    assert TextEncoder(tiny_model).prompt(TALK) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ {'b': '<ü>', 'a': [1]} | tojson }}{{ {'b': 1} | tojson(indent=2) }}",
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}\n  {% generation %}\n{{ m.content }}{% endgeneration %}\n{% endfor %}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "{{ tools is none }}{{ documents is none }}{{ bos_token }}{{ messages[0]['role'] | upper }}",
    ],
)
def test_renders_what_transformers_renders(tmp_path: Path, text_model: Callable[[str], Path], source: str) -> None:
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast.from_pretrained(text_model("llama3"))
    ours = ChatTemplate(source, special_tokens(text_model("llama3")), name="test")
    assert ours.render(TALK) == theirs.apply_chat_template(TALK, chat_template=source, tokenize=False)


def test_tells_the_template_the_day_it_is_given() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", {}, name="test", today=datetime(2024, 7, 26))
    assert template.render([]) == "26 Jul 2024"


def test_names_what_the_template_says_when_it_refuses() -> None:
    template = ChatTemplate("{{ raise_exception('Roles must alternate') }}", {}, name="test")
    with pytest.raises(TemplateRefusal, match="Roles must alternate"):
        template.render([])


@pytest.mark.parametrize(
    "source", ["{{ messages.__class__.__mro__ }}", "{{ messages.append(1) }}", "{{ messages[9].content.x }}"]
)
def test_keeps_a_template_in_its_sandbox(source: str) -> None:
    with pytest.raises(TemplateRefusal):
        ChatTemplate(source, {}, name="test").render(TALK)


def test_says_where_a_template_is_broken(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}")
    with pytest.raises(NoChatTemplate, match="endfor"):
        load(tmp_path)


def test_takes_the_templates_own_file_first(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "config"}))
    (tmp_path / "chat_template.jinja").write_text("file")
    found = load(tmp_path)
    assert found is not None
    assert found.source == "file"


def test_takes_the_users_file_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("model")
    (tmp_path / "mine.jinja").write_text("mine")
    found = load(tmp_path, tmp_path / "mine.jinja")
    assert found is not None
    assert found.source == "mine"


def test_takes_the_default_of_several(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": CHATML}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    found = load(tmp_path)
    assert found is not None
    assert found.source == CHATML


def test_says_that_none_of_several_is_the_default(tmp_path: Path) -> None:
    named = [{"name": "rag", "template": "x"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    with pytest.raises(NoChatTemplate, match="none is the default"):
        load(tmp_path)


def test_finds_no_template_in_a_model_without(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_reads_special_tokens_written_as_objects(tmp_path: Path) -> None:
    config = {"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "</s>", "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert special_tokens(tmp_path) == {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_says_that_a_configuration_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="latin-1")
    with pytest.raises(UnreadableFile, match=r"tokenizer_config\.json"):
        load(tmp_path)


def test_leaves_the_callers_messages_alone() -> None:
    messages = [{"role": "user", "content": " x "}]
    ChatTemplate(LLAMA3, {"bos_token": ""}, name="test").render(messages)
    assert messages == [{"role": "user", "content": " x "}]
