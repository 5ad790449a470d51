"""What rows are made of: the same pixels and the same tokens as the families' own processors make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from picture_models import SPECIAL, draw, make_pair, make_talker
from tunesmith.data.media.payload import Payload, unpack
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.multimodal.encode import PairEncoder, TalkEncoder, encoder_of, fitted
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.parts.picture_inputs import picture_inputs
from tunesmith.modalities.parts.picture_rules import DEFAULTS
from tunesmith.service.datasets.preview import bracketed
from tunesmith.spec.errors import KindRefused, Where
from tunesmith.spec.examples import (
    PICTURE_MARK,
    CaptionedImage,
    Conversation,
    ImageQuestion,
    LabelledImage,
    Message,
    PictureTalk,
)

WHERE = Where("rows.jsonl", 1)
WITH_PROCESSOR = [kind for kind in SPECIAL if kind != "llama4"]
"""Llama 4's image processor needs torchvision."""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    wide = Image.open(draw(folder / "drawn.png", "circle", "red", side=61)).resize((97, 61))
    wide.save(folder / "wide.png")
    return folder / "wide.png"


@pytest.fixture(scope="module")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: make_talker(tmp_path_factory.mktemp(kind), kind) for kind in SPECIAL}


def talker(folder: Path) -> TalkEncoder:
    encoder = encoder_of(folder, MultimodalOptions.model_validate({}))
    assert isinstance(encoder, TalkEncoder)
    return encoder


def media(row: EncodedRow) -> Payload:
    return unpack(np.frombuffer(row.media, np.uint8))


def trained(encoder: TalkEncoder, row: EncodedRow) -> str:
    return encoder.turns.spell([token for token, mask in zip(row.ids, row.mask, strict=True) if mask])


@pytest.mark.parametrize("kind", WITH_PROCESSOR)
def test_pixels_are_those_of_the_familys_own_processor(kind: str, talkers: dict[str, Path], picture: Path) -> None:
    from transformers import AutoImageProcessor

    encoder = talker(talkers[kind])
    options = {"do_image_splitting": False} if encoder.rule.way == "twice" else {}
    processor = AutoImageProcessor.from_pretrained(talkers[kind], use_fast=False, **options)
    theirs = processor(images=[Image.open(picture)], return_tensors="pt")
    held = [fitted(encoder.rule, str(picture), WHERE)]
    ours = picture_inputs(kind, held, encoder.rule, torch.device("cpu"), torch.float32)
    torch.testing.assert_close(ours["pixel_values"], theirs["pixel_values"].float(), rtol=0, atol=1e-5)
    if "image_grid_thw" in ours:
        assert torch.equal(ours["image_grid_thw"], theirs["image_grid_thw"])


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_pixels_and_texts_of_pairs_are_those_of_the_processor(kind: str, tmp_path: Path, picture: Path) -> None:
    from transformers import AutoImageProcessor

    encoder = encoder_of(make_pair(tmp_path, kind), MultimodalOptions.model_validate({}))
    assert isinstance(encoder, PairEncoder)
    [row] = encoder(CaptionedImage(str(picture), "a red circle", WHERE))
    processor = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)
    theirs = processor(images=[Image.open(picture)], return_tensors="pt")
    ours = picture_inputs(kind, media(row).arrays, encoder.rule, torch.device("cpu"), torch.float32)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        torch.testing.assert_close(values, theirs[name].to(values.dtype), rtol=0, atol=1e-5)
    assert row.ids[: encoder.patches] == [0] * encoder.patches
    assert row.ids[-1] == 258
    assert len(encoder.text("long " * 100)) == encoder.limit == 64
    assert encoder.text("long " * 100)[-1] == 258


@pytest.mark.parametrize("patches", [1, 16, 256])
def test_as_many_patches_as_a_model_reads_are_those_of_transformers(patches: int) -> None:
    from transformers.models.siglip2.image_processing_pil_siglip2 import get_image_size_for_max_num_patches

    rule = replace(DEFAULTS["siglip2"], most=patches)
    for width, height in ((1, 1), (16, 16), (640, 480), (481, 640), (17, 1000), (3000, 20)):
        tall, wide = get_image_size_for_max_num_patches(height, width, rule.patch, patches)
        assert rule.patches_size(width, height) == (wide, tall)


def test_siglip_2_knows_small_letters_alone(tmp_path: Path) -> None:
    encoder = PairEncoder(make_pair(tmp_path, "siglip2"))
    assert encoder.text("A Red CIRCLE") == encoder.text("a red circle")


