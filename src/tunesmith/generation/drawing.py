"""How the next token is drawn, for one row or for all rows of a pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tunesmith.generation.asking import Token
from tunesmith.generation.rows import Row
from tunesmith.spec.sampling import Sampling

CANDIDATES = 512
"""Tokens among which the likely ones are looked for first: sorting a whole vocabulary takes milliseconds."""

COLDEST = 1e-5
"""Lowest temperature that is computed with: below it the likeliest token is as good as certain."""
LEAST = -9999.0
"""What OpenAI answers for the probability of a token that cannot be; JSON knows no infinity."""


def chooser_of(sampling: Sampling) -> torch.Generator | None:
    """Return what draws the tokens of an answer; None where the likeliest is taken."""
    if sampling.temperature == 0:
        return None
    chooser = torch.Generator(device="cpu")
    if sampling.seed is None:
        chooser.seed()
    else:
        chooser.manual_seed(sampling.seed)
    return chooser


def choose(logits: Tensor, sampling: Sampling, chooser: torch.Generator | None) -> int:
    """Draw the next token from logits of shape (vocabulary,)."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    above = logits.float()
    scaled = (above - above.max()) / max(sampling.temperature, COLDEST)
    ranked, order = _likely(scaled, sampling)
    highest = ranked.max()
    shares = (ranked - highest).double().exp().cpu()
    reached = shares.cumsum(0)
    if sampling.top_p < 1:
        whole = reached[-1] if sampling.top_k else (scaled - highest).double().exp().sum().cpu()
        kept = int((reached - shares < sampling.top_p * whole).sum()) or 1
        reached = reached[:kept]
    drawn = torch.rand((), generator=chooser, dtype=torch.float64) * reached[-1]
    place = min(int(torch.searchsorted(reached, drawn, right=True)), len(reached) - 1)
    return place if order is None else int(order[place])


def draw(logits: Tensor, rows: Sequence[Row]) -> list[Token | None]:
    """Draw a token for each row from its logits (rows, vocabulary); None for a row whose logits are no numbers."""
    lowered = _penalised(logits, rows)
    highest, likeliest = lowered.max(-1)
    sound, greedy = torch.isfinite(highest).tolist(), likeliest.tolist()
    drawn: list[Token | None] = []
    for place, row in enumerate(rows):
        if not sound[place]:
            drawn.append(None)
            continue
        token = greedy[place] if row.chooser is None else choose(lowered[place], row.ask.sampling, row.chooser)
        named = row.ask.logprobs
        drawn.append(Token(token) if named is None else _described(token, logits[place], named))
    return drawn


def _penalised(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Return the logits less what each row's own tokens cost it.

    https://platform.openai.com/docs/guides/text-generation (frequency and presence penalties)
    """
    costs = [
        (place, token, row.ask.penalties.frequency * count + row.ask.penalties.presence)
        for place, row in enumerate(rows)
        if row.ask.penalties is not None
        for token, count in row.counts.items()
    ]
    if not costs:
        return logits
    places, tokens, amounts = (torch.tensor(part, device=logits.device) for part in zip(*costs, strict=True))
    return logits.index_put((places, tokens), -amounts.to(logits.dtype), accumulate=True)


def _likely(scaled: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """Return the logits that may be drawn, highest first, and their tokens; all as they lie where nothing is cut."""
    size = len(scaled)
    if not sampling.top_k and sampling.top_p == 1:
        return scaled, None
    if sampling.top_k:
        return scaled.topk(min(sampling.top_k, size))
    if sampling.top_p < 1 and size > CANDIDATES:
        ranked, order = scaled.topk(CANDIDATES)
        if float(ranked.logsumexp(0) - scaled.logsumexp(0)) > _log(sampling.top_p):
            return ranked, order
    return scaled.sort(descending=True)


def _log(share: float) -> float:
    return float(torch.tensor(share, dtype=torch.float64).log())


def _described(token: int, logits: Tensor, count: int) -> Token:
    logprobs = logits.float().log_softmax(-1).clamp(min=LEAST)
    values, places = logprobs.topk(min(count, len(logprobs)))
    top = tuple(zip(places.tolist(), values.tolist(), strict=True))
    return Token(token, float(logprobs[token]), top)
