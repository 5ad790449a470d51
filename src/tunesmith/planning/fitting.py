"""How much is computed at once: the largest portions that fit in memory, recomputing activations only if needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tunesmith.planning.memory import GIB, Workload, estimate
from tunesmith.spec.errors import WillNotFit
from tunesmith.spec.plan import MemoryEstimate
from tunesmith.spec.recipe import Method, Optimizer

MICRO_TOKENS: Final = {"cpu": 1024, "cuda": 16_384}
"""Tokens computed at once where memory allows: more is no faster (16 rows of 58 tokens were best on two CPU cores)."""
WORTHWHILE: Final = {"cpu": 256, "cuda": 2048}
"""Below so many tokens at once, recomputing activations is the better way to save memory."""
SMALLEST: Final = 256
"""Tokens computed at once, at least, when the plan chooses."""
LEAST_RANK: Final = 8
"""Rank of an adapter that is proposed where memory is short."""
ROUND: Final = 8
"""Token counts are multiples of this."""


@dataclass(frozen=True)
class Fit:
    """Portions, and what they take."""

    micro_tokens: int
    checkpointing: bool
    memory: MemoryEstimate


def fit(
    work: Workload,
    *,
    batch_tokens: int,
    micro_tokens: int | None,
    checkpointing: bool | None,
    force: bool,
    at_once: int = 0,
) -> Fit:
    """Choose what is open of ``micro_tokens`` and ``checkpointing``; ``batch_tokens`` is the most a step can hold.

    ``at_once`` are tokens that are computed at once where memory allows, even if more is no faster.

    QLoRA is for little memory, so it recomputes activations unless that was typed otherwise.

    Raises:
        WillNotFit: nothing fits, and it is not forced.
    """
    tried = [
        Fit(tokens, recompute, estimate(work.with_tokens(min(tokens, batch_tokens), checkpointing=recompute)))
        for recompute in _recomputing(work.method, checkpointing)
        for tokens in _portions(
            max(at_once, MICRO_TOKENS[work.device]),
            WORTHWHILE[work.device],
            batch_tokens,
            micro_tokens,
            to_the_end=recompute or checkpointing is False,
        )
    ]
    fitting = next((each for each in tried if each.memory.fits), tried[-1])
    if not fitting.memory.fits and not force:
        raise WillNotFit(fitting.memory.total, work.available, _way_out(work, fitting, micro_tokens))
    return fitting


def rounded_up(tokens: float) -> int:
    """Return the next multiple of ``ROUND``, 16 at least (a recipe allows no less)."""
    return max(16, -int(-tokens // ROUND) * ROUND)


def _recomputing(method: Method, typed: bool | None) -> list[bool]:
    if typed is not None:
        return [typed]
    return [True] if method is Method.QLORA else [False, True]


def _portions(most: int, least: int, batch_tokens: int, typed: int | None, *, to_the_end: bool) -> list[int]:
    """Return the token counts to try, largest first, down to the ``least`` that is worth while."""
    if typed is not None:
        return [typed]
    tokens = min(most, rounded_up(batch_tokens))
    found = [tokens]
    while tokens // 2 >= (SMALLEST if to_the_end else least):
        tokens //= 2
        found.append(tokens)
    return found


def _way_out(work: Workload, tried: Fit, typed_tokens: int | None) -> str:
    """Say what would make it fit: each change that does so alone, cheapest first, or else all at once."""
    small = max(SMALLEST, rounded_up(work.longest))
    least = replace(work, tokens=small, checkpointing=True)
    ways: list[tuple[str, Workload]] = []
    if not tried.checkpointing:
        ways.append(("--gradient-checkpointing", work.with_tokens(tried.micro_tokens, checkpointing=True)))
    if typed_tokens is not None and typed_tokens > small:
        portion = work.with_tokens(small, checkpointing=tried.checkpointing)
        ways.append((f"--micro-batch-tokens {small}", portion))
    if work.longest > SMALLEST:
        length = _length_that_fits(work)
        ways.append((f"--max-seq-length {length}", _shortened(work, length)))
    if work.method is Method.FULL and work.optimizer is Optimizer.ADAMW_TORCH:
        ways.append(("--optimizer adamw_bnb_8bit", replace(least, optimizer=Optimizer.ADAMW_BNB_8BIT)))
    if work.method is Method.FULL:
        ways.append(("--method lora", replace(least, method=Method.LORA)))
    if work.method.adapts and work.rank > LEAST_RANK:
        ways.append((f"--lora-r {LEAST_RANK}", least.with_rank(LEAST_RANK)))
    if work.method is not Method.QLORA and work.may_quantize:
        ways.append(("--method qlora", replace(least, method=Method.QLORA)))
    helping = [way for way, changed in ways if estimate(changed).fits]
    if helping:
        return f"Try {' or '.join(helping)}."
    return _all_at_once(work)


def _all_at_once(work: Workload) -> str:
    method = Method.QLORA if work.may_quantize else Method.LORA if work.method is Method.FULL else work.method
    smallest = _shortened(replace(work, method=method), min(SMALLEST, work.longest))
    smallest = smallest.with_rank(LEAST_RANK) if work.rank > LEAST_RANK else smallest
    if estimate(smallest).fits:
        other = "" if method is work.method else f" --method {method.value}"
        lower = f" --lora-r {LEAST_RANK}" if work.rank > LEAST_RANK else ""
        shorter = f" --max-seq-length {SMALLEST}" if work.longest > SMALLEST else ""
        return f"Try{other}{lower}{shorter} --gradient-checkpointing --micro-batch-tokens {SMALLEST} together."
    fixed = estimate(replace(smallest, tokens=0))
    return f"The model alone takes {fixed.total / GIB:.1f} GiB: take a smaller model, or a machine with more memory."


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
