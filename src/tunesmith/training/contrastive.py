"""Contrastive learning: a picture and its text are told from all others of the step.

The loss of CLIP (https://arxiv.org/abs/2103.00020, figure 3) is the mean of two cross entropies, that of SigLIP
(https://arxiv.org/abs/2303.15343, algorithm 1) a sum over all pairs. Either depends on every row of a step, so it is
looked at whole before its parts are computed (``pieces.Joint``): the vectors of all rows give the gradient of each
vector, and each part is computed once more to carry it on (https://arxiv.org/abs/2101.06983, "gradient caching").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.forward import inner
from tunesmith.training.pieces import Rows

AT_ONCE: Final = 1024
"""Rows that are compared with all others at once."""
NEAREST: Final = (1, 5)
"""How near the right one must be: the nearest, or among the five nearest."""
WIDEST: Final = 100.0
"""Most that similarities are multiplied by (CLIP, section 2.5)."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class PairBatch:
    """Some pictures with their texts, ready to compute on."""

    inputs: dict[str, Tensor]
    """What the model reads, by its own names."""
    rows: list[int]
    """Numbers of the rows."""
    texts: list[tuple[int, ...]]
    """Tokens of the texts, by which equal ones are known."""
    tokens: int

    @property
    def labels(self) -> int:
        """Pairs."""
        return len(self.rows)


@dataclass(frozen=True)
class Said:
    """What a row says of itself when it is measured."""

    image: Vectors
    text: Vectors
    """Of length 1 each."""
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class _Met:
    """A step as a whole."""

    places: dict[int, int]
    """Place of each row among the step's."""
    images: Tensor
    texts: Tensor
    """(rows of the step, size), without gradients."""
    image_slopes: Tensor
    text_slopes: Tensor
    """Gradient of the step's loss in each of their numbers."""


