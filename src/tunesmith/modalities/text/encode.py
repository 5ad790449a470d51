"""Examples to tokens: what a language model reads, and which of it is trained. No torch, no transformers.

How conversations become tokens is in ``parts/turns.py``, which models of pictures share.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.turns import PLAIN_TEMPLATE, TODAY, VERSION, TurnEncoder
from tunesmith.modalities.text.families import family_for

__all__ = ["PLAIN_TEMPLATE", "TODAY", "VERSION", "TextEncoder"]


class TextEncoder(TurnEncoder):
    """Encodes examples for one language model."""

    def __init__(
        self,
        model_dir: Path,
        *,
        train_on: Literal["assistant", "all"] = "assistant",
        chat_template: Path | None = None,
        today: datetime | None = TODAY,
    ) -> None:
        """Read a model's tokenizer and template, as ``TurnEncoder`` does, with the facts of its family."""
        family = family_for(str(read_json(model_dir / "config.json").get("model_type", "")))
        super().__init__(model_dir, family=family, train_on=train_on, chat_template=chat_template, today=today)
