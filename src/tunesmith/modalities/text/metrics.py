"""What an evaluation of a language model reports beside its loss, and how its answers are compared with others."""

from __future__ import annotations

from tunesmith.modalities.parts.answer_scores import (
    LARGEST,
    SCORES,
    exact_match,
    longest_common,
    perplexity,
    rouge1,
    rouge2,
    rouge_l,
    words,
)

__all__ = ["LARGEST", "SCORES", "exact_match", "longest_common", "perplexity", "rouge1", "rouge2", "rouge_l", "words"]
