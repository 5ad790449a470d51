from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from picture_models import COLOURS, SPECIAL, draw, make_talker
from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.multimodal.builder import TalkBatches
from tunesmith.modalities.multimodal.encode import TalkEncoder, encoder_of
from tunesmith.modalities.multimodal.metrics import ANSWERS, perplexity
from tunesmith.modalities.multimodal.options import MultimodalOptions
from tunesmith.modalities.multimodal.predictor import TalkPredictor
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Conversation, ImageQuestion, Message
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
