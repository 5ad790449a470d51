"""Values that depend on what is trained: factors and limits beside the tables by size and mode.

Sources and reasons: ``docs/planning.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class TaskDefaults:
    """How a task departs from chat tuning where the user left things open."""

    rate: float = 1.0
    """Factor on the learning rate."""
    epochs: float = 1.0
    """Factor on the mode's epochs, rounded to whole ones."""
    length: int | None = None
    """Tokens of a row that the plan chooses, at most."""
    evaluation_share: float = 0.0
    """Share of an epoch between two evaluations, at least."""


BY_TASK: Final = {
    "dpo": TaskDefaults(rate=0.025),
    "classification": TaskDefaults(epochs=2 / 3, length=128, evaluation_share=0.25),
}
"""Preference tuning: the alignment handbook's recipes for Zephyr take 5e-6 for an adapter where tuning took 2e-4, and
5e-7 for all weights where it took 2e-5 (https://github.com/huggingface/alignment-handbook, recipes/zephyr-7b-beta).

Classification: two passes suffice (BERT's authors take 2 to 4, https://arxiv.org/abs/1810.04805, appendix A.3); the
beginning of a text mostly tells its class, and time grows with the length; an evaluation computes whole texts for one
label each, so there are few."""


def defaults_of(task: str) -> TaskDefaults:
    """Return the defaults of a task."""
    return BY_TASK.get(task, TaskDefaults())
