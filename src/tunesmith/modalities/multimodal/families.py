"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

How its pictures are read is a row of ``parts/picture_rules.py``, how they are written among the tokens one of
``multimodal/encode.py``. Pairs get adapters on queries and values of both towers (LoRA's own choice,
https://arxiv.org/abs/2106.09685, table 5), the others those of their language model's family.
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family

_ATTENTION: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
_ALL_SEVEN: Final = ("q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

FAMILIES: Final = (
    Family(name="CLIP", model_types=("clip",), kind="pair", targets=("q_proj", "v_proj")),
    Family(name="SigLIP", model_types=("siglip", "siglip2"), kind="pair", targets=("q_proj", "v_proj")),
    Family(
        name="LLaVA", model_types=("llava",), kind="talker", targets=_ATTENTION, max_length=4096, four_bit=True,
        templates=("chatml", "llama2"),
    ),
    Family(
        name="Qwen2-VL", model_types=("qwen2_vl", "qwen2_5_vl"), kind="talker", targets=_ALL_SEVEN, max_length=32_768,
        four_bit=True, templates=("chatml",),
    ),
    Family(
        name="SmolVLM", model_types=("smolvlm", "idefics3"), kind="talker", targets=_ALL_SEVEN, max_length=8192,
        four_bit=True,
    ),
    Family(
        name="Gemma 3", model_types=("gemma3",), kind="talker", targets=_ALL_SEVEN, max_length=8192, fp16=False,
        four_bit=True, templates=("gemma",),
    ),
    Family(
        name="Llama 4", model_types=("llama4",), kind="talker", targets=_ATTENTION, max_length=8192, fp16=False,
        templates=("llama4",),
    ),
)  # fmt: skip
