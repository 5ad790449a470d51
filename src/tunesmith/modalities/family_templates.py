"""Chat templates of model families, for models that bring none: written after what the makers document.

A base model (Llama 2 7B, Gemma 2B) has no template of its own, but its family's chat models all use one, and its
tokenizer holds the tokens of it. What is trained with it is then served like the family's own chat models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class FamilyTemplate:
    """A template, and what a tokenizer must know for it."""

    title: str
    """As people call it."""
    tokens: tuple[str, ...]
    """Tokens that the tokenizer must have."""
    source: str
    """Jinja, over ``messages`` and ``add_generation_prompt``."""


_SYSTEM_FIRST: Final = (
    "{% set system = messages[0].content | trim if messages and messages[0].role == 'system' else '' %}"
    "{% set turns = messages[1:] if system else messages %}"
)
"""Sets aside a leading system turn, for templates that have no such role."""

FAMILY_TEMPLATES: Final = {
    # https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-2/
    "llama2": FamilyTemplate(
        "Llama 2",
        ("<s>", "</s>"),
        _SYSTEM_FIRST + "{% for message in turns %}{% if message.role == 'assistant' %}"
        "{{ ' ' + message.content | trim + ' </s>' }}{% else %}"
        "{{ '<s>[INST] ' + ('<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' if system and loop.first else '')"
        " + message.content | trim + ' [/INST]' }}{% endif %}{% endfor %}",
    ),
    # https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
    "llama3": FamilyTemplate(
        "Llama 3",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "{{ '<|begin_of_text|>' }}{% for message in messages %}"
        "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}"
        "{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    ),
    # https://www.llama.com/docs/model-cards-and-prompt-formats/llama4/
    "llama4": FamilyTemplate(
        "Llama 4",
        ("<|begin_of_text|>", "<|header_start|>", "<|header_end|>", "<|eot|>"),
        "{{ '<|begin_of_text|>' }}{% for message in messages %}"
        "{{ '<|header_start|>' + message.role + '<|header_end|>\\n\\n' + message.content | trim + '<|eot|>' }}"
        "{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|header_start|>assistant<|header_end|>\\n\\n' }}{% endif %}",
    ),
    # https://docs.mistral.ai/guides/tokenization/ (first version: the spaces stand in the text)
    "mistral": FamilyTemplate(
        "Mistral",
        ("<s>", "</s>"),
        _SYSTEM_FIRST + "{{ '<s>' }}{% for message in turns %}{% if message.role == 'assistant' %}"
        "{{ ' ' + message.content | trim + '</s>' }}{% else %}"
        "{{ '[INST] ' + (system + '\\n\\n' if system and loop.first else '') + message.content | trim + ' [/INST]' }}"
        "{% endif %}{% endfor %}",
    ),
    # https://ai.google.dev/gemma/docs/core/prompt-structure
    "gemma": FamilyTemplate(
        "Gemma",
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        _SYSTEM_FIRST + "{{ '<bos>' }}{% for message in turns %}"
        "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\\n'"
        " + (system + '\\n\\n' if system and loop.first else '') + message.content | trim + '<end_of_turn>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    ),
    # https://github.com/openai/openai-python/blob/release-v0.28.0/chatml.md
    "chatml": FamilyTemplate(
        "ChatML",
        ("<|im_start|>", "<|im_end|>"),
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ),
    # The model card of microsoft/phi-2, QA format.
    "phi2": FamilyTemplate(
        "Phi 2",
        ("<|endoftext|>",),
        _SYSTEM_FIRST + "{% for message in turns %}{% if message.role == 'assistant' %}"
        "{{ ' ' + message.content | trim + '<|endoftext|>\\n' }}{% else %}"
        "{{ 'Instruct: ' + (system + '\\n' if system and loop.first else '') + message.content | trim + '\\nOutput:' }}"
        "{% endif %}{% endfor %}",
    ),
    # The model card of microsoft/Phi-3-mini-4k-instruct, chat format.
    "phi3": FamilyTemplate(
        "Phi 3",
        ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
        "{% for message in messages %}"
        "{{ '<|' + message.role + '|>\\n' + message.content | trim + '<|end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    ),
}
"""Every template, by the name that a family lists it under."""


def fitting_template(names: Sequence[str], has_token: Callable[[str], bool]) -> FamilyTemplate | None:
    """Return the first of the named templates whose tokens a tokenizer has."""
    templates = (FAMILY_TEMPLATES[name] for name in names)
    return next((each for each in templates if all(has_token(token) for token in each.tokens)), None)
