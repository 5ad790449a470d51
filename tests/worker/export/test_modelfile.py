"""Modelfiles: what Ollama renders is what the trained template renders."""

from __future__ import annotations

import pytest

from tiny import CHATML
from tunesmith.modalities.chat_template import ChatTemplate
from tunesmith.modalities.family_templates import FAMILY_TEMPLATES
from tunesmith.modalities.text.encode import PLAIN_TEMPLATE
from tunesmith.worker.export.go_template import render
from tunesmith.worker.export.modelfile import modelfile, ollama_template

ALPACA = (
    "Below is an instruction.\n\n{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
    "{% elif m.role == 'system' %}{{ m.content }}\n\n{% else %}### Response:\n{{ m.content }}</s>\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe good<|im_end|>\n' }}{% endif %}" + CHATML
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
SYSTEM_LAST = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {% if loop.last and messages[0].role == 'system' %}"
    "{{ messages[0].content }}: {% endif %}{{ m.content }}[/INST]{% elif m.role == 'assistant' %}{{ m.content }}</s>"
    "{% endif %}{% endfor %}"
)
TEMPLATES = {
    "plain": ("", PLAIN_TEMPLATE),
    "alpaca": ("", ALPACA),
    "chatml": ("", CHATML),
    "default system": ("", DEFAULT_SYSTEM),
    "no system": ("", NO_SYSTEM),
    "llama3": ("<|begin_of_text|>", FAMILY_TEMPLATES["llama3"].source),
    "mistral": ("<s>", FAMILY_TEMPLATES["mistral"].source),
    "gemma": ("<bos>", FAMILY_TEMPLATES["gemma"].source),
    "phi3": ("", FAMILY_TEMPLATES["phi3"].source),
}
SAID = [
    {"role": "user", "content": "What is {1}?"},
    {"role": "assistant", "content": "It is\n\n2."},
    {"role": "user", "content": 'And "3" \\ 4?'},
]
SYSTEM = {"role": "system", "content": "Answer <b>briefly</b>."}


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}, name="test")


@pytest.mark.parametrize("name", TEMPLATES)
def test_ollama_renders_what_was_trained(name: str) -> None:
    begin, source = TEMPLATES[name]
    trained = template(source)
    made = ollama_template(trained, [SAID], begin=begin)
    assert made.go is not None, made.why
    for turns in (SAID[:1], SAID, *([] if name == "no system" else [[SYSTEM, *SAID[:1]], [SYSTEM, *SAID]])):
        assert begin + render(made.go, turns) == trained.render(turns, add_generation_prompt=True)
    assert any("takes no system prompt" in note for note in made.notes) == (name == "no system")
    assert any("trims blanks" in note for note in made.notes) == ("trim" in source)


@pytest.mark.parametrize(
    ("begin", "source", "why"),
    [
        ("", SYSTEM_LAST, "not put together"),
        ("<s>", FAMILY_TEMPLATES["llama2"].source, "not put together"),
        ("", CHATML.replace("<|im_start|>", "{{"), "not put together"),
        ("", "{{ raise_exception('never') }}", "not put together"),
        ("", CHATML.replace("<|im_end|>", '"""'), "ends a text in a Modelfile"),
    ],
)
def test_a_template_that_is_not_proven_is_not_written(begin: str, source: str, why: str) -> None:
    made = ollama_template(template(source), [SAID], begin=begin)
    assert made.go is None
    assert why in made.why
    text = modelfile("x.gguf", made, ["</s>"])
    assert 'TEMPLATE """' not in text
    assert f"# No TEMPLATE: {made.why}" in text


def test_a_prompt_that_comes_out_otherwise_keeps_the_template_back() -> None:
    odd = "{% for m in messages %}<{{ m.content | replace('zebra', 'horse') }}>{% endfor %}"
    turns = [{"role": "user", "content": "a zebra"}]
    assert ollama_template(template(odd), [SAID[:1]], begin="").go is not None
    assert ollama_template(template(odd), [turns], begin="").go is None


def test_a_modelfile_names_the_file_the_template_and_the_stops() -> None:
    made = ollama_template(template(CHATML), [], begin="")
    text = modelfile("faq-q8_0.gguf", made, ["<|im_end|>", 'a "b" \\'])
    first, rest = text.split("\n", 1)
    assert first == "FROM ./faq-q8_0.gguf"
    assert rest.startswith('TEMPLATE """{{ range $i, $_ := .Messages }}{{ if eq .Role "user" }}<|im_start|>user\n')
    assert text.endswith('PARAMETER stop "<|im_end|>"\nPARAMETER stop "a \\"b\\" \\\\"\n')
