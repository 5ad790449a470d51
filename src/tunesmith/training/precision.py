"""Number formats by the names that recipes use, and what fp16 needs besides."""

from __future__ import annotations

from typing import Final

import torch

DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""Format of the frozen weights and of the computation; trained weights keep 32-bit masters in either."""

FIRST_SCALE: Final = {"fp16": 65536.0}
"""What the loss is multiplied by at first, by number format: fp16 would swallow the smallest gradients.

It is halved when a gradient overflows and doubled after a long time without. Powers of two change no digit of a
gradient. Source: https://arxiv.org/abs/1710.03740, section 3.2.
"""
STEPS_TO_GROW: Final = 2000
"""Steps in a row without an overflow after which that factor is doubled."""
