from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from picture_models import COLOURS, SHAPES, draw, make_pair
from training.parts import CPU, Recorder
from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.multimodal.builder import PairBatches
from tunesmith.modalities.multimodal.encode import PairEncoder
from tunesmith.modalities.multimodal.predictor import padding_of
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import CaptionedImage
from tunesmith.training.contrastive import Contrastive, Said
from tunesmith.training.device import Ranks
from tunesmith.training.gradients import Gradients
from tunesmith.training.optimizers import Trainables
from tunesmith.training.progress import Progress

WHERE = Where("captions.csv", 1)


class Pieces:
    """What the gradient of a step needs."""

    def __init__(self, folder: Path, rows: int) -> None:
        from transformers import AutoModel

        encoder = PairEncoder(folder)
        self.model: Any = AutoModel.from_pretrained(folder)
        make = self._make(encoder, folder)
        self.objective = Contrastive(self.model, make=make, batch=rows)
        self.train = make(pairs(encoder, folder, rows))
        self.loss = self.objective.loss

    def _make(self, encoder: PairEncoder, folder: Path) -> Any:
        kind, padding = self.model.config.model_type, padding_of(folder, self.model)
        return lambda rows: PairBatches(
            rows, device=CPU, encoder=encoder, padding=padding, kind=kind, dtype=torch.float32
        )


def pairs(encoder: PairEncoder, folder: Path, count: int) -> TokenRows:
    rows = []
    for number in range(count):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number % 6]
        file = draw(folder / f"{number}.png", shape, colour, seed=number)
        rows += encoder(CaptionedImage(str(file), f"{number}: a {colour} {shape}", WHERE))
    return TokenRows.of(rows)


@pytest.fixture(scope="module", params=["clip", "siglip", "siglip2"])
def pieces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    return Pieces(make_pair(tmp_path_factory.mktemp(request.param), request.param), 7)


def gradient_of(pieces: Pieces, micro_tokens: int, tmp_path: Path) -> tuple[float, list[torch.Tensor]]:
    trainables = Trainables(pieces.model)
    gradients = Gradients(
        pieces,  # type: ignore[arg-type]
        trainables, seed=0, observer=Recorder(tmp_path), device=CPU, ranks=Ranks(0, 1), learn=lambda *_: None,
    )  # fmt: skip
    loss, _ = gradients.add_up(range(7), 7, Progress(batch=7, micro_tokens=micro_tokens))
    return loss, trainables.gradients()


def test_the_loss_is_the_models_own(pieces: Pieces) -> None:
    batch = pieces.train.batch(range(7))
    own = pieces.model(**batch.inputs, return_loss=True).loss
    assert pieces.objective.loss(batch).item() / 7 == pytest.approx(own.item(), rel=1e-5)


def test_the_gradient_of_a_step_is_the_same_however_it_is_divided(pieces: Pieces, tmp_path: Path) -> None:
    pieces.model.zero_grad()
    (pieces.model(**pieces.train.batch(range(7)).inputs, return_loss=True).loss).backward()
    wanted = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in pieces.model.parameters()]
    pieces.model.zero_grad(set_to_none=True)
    for micro_tokens in (10_000, 100, 1):
        loss, found = gradient_of(pieces, micro_tokens, tmp_path)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-6)
    assert loss > 0


def said(image: list[float], text: list[float], token: int) -> Said:
    return Said(np.array(image, np.float32), np.array(text, np.float32), (token,))


def test_recall_counts_what_is_nearest_both_ways(pieces: Pieces) -> None:
    rows = [said([1, 0], [1, 0], 1), said([0, 1], [0, 1], 2), said([0.6, 0.8], [-1, 0], 3), said([-1, 0], [0, -1], 4)]
    found = pieces.objective.figures(rows)
    assert found["image_to_text_recall_at_1"] == 0.5
    assert found["text_to_image_recall_at_1"] == 0.5
    assert found["recall_at_5"] == 1
    assert "zero_shot_accuracy" not in found


def test_equal_texts_are_right_for_each_other_and_tell_the_accuracy_over_classes(pieces: Pieces) -> None:
    rows = [said([1, 0], [1, 0], 1), said([0.9, 0.1], [1, 0], 1), said([0, 1], [0, 1], 2), said([0.95, 0.1], [0, 1], 2)]
    found = pieces.objective.figures(rows)
    assert found["zero_shot_accuracy"] == found["image_to_text_recall_at_1"] == 0.75
    assert found["text_to_image_recall_at_1"] == 1


def test_vectors_that_are_all_alike_find_nothing(pieces: Pieces) -> None:
    assert pieces.objective.figures([said([1, 0], [1, 0], token) for token in range(4)])["recall_at_1"] == 0


@pytest.mark.parametrize(("kind", "held"), [("clip", 100.0), ("siglip", 150.0)])
def test_similarities_count_as_much_as_the_model_says(kind: str, held: float, tmp_path: Path) -> None:
    pieces = Pieces(make_pair(tmp_path, kind), 7)
    with torch.no_grad():
        pieces.model.logit_scale.fill_(float(np.log(150.0)))
        batch = pieces.train.batch(range(7))
        loss = pieces.loss(batch)
        pieces.model.logit_scale.fill_(float(np.log(held)))
        wanted = pieces.model(**batch.inputs, return_loss=True).loss
    torch.testing.assert_close(loss / 7, wanted, rtol=1e-4, atol=1e-4)
