"""Each option changes the plan, and what the model sees or learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from modalities.vision.pictures import built, draw_classes, plan_of
from modalities.vision.test_families import write
from tunesmith.modalities.vision.options import VisionOptions

OTHERS: dict[str, Any] = {
    "image_size": 64,
    "random_crop": False,
    "crop_scale": 0.9,
    "flip": False,
    "colour": 0.5,
}
"""Another value for what decides what the model sees."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    root = tmp_path_factory.mktemp("options")
    model, data = write(root / "model", "mobilenet_v2"), draw_classes(root / "data")
    return lambda **options: built(plan_of(model, data, options=options), root)[0]


def seen(pieces: Any, epoch: int = 0) -> torch.Tensor:
    return pieces.train.batch(range(4), epoch).inputs["pixel_values"]


def test_every_option_of_what_is_seen_is_tried() -> None:
    assert {*OTHERS, "balance", "freeze_backbone"} == VisionOptions.model_fields.keys()


@pytest.mark.parametrize("name", OTHERS)
def test_an_option_changes_what_the_model_sees(name: str, world: Callable[..., Any]) -> None:
    usual, other = seen(world()), seen(world(**{name: OTHERS[name]}))
    assert usual.shape != other.shape or not torch.equal(usual, other)


def test_what_is_seen_follows_from_epoch_and_row_alone(world: Callable[..., Any]) -> None:
    pieces = world()
    assert torch.equal(seen(pieces), seen(pieces))
    assert not torch.equal(seen(pieces), seen(pieces, epoch=1))
    alone = pieces.train.batch([2], 0).inputs["pixel_values"]
    assert torch.equal(alone[0], seen(pieces)[2])


def test_pictures_held_out_do_not_vary(world: Callable[..., Any]) -> None:
    held_out = world().validation
    batches = [held_out.batch([0, 1], epoch).inputs["pixel_values"] for epoch in (0, 1)]
    assert torch.equal(*batches)


def test_a_frozen_backbone_stays_as_it_was_and_the_head_learns(world: Callable[..., Any]) -> None:
    pieces = world(freeze_backbone=True)
    assert {name.partition(".")[0] for name, each in pieces.model.named_parameters() if each.requires_grad} == {
        "classifier"
    }
    before = {name: each.clone() for name, each in pieces.model.mobilenet_v2.state_dict().items()}
    pieces.model.train()
    pieces.loss(pieces.train.batch(range(6), 0)).backward()
    assert all(torch.equal(each, before[name]) for name, each in pieces.model.mobilenet_v2.state_dict().items())


def test_balanced_classes_weigh_the_rare_ones_more(tmp_path: Path) -> None:
    data = draw_classes(tmp_path / "data")
    for number in range(3):
        (data / "black" / f"{number}.png").unlink()
    model = write(tmp_path / "model", "resnet")
    losses = []
    for balance in (False, True):
        pieces, prepared = built(plan_of(model, data, options={"balance": balance}), tmp_path)
        pieces.model.eval()
        losses.append(float(pieces.loss(pieces.train.batch(range(len(prepared.train)), 0)).detach()))
    assert losses[0] != losses[1]
