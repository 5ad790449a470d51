"""Language models: chat and instruction tuning, and pretraining on running text.

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.modalities.text.families import FAMILIES
from tunesmith.modalities.text.options import TextOptions
from tunesmith.spec.examples import Conversation, PlainText, PromptCompletion

_BUILDER: Final = "tunesmith.modalities.text.builder:build"


def _encoder(model_dir: Path, options: TextOptions) -> Encoder:
    from tunesmith.modalities.text.encode import TextEncoder

    template = None if options.chat_template is None else Path(options.chat_template)
    return TextEncoder(model_dir, train_on=options.train_on, chat_template=template)


MODALITY: Final = Modality(
    name="text",
    tasks=(
        Task(
            name="chat",
            consumes=(Conversation, PromptCompletion, PlainText),
            summary="chat and instruction tuning: the assistant's turns are learned, beside any running text",
            builder=_BUILDER,
            aliases=("instruction", "sft"),
        ),
        Task(
            name="pretraining",
            consumes=(PlainText,),
            summary="continued pretraining: every token of running text is learned",
            builder=_BUILDER,
            aliases=("continued-pretraining", "continued pretraining"),
        ),
    ),
    families=FAMILIES,
    options=TextOptions,
    encoder=_encoder,
)
