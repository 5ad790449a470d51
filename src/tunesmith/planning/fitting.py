"""How much is computed at once: the largest portions that fit in memory, recomputing activations only if needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tunesmith.planning.memory import GIB, Workload, estimate
from tunesmith.spec.errors import WillNotFit
from tunesmith.spec.plan import MemoryEstimate
from tunesmith.spec.recipe import Method

MICRO_TOKENS: Final = {"cpu": 1024, "cuda": 16_384}
"""Tokens computed at once where memory allows: more is no faster (16 rows of 58 tokens were best on two CPU cores)."""
WORTHWHILE: Final = {"cpu": 256, "cuda": 2048}
"""Below so many tokens at once, recomputing activations is the better way to save memory."""
SMALLEST: Final = 256
"""Tokens computed at once, at least, when the plan chooses."""
ROUND: Final = 8
"""Token counts are multiples of this."""


@dataclass(frozen=True)
class Fit:
    """Portions, and what they take."""

    micro_tokens: int
    checkpointing: bool
    memory: MemoryEstimate


def fit(work: Workload, *, batch_tokens: int, micro_tokens: int | None, checkpointing: bool | None, force: bool) -> Fit:
    """Choose what is open of ``micro_tokens`` and ``checkpointing``; ``batch_tokens`` is the most a step can hold.

    Raises:
        WillNotFit: nothing fits, and it is not forced.
    """
    tried = [
        Fit(tokens, recompute, estimate(work.with_tokens(min(tokens, batch_tokens), checkpointing=recompute)))
        for recompute in ([False, True] if checkpointing is None else [checkpointing])
        for tokens in _portions(work.device, batch_tokens, micro_tokens, to_the_end=recompute or checkpointing is False)
    ]
    fitting = next((each for each in tried if each.memory.fits), tried[-1])
    if not fitting.memory.fits and not force:
        raise WillNotFit(fitting.memory.total, work.available, _way_out(work, fitting, micro_tokens))
    return fitting


def rounded_up(tokens: float) -> int:
    """Return the next multiple of ``ROUND``, 16 at least (a recipe allows no less)."""
    return max(16, -int(-tokens // ROUND) * ROUND)


def _portions(device: str, batch_tokens: int, typed: int | None, *, to_the_end: bool) -> list[int]:
    """Return the token counts to try, largest first."""
    if typed is not None:
        return [typed]
    tokens = min(MICRO_TOKENS[device], rounded_up(batch_tokens))
    found = [tokens]
    while tokens // 2 >= (SMALLEST if to_the_end else WORTHWHILE[device]):
        tokens //= 2
        found.append(tokens)
    return found


def _way_out(work: Workload, tried: Fit, typed_tokens: int | None) -> str:
    """Say what would make it fit, from the cheapest change to the dearest."""
    ways: list[str] = []
    if not tried.checkpointing:
        ways.append("--gradient-checkpointing")
    if typed_tokens is not None and typed_tokens > max(SMALLEST, work.longest):
        ways.append(f"--micro-batch-tokens {max(SMALLEST, rounded_up(work.longest))}")
    if work.longest > SMALLEST:
        ways.append(f"--max-seq-length {_length_that_fits(work)}")
    if work.method is Method.FULL:
        ways.append("--method lora")
    shown = " or ".join(ways)
    fixed = tried.memory.total - tried.memory.activations - tried.memory.logits
    if fixed > work.available and work.method is Method.LORA:
        return f"The model alone takes {fixed / GIB:.1f} GiB: take a smaller model, or a machine with more memory."
    return f"Try {shown}." if shown else "Take a smaller model, or a machine with more memory."


def _length_that_fits(work: Workload) -> int:
    """Return the longest power of two that fits with everything else as small as can be."""
    length = SMALLEST
    while length * 2 < work.longest:
        longer = length * 2
        if not estimate(_shortened(work, longer)).fits:
            break
        length = longer
    return length


def _shortened(work: Workload, length: int) -> Workload:
    return replace(work, longest=length, tokens=length, checkpointing=True)
