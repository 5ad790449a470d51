"""Language models: chat and instruction tuning, preferences, pretraining on running text, classes, covered words.

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.modalities.text.families import FAMILIES
from tunesmith.modalities.text.options import TextOptions
from tunesmith.spec.examples import Conversation, LabelledText, PlainText, Preference, PromptCompletion

_BUILDER: Final = "tunesmith.modalities.text.builder"


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
            builder=f"{_BUILDER}:build",
            aliases=("instruction", "sft"),
        ),
        Task(
            name="pretraining",
            consumes=(PlainText,),
            summary="continued pretraining: every token of running text is learned",
            builder=f"{_BUILDER}:build",
            aliases=("continued-pretraining", "continued pretraining"),
        ),
        Task(
            name="dpo",
            consumes=(Preference,),
            summary="preference tuning (DPO): the better of two answers becomes more likely than the worse",
            builder=f"{_BUILDER}:build_preference",
            aliases=("preference", "preference-tuning"),
            counts="pair",
        ),
        Task(
            name="classification",
            consumes=(LabelledText,),
            summary="text classification: the label of each text is learned",
            builder=f"{_BUILDER}:build_classifier",
            aliases=("text-classification", "sequence-classification"),
            models=("encoder", "decoder"),
            writes=False,
            does="tells classes of text apart",
            counts="text",
            peft="SEQ_CLS",
            loader="AutoModelForSequenceClassification",
            may_judge=("accuracy", "macro_f1"),
        ),
        Task(
            name="mlm",
            consumes=(PlainText,),
            summary="masked language model: covered words of running text are learned from both sides",
            builder=f"{_BUILDER}:build_masked",
            aliases=("masked-language-model", "masked-lm"),
            models=("encoder",),
            writes=False,
            does="fills in covered words",
            peft=None,
            loader="AutoModelForMaskedLM",
        ),
    ),
    families=FAMILIES,
    options=TextOptions,
    encoder=_encoder,
)
