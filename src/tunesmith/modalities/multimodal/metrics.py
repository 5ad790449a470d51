"""What is reported of models of pictures and texts beside the loss."""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.parts.answer_scores import exact_match, perplexity, rouge_l

__all__ = ["ANSWERS", "perplexity"]

ANSWERS: Final = {"exact_match": exact_match, "rougeL": rouge_l}
"""What compares what is written about a picture with what was expected, 0 to 1 each, by the metric's name."""
