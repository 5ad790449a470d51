"""Is an export the model that was trained? Both are asked the same, and what they say is compared.

The trained model is the base with its adapter (or the result of a full training), in the precision that it was stored
in, fed with the tokens that training made. The export is opened as its user would, and makes its own tokens.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.worker.export.opened import Chances, Opened, Reply
from tunesmith.worker.export.replay import Replayed

TIE: Final = 0.02
"""Nats that a first choice may be less likely than the trained model's own: rounding alone decides closer ones."""


@dataclass(frozen=True)
class Allowed:
    """How far an export may be from the trained model."""

    top_1: float
    """Share of the places where the first choice must be the same."""
    divergence: float
    """Mean Kullback-Leibler divergence of the next token, in nats."""
    endings: float
    """Share of the prompts whose answers must end alike."""
    why: str


_SAME_NUMBERS: Final = "the same numbers are computed, by other programs"
ALLOWED: Final = {
    "fp32": Allowed(0.99, 1e-3, 0.9, _SAME_NUMBERS),
    "f32": Allowed(0.99, 1e-3, 0.9, _SAME_NUMBERS),
    "fp16": Allowed(0.97, 1e-3, 0.9, "weights keep 11 bits of their digits"),
    "f16": Allowed(0.97, 1e-3, 0.9, "weights keep 11 bits of their digits"),
    "bf16": Allowed(0.95, 1e-2, 0.85, "weights keep 8 bits of their digits"),
    "q8_0": Allowed(0.9, 2e-2, 0.85, "32 weights share a scale and keep 8 bits each"),
    "q5_1": Allowed(0.7, 0.2, 0.7, "32 weights share a scale and a start and keep 5 bits each"),
    "q5_0": Allowed(0.7, 0.25, 0.7, "32 weights share a scale and keep 5 bits each"),
    "q4_1": Allowed(0.5, 0.5, 0.6, "32 weights share a scale and a start and keep 4 bits each"),
    "q4_0": Allowed(0.5, 0.6, 0.6, "32 weights share a scale and keep 4 bits each"),
}
"""By number format, with a margin to what a tuned SmolLM2-135M showed where that was measured (f16, q8_0, q4_0 and the
adapter: docs/guides/export.md); the others are set between these. Fewer bits cost a small model more than a large one.
"""


@dataclass(frozen=True)
class Trained:
    """What the trained model says to the replayed prompts."""

    rows: list[Replayed]
    source: str
    """training, or general where the rows of the training are not known."""
    said: list[Tensor]
    """Logarithms of the chances at each place of each row, (places, vocabulary)."""
    replies: list[Reply]
    stop_ids: frozenset[int]


