from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from picture_models import COLOURS, SPECIAL, draw, make_talker
from tunesmith.data.mixture import read
from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.multimodal.builder import TalkBatches
from tunesmith.modalities.multimodal.encode import TalkEncoder, encoder_of
from tunesmith.modalities.multimodal.metrics import ANSWERS, perplexity
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.multimodal.predictor import TalkPredictor
from tunesmith.spec.errors import RowFault, Where
from tunesmith.spec.examples import Conversation, ImageQuestion, Message
from tunesmith.spec.job import DatasetRef
from tunesmith.training.talking import Talking

WHERE = Where("rows.jsonl", 1)
CPU = torch.device("cpu")


def rows_of(encoder: TalkEncoder, folder: Path) -> TokenRows:
    rows = []
    for number, colour in enumerate(list(COLOURS)[:3]):
        file = draw(folder / f"{number}.png", "circle", colour, side=28 + 14 * number)
        rows += encoder(ImageQuestion(str(file), "What?" * (number + 1), f"A {colour} circle.", WHERE))
    rows += encoder(Conversation((Message("user", "Hello"), Message("assistant", "Hi")), WHERE))
    return TokenRows.of(rows)


def made(kind: str, folder: Path) -> tuple[Any, TalkBatches, Talking]:
    from transformers import AutoModelForImageTextToText

    encoder = encoder_of(make_talker(folder, kind), MultimodalOptions.model_validate({}))
    assert isinstance(encoder, TalkEncoder)
    model: Any = AutoModelForImageTextToText.from_pretrained(folder).train()
    batches = TalkBatches(
        rows_of(encoder, folder), device=CPU, encoder=encoder, kind=kind, dtype=torch.float32, fill=256, answered=2
    )
    predictor = TalkPredictor(model, encoder)
    objective = Talking(
        model, make=lambda rows: batches, scores=ANSWERS, perplexity=perplexity,
        answer=lambda inputs: predictor.answer(inputs, max_tokens=4),
    )  # fmt: skip
    return model, batches, objective


@pytest.mark.parametrize("kind", SPECIAL)
def test_the_loss_is_the_models_own_and_the_same_in_any_parts(kind: str, tmp_path: Path) -> None:
    model, batches, objective = made(kind, tmp_path)
    everything = list(range(len(batches.lengths)))
    batch = batches.batch(everything)
    logits = model(**batch.inputs, use_cache=False).logits.flatten(0, 1)[batch.places]
    wanted = torch.nn.functional.cross_entropy(logits.float(), batch.targets, reduction="sum")
    torch.testing.assert_close(objective.loss(batch), wanted, rtol=1e-5, atol=1e-4)
    parts = sum(objective.loss(batches.batch([row])) for row in everything)
    torch.testing.assert_close(parts, wanted, rtol=1e-4, atol=1e-3)
    assert batch.labels == batches.labels(everything)