class Contrastive:
    """The loss of pairs among each other, and how well each finds its other half."""

    def __init__(self, model: Any, *, make: Callable[[TokenRows], Rows], batch: int) -> None:
        """Held-out rows are compared ``batch`` at a time, as in training. Models with a bias have SigLIP's loss."""
        self.warnings: list[str] = []
        self._model = model
        self._make = make
        self._batch = max(2, batch)
        self._met: _Met | None = None

    def rows(self, rows: TokenRows) -> Rows:
        """Make pairs of rows."""
        return self._make(rows)

    def look(self, batch: PairBatch) -> dict[str, Tensor]:
        """Return the vectors of a part's pictures and texts."""
        images, texts = self._vectors(batch)
        return {"images": images, "texts": texts}

    def meet(self, rows: Sequence[int], seen: dict[str, Tensor]) -> None:
        """Find the gradient of the step's loss in all vectors of its rows."""
        images, texts = (seen[name].detach().requires_grad_() for name in ("images", "texts"))
        scale, bias = (None if each is None else each.detach() for each in self._temper())
        with torch.enable_grad():
            for begin in range(0, len(rows), AT_ONCE):
                own = torch.arange(begin, min(begin + AT_ONCE, len(rows)), device=images.device)
                loss = self._losses(images[own], texts[own], images, texts, own, scale, bias).sum()
                loss.backward()  # type: ignore[no-untyped-call]
        assert images.grad is not None
        assert texts.grad is not None
        places = {row: place for place, row in enumerate(rows)}
        self._met = _Met(places, images.detach(), texts.detach(), images.grad, texts.grad)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return what a part adds to the loss of its step, with the part's share of the whole gradient.

        A batch of which no step is known stands for itself.
        """
        images, texts = self._vectors(batch)
        scale, bias = self._temper()
        met = self._met
        if met is None or any(row not in met.places for row in batch.rows):
            own = torch.arange(len(images), device=images.device)
            return self._losses(images, texts, images, texts, own, scale, bias).sum()
        own = torch.tensor([met.places[row] for row in batch.rows], device=images.device)
        value = self._losses(met.images[own], met.texts[own], met.images, met.texts, own, scale, bias).sum()
        carried = (images * met.image_slopes[own]).sum() + (texts * met.text_slopes[own]).sum()
        return value + carried - carried.detach()

    def measure(self, batch: PairBatch) -> dict[str, float]:
        """Sum the loss of a batch among itself."""
        return self.gather(batch)[0]

    def gather(self, batch: PairBatch) -> tuple[dict[str, float], list[Said]]:
        """Return the loss of a batch among itself, and the vectors of its rows."""
        images, texts = self._vectors(batch)
        own = torch.arange(len(images), device=images.device)
        loss = self._losses(images, texts, images, texts, own, *self._temper()).sum()
        both = zip(images.cpu().numpy(), texts.cpu().numpy(), batch.texts, strict=True)
        return {"loss": float(loss)}, [Said(image, text, tokens) for image, text, tokens in both]

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Nothing is a sum but the loss."""
        return {}

    def figures(self, said: list[Said]) -> dict[str, float]:
        """Return how often each picture finds its text among all others, and each text its picture.

        ``recall_at_1`` is the mean of both ways. Rows of equal texts are right for each other. Where texts repeat, as
        names of classes do, the share of pictures that find theirs is called ``zero_shot_accuracy`` as well.
        """
        images, texts = (np.stack([getattr(each, name) for each in said]) for name in ("image", "text"))
        kinds: dict[tuple[int, ...], int] = {}
        kind = np.array([kinds.setdefault(each.tokens, len(kinds)) for each in said])
        first = np.array([int(np.argmax(kind == each)) for each in range(len(kinds))])
        found = {
            "image_to_text": _ranks(images, texts[first], np.arange(len(kinds))[None] == kind[:, None]),
            "text_to_image": _ranks(texts, images, kind[None] == kind[:, None]),
        }
        figures = {
            f"{name}_recall_at_{near}": float((ranks < near).mean())
            for name, ranks in found.items()
            for near in NEAREST
        }
        for near in NEAREST:
            figures[f"recall_at_{near}"] = sum(figures[f"{name}_recall_at_{near}"] for name in found) / len(found)
        if 1 < len(kinds) <= len(said) / 2:
            figures["zero_shot_accuracy"] = figures["image_to_text_recall_at_1"]
        return {"loss": self._mean_loss(torch.from_numpy(images), torch.from_numpy(texts)), **figures}

    def _mean_loss(self, images: Tensor, texts: Tensor) -> float:
        """Return the mean loss of rows that are compared in their order, as many as make a step."""
        scale, bias = (None if each is None else each.detach().cpu() for each in self._temper())
        total = 0.0
        for begin in range(0, len(images), self._batch):
            image, text = images[begin : begin + self._batch], texts[begin : begin + self._batch]
            own = torch.arange(len(image))
            total += float(self._losses(image, text, image, text, own, scale, bias).sum())
        return total / len(images)

    def _vectors(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Compute the vectors of pictures and texts, of length 1 each, in 32 bits."""
        out = self._model(**batch.inputs)
        return out.image_embeds.float(), out.text_embeds.float()

    def _temper(self) -> tuple[Tensor | None, Tensor | None]:
        """Return what similarities are multiplied by, and what is added: (1,) or a number each."""
        model = inner(self._model)
        bias = model.logit_bias.float() if hasattr(model, "logit_bias") else None
        scale = model.logit_scale.float().exp()
        return (scale.clamp(max=WIDEST) if bias is None else scale), bias

    def _losses(
        self, images: Tensor, texts: Tensor, all_images: Tensor, all_texts: Tensor, own: Tensor,
        scale: Tensor | None, bias: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Return the loss of each pair, (pairs,); ``own`` are their places among all."""
        assert scale is not None
        from_texts = texts @ all_images.t() * scale
        if bias is not None:
            right = nn.functional.one_hot(own, len(all_images)) * 2 - 1
            return -nn.functional.logsigmoid(right * (from_texts + bias)).sum(-1)
        from_images = images @ all_texts.t() * scale
        return (_cross(from_images, own) + _cross(from_texts, own)) / 2


def _cross(logits: Tensor, own: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, own, reduction="none")


def _ranks(asking: Vectors, asked: Vectors, right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count how many wrong ones are as near as the nearest right one, or nearer: (asking,)."""
    ranks = []
    for begin in range(0, len(asking), AT_ONCE):
        near = asking[begin : begin + AT_ONCE] @ asked.T
        fits = right[begin : begin + AT_ONCE]
        best = np.where(fits, near, -np.inf).max(1, keepdims=True)
        ranks.append(((near >= best) & ~fits).sum(1))
    found: NDArray[np.int64] = np.concatenate(ranks)
    return found