@pytest.mark.parametrize("kind", WITH_PROCESSOR)
def test_tokens_are_those_of_the_familys_own_processor(kind: str, talkers: dict[str, Path], picture: Path) -> None:
    encoder = talker(talkers[kind])
    [row] = encoder(ImageQuestion(str(picture), "What is it?", "A circle.", WHERE))
    placeholder = encoder.words.placeholder
    bare = encoder.words.bare.replace("\n", "") if kind.startswith("qwen") else placeholder
    text = f"<|im_start|>user\n{bare}What is it?<|im_end|>\n<|im_start|>assistant\nA circle.<|im_end|>\n"
    text = text.replace(placeholder, encoder.words.of(media(row).arrays[0]))
    assert encoder.turns.spell(row.ids) == text.removesuffix("\n")[: len(encoder.turns.spell(row.ids))] or (
        encoder.turns.spell(row.ids) == text
    )
    assert trained(encoder, row) == "A circle.<|im_end|>"


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_picture_stands_as_as_many_tokens_as_the_model_makes_of_it(
    kind: str, talkers: dict[str, Path], picture: Path
) -> None:
    encoder = talker(talkers[kind])
    [row] = encoder(CaptionedImage(str(picture), "A circle.", WHERE))
    count = {"qwen2_vl": 2, "qwen2_5_vl": 2}.get(kind, 4)
    assert row.ids.count(encoder.words.token) == count
    assert media(row).facts["whole"] == len(row.ids) - row.ids[::-1].index(encoder.words.token)
    assert trained(encoder, row) == "A circle.<|im_end|>"


def test_a_template_that_takes_texts_alone_gets_the_picture_as_text(tmp_path: Path, picture: Path) -> None:
    encoder = talker(make_talker(tmp_path, "llava", in_parts=False))
    [row] = encoder(ImageQuestion(str(picture), "<image>\nWhat?", "A circle.", WHERE))
    assert encoder.turns.spell(row.ids).startswith("<|im_start|>user\n<image><image><image><image>\nWhat?<|im_end|>")


def test_all_answers_of_a_talk_are_trained_and_each_picture_stands_where_it_is_named(
    talkers: dict[str, Path], picture: Path
) -> None:
    encoder = talker(talkers["llava"])
    turns = (
        Message("user", "<image>\nWhat?"), Message("assistant", "One."),
        Message("user", "And <image>?"), Message("assistant", "Two."),
    )  # fmt: skip
    [row] = encoder(PictureTalk((str(picture), str(picture)), turns, WHERE))
    assert trained(encoder, row) == "One.<|im_end|>Two.<|im_end|>"
    assert len(media(row).arrays) == 2
    said = encoder.turns.spell(row.ids).replace("<image>" * 4, "PICTURE")
    assert "user\nPICTUREWhat?" in said
    assert "user\nAndPICTURE?" in said


def test_what_is_trained_is_shown_with_a_picture_written_once(talkers: dict[str, Path], picture: Path) -> None:
    encoder = talker(talkers["llava"])
    [row] = encoder(ImageQuestion(str(picture), "Which shape?", "A circle.", WHERE))
    assert row.ids.count(encoder.words.token) > 1
    shown = bracketed(row, encoder)
    assert shown.count("<image>") == 1 and "Which shape?" in shown
    assert "[[A circle.<|im_end|>" in shown


@pytest.mark.parametrize("kind", SPECIAL)
def test_pictures_beside_each_other_are_shown_one_by_one(kind: str, talkers: dict[str, Path], picture: Path) -> None:
    encoder = talker(talkers[kind])
    turns = Message("user", "<image><image>Which?"), Message("assistant", "The first.")
    [row] = encoder(PictureTalk((str(picture), str(picture)), turns, WHERE))
    assert len(media(row).arrays) == 2
    assert bracketed(row, encoder).count(encoder.words.image) == 2


def test_a_conversation_without_a_picture_brings_none(talkers: dict[str, Path]) -> None:
    encoder = talker(talkers["gemma3"])
    [row] = encoder(Conversation((Message("user", "Hello"), Message("assistant", "Hi")), WHERE))
    assert row.media == b""
    assert trained(encoder, row) == "Hi<|im_end|>"


@pytest.mark.parametrize(
    "example",
    [
        LabelledImage("a.png", "cat", WHERE),
        PictureTalk(("a.png",), (Message("user", "<image><image>"), Message("assistant", "Two.")), WHERE),
    ],
)
def test_rows_that_say_something_else_are_refused(
    example: LabelledImage | PictureTalk, talkers: dict[str, Path]
) -> None:
    with pytest.raises(KindRefused):
        talker(talkers["llava"])(example)


def test_the_prompt_is_how_the_row_begins(talkers: dict[str, Path], picture: Path) -> None:
    encoder = talker(talkers["qwen2_vl"])
    [row] = encoder(ImageQuestion(str(picture), "What?", "A circle.", WHERE))
    held = [fitted(encoder.rule, str(picture), WHERE)]
    ids = encoder.prompt((Message("user", f"{PICTURE_MARK}What?"),), held)
    assert row.ids[: len(ids)] == ids
    assert row.mask.index(True) == len(ids)