def several(encoder: TalkEncoder, folder: Path) -> tuple[TokenRows, list[Path]]:
    """Rows of one, two and no pictures from a file, and the pictures in their order."""
    files = [
        draw(folder / f"{number}.png", "circle", colour, side=28 + 14 * number)
        for number, colour in enumerate(list(COLOURS)[:3])
    ]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "The first."}]}
    place = {"type": "image"}
    asked: list[dict[str, Any]] = [
        {"images": ["0.png"], "content": [place, {"type": "text", "text": "What?"}]},
        {"images": ["1.png", "2.png"], "content": [place, place, {"type": "text", "text": "Which is red?"}]},
        {"images": [], "content": "Hello"},
    ]
    turns = [
        {"images": row["images"], "messages": [{"role": "user", "content": row["content"]}, answer]} for row in asked
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in turns))
    rows = []
    for example in read([DatasetRef(uri=str(folder / "rows.jsonl"))]):
        assert not isinstance(example, RowFault)
        rows += encoder(example)
    return TokenRows.of(rows), files


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl", "qwen2_5_vl", "smolvlm", "gemma3"])
def test_rows_of_one_two_and_no_pictures_train_as_in_transformers(kind: str, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    encoder = encoder_of(make_talker(tmp_path, kind), MultimodalOptions.model_validate({}))
    assert isinstance(encoder, TalkEncoder)
    rows, files = several(encoder, tmp_path / "data")
    model, theirs = (AutoModelForImageTextToText.from_pretrained(tmp_path).train() for _ in range(2))
    batches = TalkBatches(rows, device=CPU, encoder=encoder, kind=kind, dtype=torch.float32, fill=256, answered=0)
    objective = Talking(model, make=lambda rows: batches, scores={}, perplexity=perplexity, answer=lambda inputs: "")
    batch = batches.batch([0, 1, 2])
    loss = objective.loss(batch)
    torch.testing.assert_close(
        sum(objective.loss(batches.batch([row])) for row in range(3)), loss, rtol=1e-4, atol=1e-3
    )

    options = {"do_image_splitting": False} if encoder.rule.way == "twice" else {}
    processor = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False, **options)
    pictures = [Image.open(file) for file in files]
    seen = processor(images=[pictures] if encoder.rule.way == "twice" else pictures, return_tensors="pt")
    seen.pop("pixel_attention_mask", None)
    labels = torch.full_like(batch.inputs["input_ids"], -100).flatten()
    labels[batch.places + 1] = batch.targets
    said = {name: values for name, values in batch.inputs.items() if name not in seen}
    wanted = theirs(**said, **seen, labels=labels.view_as(said["input_ids"])).loss
    torch.testing.assert_close(loss / batch.labels, wanted, rtol=1e-5, atol=1e-5)

    for each, own in ((model, loss / batch.labels), (theirs, wanted)):
        own.backward()
        torch.optim.SGD(each.parameters(), lr=0.1).step()
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-5)
    assert objective.loss(batch) < loss


def test_the_pictures_decide_the_loss(tmp_path: Path) -> None:
    _, batches, objective = made("llava", tmp_path)
    batch = batches.batch([0])
    seen = objective.loss(batch)
    batch.inputs["pixel_values"].neg_()
    assert abs(objective.loss(batch) - seen) > 1e-4


def test_answers_are_compared_with_what_was_expected(tmp_path: Path) -> None:
    model, batches, objective = made("qwen2_vl", tmp_path)
    batch = batches.batch([1, 3])
    [asked] = batch.asked
    assert asked.expected == "A green circle."
    sums = objective.measure(batch)
    assert sums["answered"] == 1
    found = objective.metrics(sums, batch.labels)
    assert sorted(found) == ["exact_match", "perplexity", "rougeL"]
    assert model.training


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl"])
def test_an_answer_is_compared_where_all_of_a_row_is_trained_too(kind: str, tmp_path: Path) -> None:
    encoder = encoder_of(make_talker(tmp_path, kind), MultimodalOptions(train_on="all"))
    assert isinstance(encoder, TalkEncoder)
    opening = encoder.turns.opening()
    assert "assistant" in encoder.turns.spell(opening)
    batches = TalkBatches(
        rows_of(encoder, tmp_path), device=CPU, encoder=encoder, kind=kind, dtype=torch.float32, fill=256, answered=4,
        opening=opening,
    )  # fmt: skip
    asked = batches.batch(range(4)).asked
    assert [each.expected for each in asked] == [*(f"A {colour} circle." for colour in list(COLOURS)[:3]), "Hi"]
    assert all(encoder.turns.spell(each.inputs["input_ids"][0].tolist()).endswith("assistant\n") for each in asked)
    assert TalkBatches(
        rows_of(encoder, tmp_path), device=CPU, encoder=encoder, kind=kind, dtype=torch.float32, fill=256, answered=4,
        opening=[],
    ).batch(range(4)).asked == []  # fmt: skip
