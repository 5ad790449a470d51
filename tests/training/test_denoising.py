from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunesmith.data.media import payload
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.training.denoising import Denoiser, Denoising, NoisyRows
from tunesmith.training.latents import Kept
from tunesmith.training.pipelines import Noise

CPU = torch.device("cpu")
LEVELS = 100
KEPT = torch.linspace(0.999, 0.01, LEVELS)


class Constant(nn.Module):
    """Says the same of every picture, and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1)
        self.seen: list[dict[str, Any]] = []

    def forward(self, noisy: Tensor, levels: Tensor, **more: Any) -> tuple[Tensor]:
        self.seen.append({"noisy": noisy, "levels": levels, **more})
        return (torch.zeros_like(noisy),)


def token_rows(count: int) -> TokenRows:
    facts = {"caption": "a", "size": [40, 50], "crop": [3, 5], "crop_mirrored": [3, 7]}
    rows = []
    for number in range(count):
        media = payload.pack(facts, [np.full((16, 16, 3), number, np.uint8)])
        rows.append(EncodedRow([0, 0], [False, True], media))
    return TokenRows.of(rows)


def made(count: int = 6, *, trains: bool = True, mirror: bool = False, large: bool = False) -> NoisyRows:
    """Rows whose latents are what the autoencoder is sure of."""
    rows = NoisyRows(
        token_rows(count), levels=LEVELS, seed=1, device=CPU, trains=trains, mirror=mirror, large=large
    )  # fmt: skip
    latents = np.zeros((count, 2, 8, 4, 4), np.float32)
    latents[:, 0, :4], latents[:, 1, :4] = 1, -1
    texts, sums = np.zeros((1, 7, 5), np.float32), np.zeros((1, 3), np.float32)
    rows.kept = Kept(latents, np.zeros(count, np.int64), texts, sums if large else None, [])
    return rows


def objective(unet: Constant, *, velocity: bool = False, gamma: float | None = None) -> Denoising:
    keeping: Any = None
    return Denoising(
        Denoiser(unet), Noise(KEPT, velocity), keeping, training=token_rows(1), make=NoisyRows, gamma=gamma,
        mirror=False,
    )  # fmt: skip


def test_the_error_of_silence_is_the_noise() -> None:
    batch = made().batch([0, 1])
    expected = batch.noises[0].pow(2).mean((1, 2, 3)).sum()
    assert torch.isclose(objective(Constant()).loss(batch), expected)


def test_a_velocity_is_noise_and_picture() -> None:
    batch = made().batch([0, 1])
    kept = KEPT[batch.levels[0]].view(-1, 1, 1, 1)
    wanted = kept.sqrt() * batch.noises[0] - (1 - kept).sqrt() * batch.latents
    assert torch.isclose(objective(Constant(), velocity=True).loss(batch), wanted.pow(2).mean((1, 2, 3)).sum())


def test_what_the_unet_sees_is_as_noisy_as_its_level() -> None:
    unet, batch = Constant(), made().batch([2])
    objective(unet).loss(batch)
    kept = KEPT[batch.levels[0]].view(-1, 1, 1, 1)
    assert torch.allclose(unet.seen[0]["noisy"], kept.sqrt() * batch.latents + (1 - kept).sqrt() * batch.noises[0])


@pytest.mark.parametrize("velocity", [False, True])
def test_min_snr_weighs_a_level_by_its_ratio(velocity: bool) -> None:
    batch = made().batch([3])
    plain = objective(Constant(), velocity=velocity).loss(batch)
    weighed = objective(Constant(), velocity=velocity, gamma=5.0).loss(batch)
    ratio = float(KEPT[batch.levels[0]] / (1 - KEPT[batch.levels[0]]))
    expected = min(ratio, 5.0) / (ratio + 1 if velocity else ratio)
    assert float(weighed / plain) == pytest.approx(expected, rel=1e-5)


def test_what_is_measured_is_not_weighed() -> None:
    batch = made(trains=False).batch([0, 1])
    assert objective(Constant(), gamma=5.0).measure(batch) == objective(Constant()).measure(batch)


def test_noise_follows_from_seed_pass_and_row_alone() -> None:
    rows = made()
    together, alone, later = rows.batch([4, 2], 1), rows.batch([2], 1), rows.batch([2], 2)
    assert torch.equal(together.noises[0, 1], alone.noises[0, 0])
    assert torch.equal(together.levels[0, 1:], alone.levels[0])
    assert not torch.equal(alone.noises, later.noises)


def test_levels_of_what_is_held_out_are_spread_over_all() -> None:
    levels = made(trains=False).batch(range(6)).levels
    assert levels.shape == (4, 6)
    assert int(levels.min()) < LEVELS / 10 and int(levels.max()) > 9 * LEVELS / 10


def test_about_every_second_picture_is_mirrored_and_what_is_held_out_never() -> None:
    mirrored = [float(made(mirror=True).batch([0], epoch).latents.mean()) < 0 for epoch in range(40)]
    assert 8 <= sum(mirrored) <= 32
    assert all(float(made(trains=False, mirror=True).batch([0], epoch).latents.mean()) > 0 for epoch in range(5))


def test_sdxl_is_told_the_original_size_and_where_the_part_was_cut() -> None:
    unet, batch = Constant(), made(large=True).batch([0])
    objective(unet).loss(batch)
    told = unet.seen[0]["added_cond_kwargs"]
    assert told["time_ids"].tolist() == [[40.0, 50.0, 3.0, 5.0, 16.0, 16.0]]
    assert told["text_embeds"].shape == (1, 3)