@dataclass(frozen=True)
class Report:
    """``parity.json``: what was compared, what was found, and what is allowed. No text of the training is in it."""

    export: str
    opened_by: str
    prompts: dict[str, Any]
    """How many, where they come from, and the first digits of the sha256 of each one's token ids."""
    token_ids: dict[str, int]
    """Prompts whose tokens are identical."""
    endings: dict[str, Any]
    """``tokens``: whether the export ends answers at every token that training ends them with. ``taught``: rows after
    whose answer both models end, or both do not. ``written``: prompts to which both answers ended, or neither did."""
    top_1: dict[str, Any]
    divergence: dict[str, Any]
    """Mean and largest Kullback-Leibler divergence, over the 256 likeliest tokens and the others as one."""
    faults: list[str]
    why: str

    @property
    def passed(self) -> bool:
        """Whether the export is the model that was trained."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"passed": self.passed, **asdict(self)}


def compare(trained: Trained, opened: Opened, *, export: str, number_format: str, writes: bool) -> Report:
    """Replay the prompts to an export; ``writes`` says whether it is a model that writes text."""
    allowed, rows = ALLOWED[number_format], trained.rows
    made = [opened.prompt(row) for row in rows]
    same = sum(tuple(ids) == row.prompt for ids, row in zip(made, rows, strict=True))
    divergences: list[float] = []
    agreed, taught = 0, [0, 0]
    for row, said in zip(rows, trained.said, strict=True):
        heard = opened.chances(row)
        for one, other in zip(said, heard, strict=True):
            divergences.append(_divergence(one, other))
            agreed += bool(one[other.tokens[0]] >= one.max() - TIE)
        if row.answer and row.answer[-1] in trained.stop_ids:
            taught[1] += 1
            taught[0] += (int(said[-1].argmax()) in trained.stop_ids) == (int(heard[-1].tokens[0]) in trained.stop_ids)
    written = _endings(trained, opened) if writes else [0, 0]
    mean = sum(divergences) / max(len(divergences), 1)
    ends = {row.answer[-1] for row in rows if row.answer}
    endings: dict[str, Any] = {
        "tokens": opened.ends_at(ends) if writes else True,
        "taught": {"same": taught[0], "of": taught[1]},
        "written": {"same": written[0], "of": written[1]},
        "required": allowed.endings,
    }
    found = Report(
        export=export,
        opened_by=opened.by,
        prompts={"count": len(rows), "source": trained.source, "sha256": [_digest(row) for row in rows]},
        token_ids={"identical": same, "of": len(rows)},
        endings=endings,
        top_1={"same": agreed, "of": len(divergences), "required": allowed.top_1},
        divergence={"mean": mean, "largest": max(divergences, default=0.0), "allowed": allowed.divergence},
        faults=[],
        why=allowed.why,
    )
    found.faults.extend(_faults(found, allowed))
    return found


def _divergence(one: Tensor, other: Chances) -> float:
    """Compare the chances of the tokens that the export finds likeliest, and those of all others as one."""
    known, said = one[other.tokens].double(), other.logs.double()
    inside = (known.exp() * (known - said)).sum()
    left, theirs = (max(1.0 - float(logs.exp().sum()), 1e-9) for logs in (known, said))
    outside = left * float(torch.tensor(left / theirs).log()) if len(one) > len(said) else 0.0
    return max(float(inside) + outside, 0.0)


def _endings(trained: Trained, opened: Opened) -> list[int]:
    """Count the prompts to which both answers ended, or neither; equal beginnings must go on alike."""
    both = zip(trained.rows, trained.replies, strict=True)
    asked = [(row, reply) for row, reply in both if row.messages is not None]
    replies = opened.replies([row for row, _ in asked])
    same = sum(own.ended == other.ended for (_, own), other in zip(asked, replies, strict=True))
    return [same, len(asked)]


def _faults(report: Report, allowed: Allowed) -> list[str]:
    """Say what is further from the trained model than the format explains."""
    faults = []
    ids, top, divergence, endings = report.token_ids, report.top_1, report.divergence, report.endings
    if ids["identical"] < ids["of"]:
        faults.append(f"{ids['of'] - ids['identical']} of {ids['of']} prompts become other tokens than in training")
    if not endings["tokens"]:
        faults.append("it does not end an answer at the token that training ends it with")
    for what in ("taught", "written"):
        same, of = endings[what]["same"], endings[what]["of"]
        if same < allowed.endings * of:
            faults.append(f"{of - same} of {of} {what} answers end otherwise")
    if top["same"] < allowed.top_1 * top["of"]:
        needed = f"{allowed.top_1:.0%} are needed"
        faults.append(f"the first choice is the same at {top['same']} of {top['of']} places ({needed})")
    if not divergence["mean"] <= allowed.divergence:
        faults.append(f"the divergence is {divergence['mean']:.3g} nats ({allowed.divergence:g} is allowed)")
    return faults


def _digest(row: Replayed) -> str:
    return hashlib.sha256(json.dumps(row.prompt).encode()).hexdigest()[:12]


def chances_of(logits: Tensor) -> Tensor:
    """Return the logarithms of the chances that logits, (places, vocabulary), speak of."""
    return logits.log_softmax(-1)


def advice_for(report: Report) -> str:
    """Say what a user can do about an export that failed."""
    if report.token_ids["identical"] < report.token_ids["of"]:
        return "Its tokenizer or chat template is not the one of the training: restore the run's files, or train again."
    if report.opened_by.startswith("llama.cpp"):
        return "Take a format with more bits, such as f16 or q8_0."
    return "Take --dtype fp32, or export the adapter."
