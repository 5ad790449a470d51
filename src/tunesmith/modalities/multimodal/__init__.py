"""Pictures with texts: which belong together (contrastive), and what is written about a picture.

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.modalities.multimodal.families import FAMILIES
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.spec.examples import CaptionedImage, Conversation, ImageQuestion, PictureTalk

_BUILDER: Final = "tunesmith.modalities.multimodal.builder"


def _encoder(model_dir: Path, options: MultimodalOptions) -> Encoder:
    from tunesmith.modalities.multimodal.encode import encoder_of

    return encoder_of(model_dir, options)


MODALITY: Final = Modality(
    name="multimodal",
    tasks=(
        Task(
            name="image-text-contrastive",
            consumes=(CaptionedImage,),
            summary="contrastive learning: which picture and which text belong together is learned",
            builder=f"{_BUILDER}:build_pairs",
            aliases=("contrastive", "clip"),
            models=("pair",),
            writes=False,
            does="compares pictures with texts",
            counts="pair",
            peft=None,
            loader="AutoModel",
            cuts=False,
            judged_by="recall_at_1",
        ),
        Task(
            name="image-text-to-text",
            consumes=(CaptionedImage, ImageQuestion, PictureTalk, Conversation),
            summary="captions, questions and conversations about pictures: the assistant's turns are learned",
            builder=f"{_BUILDER}:build_talker",
            aliases=("image-to-text", "captioning", "vqa", "visual-question-answering"),
            models=("talker",),
            writes=False,
            does="writes about pictures",
            loader="AutoModelForImageTextToText",
            cuts=False,
            may_judge=("exact_match", "rougeL"),
        ),
    ),
    families=FAMILIES,
    options=MultimodalOptions,
    encoder=_encoder,
)
