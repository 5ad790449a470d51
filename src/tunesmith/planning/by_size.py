"""Values that depend on how large the model is: tables of the LLM Installer training guide, by parameters.

Sources and reasons: ``docs/planning.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BILLION: Final = 10**9
FULL_RATE: Final = 0.1
"""Factor on the learning rate when every weight is trained: LoRA takes about ten times the rate of full fine-tuning
(https://thinkingmachines.ai/blog/lora/)."""
QUANTIZED_RATE: Final = 0.8
"""Factor on the learning rate of an adapter whose base is stored in 4 or 8 bits."""


@dataclass(frozen=True)
class SizeClass:
    """Models of about one size."""

    below: float
    """Parameters, in billions; infinite for the largest class."""
    name: str
    rank: int
    """Of an adapter."""
    learning_rate: float
    """Base rate of an adapter, before the mode's factor."""


SIZE_CLASSES: Final = (
    SizeClass(1, "below 1B parameters", 8, 5e-4),
    SizeClass(3, "1-3B parameters", 16, 2e-4),
    SizeClass(7, "3-7B parameters", 32, 1e-4),
    SizeClass(13, "7-13B parameters", 64, 5e-5),
    SizeClass(30, "13-30B parameters", 128, 2e-5),
    SizeClass(float("inf"), "30B parameters and more", 256, 2e-5),
)


def size_class(parameters: int) -> SizeClass:
    """Return the class of a model with so many parameters."""
    return next(size for size in SIZE_CLASSES if parameters < size.below * BILLION)
