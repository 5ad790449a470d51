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
    rank: int | None = None
    """Rank of an adapter, whatever the size of the model."""
    base_rate: float | None = None
    """Learning rate of an adapter in mode medium, whatever the size of the model."""
    whole_rate: float | None = None
    """Learning rate where every weight is trained, in mode medium, whatever the size of the model."""
    rows_at_once: int | None = None
    """Rows computed at once where memory allows, however many tokens that is."""
    schedule: str | None = None
    """How the learning rate goes, in modes that end."""
    warmup_steps: int | None = None
    """Steps over which the learning rate rises, in runs of at least ten times as many."""
    save_every: int | None = None
    """Steps between two checkpoints."""
    effective_batch: int | None = None
    """Rows of a step, whatever the mode aims at."""
    patience: int | None = None
    """Evaluations in a row without a better result, after which a run ends."""


BY_TASK: Final = {
    "image-classification": TaskDefaults(epochs=10 / 3, whole_rate=5e-5, rows_at_once=16),
    "object-detection": TaskDefaults(epochs=50 / 3, whole_rate=5e-5, rows_at_once=16, effective_batch=16, patience=20),
    "speech-recognition": TaskDefaults(epochs=10 / 3, whole_rate=1e-4, rows_at_once=8),
    "audio-classification": TaskDefaults(epochs=10 / 3, whole_rate=3e-5, rows_at_once=8),
    "image-text-contrastive": TaskDefaults(base_rate=1e-4, whole_rate=1e-5, effective_batch=64),
    "image-text-to-text": TaskDefaults(base_rate=2e-4, whole_rate=2e-5),
    "dpo": TaskDefaults(rate=0.025),
    "classification": TaskDefaults(epochs=2 / 3, length=128, evaluation_share=0.25),
    "text-to-image": TaskDefaults(
        rank=4,
        base_rate=1e-4,
        schedule="constant",
        warmup_steps=500,
        save_every=500,
        effective_batch=4,
        epochs=10 / 3,
        patience=10,
    ),
}
"""Preference tuning: the alignment handbook's recipes for Zephyr take 5e-6 for an adapter where tuning took 2e-4, and
5e-7 for all weights where it took 2e-5 (https://github.com/huggingface/alignment-handbook, recipes/zephyr-7b-beta).

Classification: two passes suffice (BERT's authors take 2 to 4, https://arxiv.org/abs/1810.04805, appendix A.3); the
beginning of a text mostly tells its class, and time grows with the length; an evaluation computes whole texts for one
label each, so there are few.

Text to image: what diffusers' own script for Stable Diffusion takes (https://github.com/huggingface/diffusers,
examples/text_to_image/train_text_to_image_lora.py), whose networks learn from few pictures at a steady rate; sets of
pictures are small, so they are seen more often than texts are, and a few at a time. The loss of held-out pictures moves
by thousandths while the pictures that are drawn still change, so it is waited for longer, a choice of our own.

Pictures with texts: which belong together is learned from the others of a step, so a step holds more of them; a small
rate keeps what both towers know, a choice of our own. To write about pictures, LLaVA's authors take 2e-5, and 2e-4 for
an adapter (https://github.com/haotian-liu/LLaVA, scripts/v1_5).

Image classification: ten passes over pictures that vary each time, 16 at once, which layers that normalise over a batch
need; 5e-5 for transformers trained whole and, in the families' table, 1e-4 for networks of convolutions.

Object detection: 50 passes and 16 pictures a step, as recommended for YOLOv8n (50 to 100 passes); 5e-5 is what
transformers' own script trains DETR with (https://github.com/huggingface/transformers, examples/pytorch), and authors'
rates are in the families' table. Precision stands still for many passes before it rises again, as things are matched
anew with what is found, so 20 evaluations are waited for.

Sounds: recordings are few, so they are heard ten times. 1e-4 is for models that spell sound by sound (the script
that transformers' page on speech recognition lists for TIMIT), 3e-5 for telling classes apart (its page on that); 1e-5
for Whisper, from the same pages, is in the families' table."""


def defaults_of(task: str) -> TaskDefaults:
    """Return the defaults of a task."""
    return BY_TASK.get(task, TaskDefaults())
