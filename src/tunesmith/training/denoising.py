"""Learning to take noise away: pictures as latents, made noisy by (seed, epoch, row), and what the UNet says of them.

Latents and what the UNet reads of captions are computed once and kept in the run's folder; what computes them leaves
the memory then. Sources: https://arxiv.org/abs/2112.10752 (latents), https://arxiv.org/abs/2006.11239 (the loss),
https://arxiv.org/abs/2303.09556 (min-SNR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.device import Ranks
from tunesmith.training.latents import Keeping, Kept
from tunesmith.training.pipelines import Noise, read_texts

MEASURED: Final = 4
"""Noise levels at which each picture that is held out is measured: one alone says little of the others."""


@dataclass(frozen=True)
class NoisyBatch:
    """Pictures as latents, and the noise that is to be found in them."""

    latents: Tensor
    """(pictures, channels, height, width) in 32 bits"""
    noises: Tensor
    """(draws, pictures, channels, height, width)"""
    levels: Tensor
    """(draws, pictures) int64"""
    texts: Tensor | list[Tensor]
    """(pictures, tokens, width); or the tokens for each text encoder, where these train."""
    sums: Tensor | None
    """(pictures, width): what SDXL reads of whole captions."""
    sizes: Tensor | None
    """(pictures, 6): height and width of the original, top and left of the part, height and width of the part."""
    tokens: int

    @property
    def labels(self) -> int:
        """Pictures."""
        return len(self.latents)


class Denoiser(nn.Module):
    """What is trained: a UNet, and the text encoders where they train too."""

    def __init__(self, unet: Any, encoders: Sequence[Any] = ()) -> None:
        super().__init__()
        self.unet = unet
        self.encoders = nn.ModuleList(encoders)


class NoisyRows:
    """Captioned pictures as the loop sees them; ``kept`` is there once the run is warm."""

    kept: Kept

    def __init__(
        self, rows: TokenRows, *, levels: int, seed: int, device: torch.device, trains: bool, mirror: bool, large: bool
    ) -> None:
        """``levels`` counts noise levels; ``large`` says that the UNet reads sizes and sums (SDXL)."""
        self.source = rows
        self.lengths = rows.lengths
        """(rows,) patches of each picture."""
        self.mirror = mirror
        self._levels = levels
        self._seed = seed
        self._device = device
        self._trains = trains
        self._large = large

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the pictures."""
        return len(rows)

    def batch(self, rows: Sequence[int], epoch: int = 0) -> NoisyBatch:
        """Make a batch of these pictures; what is held out meets the same noise each time."""
        drawn = [self._drawn(row, epoch) for row in rows]
        latents, noises, levels = (torch.stack(part).to(self._device) for part in zip(*drawn, strict=True))
        texts, sums = self.kept.texts_of(rows, self._device)
        sizes = torch.stack([self._sizes(row, epoch) for row in rows]).to(self._device) if self._large else None
        tokens = int(self.lengths[list(rows)].sum())
        return NoisyBatch(latents, noises.transpose(0, 1), levels.transpose(0, 1), texts, sums, sizes, tokens)

    def _drawn(self, row: int, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a latent from what the autoencoder says of a picture, and noise of a level, or of several spread out."""
        random, view = self._random(row, epoch)
        mean, deviation = self.kept.latent(row, view)
        latent = mean + deviation * torch.randn(mean.shape, generator=random)
        draws = 1 if self._trains else MEASURED
        noises = torch.randn((draws, *mean.shape), generator=random)
        if self._trains:
            return latent, noises, torch.randint(self._levels, (1,), generator=random)
        shift = (row + 0.5) / max(1, len(self.lengths))
        levels = [int((place + shift) / draws * self._levels) for place in range(draws)]
        return latent, noises, torch.tensor(levels).clamp(max=self._levels - 1)

    def _random(self, row: int, epoch: int) -> tuple[torch.Generator, int]:
        """Return the random numbers of a row in an epoch, and which side of the picture is seen."""
        place = [self._seed, 0, epoch, row] if self._trains else [self._seed, 1, 0, row]
        state = np.random.SeedSequence(place).generate_state(2, np.uint64)
        view = int(state[1] & np.uint64(1)) if self.mirror and self._trains else 0
        return torch.Generator().manual_seed(int(state[0] >> np.uint64(1))), view

    def _sizes(self, row: int, epoch: int) -> Tensor:
        assert self.source.media is not None
        found, view = self.source.media[row], self._random(row, epoch)[1]
        side = found.arrays[0].shape[:2]
        crop = found.facts["crop_mirrored" if view else "crop"]
        return torch.tensor([*found.facts["size"], *crop, *side], dtype=torch.float32)


class Denoising:
    """The mean squared error of what the UNet says of noisy pictures."""

    def __init__(
        self,
        model: Denoiser,
        noise: Noise,
        keeping: Keeping,
        *,
        training: TokenRows,
        make: Callable[..., NoisyRows],
        gamma: float | None,
        mirror: bool,
    ) -> None:
        """``training`` are the rows whose noise changes from pass to pass; ``make`` makes batches of rows."""
        self.warnings: list[str] = []
        self._model = model
        self._noise = noise
        self._keeping = keeping
        self._training = training
        self._make = make
        self._gamma = gamma
        self._mirror = mirror
        self._made: list[NoisyRows] = []

    def rows(self, rows: TokenRows) -> NoisyRows:
        """Make batches of these rows; ``warm_up`` gives them their latents."""
        trains = rows is self._training
        made = self._make(rows, trains=trains, mirror=self._mirror and trains)
        self._made.append(made)
        return made

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Find latents and texts, in this run or one that it resumes, or compute them."""
        if ranks.first:
            for place, rows in enumerate(self._made):
                self._keeping.keep(rows.source, place, folder, earlier, beat, mirror=rows.mirror)
            self._keeping.leave()
        ranks.wait()
        for place, rows in enumerate(self._made):
            rows.kept = self._keeping.open(rows.source, place, folder, mirror=rows.mirror)

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether a run can begin from any weights: latents do not depend on what is trained."""
        return True

    def loss(self, batch: NoisyBatch) -> Tensor:
        """Sum of the error over the pictures of a batch, weighted by noise level where that is asked for."""
        errors = self._errors(batch, 0)
        return errors.sum() if self._gamma is None else (errors * self._weights(batch.levels[0])).sum()

    def measure(self, batch: NoisyBatch) -> dict[str, float]:
        """Sum the error over a batch, all noise levels alike."""
        draws = len(batch.levels)
        return {"loss": sum(float(self._errors(batch, draw).sum()) for draw in range(draws)) / draws}

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Report nothing beside the loss."""
        return {}

    def _errors(self, batch: NoisyBatch, draw: int) -> Tensor:
        """Compute (pictures,) in 32 bits."""
        levels, noise = batch.levels[draw], batch.noises[draw]
        kept = self._noise.kept.to(levels.device)[levels].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * batch.latents + (1 - kept).sqrt() * noise
        target = kept.sqrt() * noise - (1 - kept).sqrt() * batch.latents if self._noise.velocity else noise
        said = self._said(noisy, levels, batch).float()
        return (said - target).pow(2).mean((1, 2, 3))

    def _said(self, noisy: Tensor, levels: Tensor, batch: NoisyBatch) -> Tensor:
        texts, sums = batch.texts, batch.sums
        if isinstance(texts, list):
            texts, sums = read_texts(list(self._model.encoders), texts)
        dtype = next(p for p in self._model.unet.parameters() if p.ndim == 4).dtype  # adapters have no such weights
        more: dict[str, Tensor] = {}
        if batch.sizes is not None:
            assert sums is not None
            more = {"text_embeds": sums.to(dtype), "time_ids": batch.sizes.to(dtype)}
        said: Tensor = self._model.unet(
            noisy.to(dtype), levels, encoder_hidden_states=texts.to(dtype), added_cond_kwargs=more, return_dict=False
        )[0]
        return said

    def _weights(self, levels: Tensor) -> Tensor:
        """Return (pictures,) what each noise level counts."""
        ratio = self._noise.ratio(levels)
        assert self._gamma is not None
        return ratio.clamp(max=self._gamma) / (ratio + 1 if self._noise.velocity else ratio)
