"""What an evaluation found: ``evaluation.json``, the summary of its run, and the table that the commands print."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tunesmith.spec.recipe import Part

FILE: Final = "evaluation.json"
"""Name of the result among the artifacts of an evaluation run."""


class Verdict(StrEnum):
    """How a model compares with its baseline."""

    BETTER = "better"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


class Measurement(Part):
    """One metric, of the model and of its baseline on the same rows."""

    metric: str
    model: float
    baseline: float | None = None
    higher_is_better: bool | None = None
    """None where neither is."""
    difference: float | None = None
    """Model minus baseline."""
    low: float | None = None
    """Between this and ``high`` lies the difference in the share of the resamples that the evaluation asked for."""
    high: float | None = None
    verdict: Verdict | None = None
    """None without a baseline, and where neither direction is better."""


class Answered(Part):
    """A prompt with the answers of both."""

    prompt: str
    expected: str | None = None
    model: str
    baseline: str | None = None
    scores: dict[str, float] = {}
    """Of the model's answer, by metric."""
    baseline_scores: dict[str, float] = {}


class Confusion(Part):
    """What the rows of each class were taken for."""

    classes: list[str]
    counts: list[list[int]]
    """A line for each class, in their order: how many of its rows were taken for each of them."""


class Group(Part):
    """Rows of one origin, and what was measured on them."""

    name: str
    """rows or prompts."""
    source: str
    """Where the rows come from, as part of a sentence."""
    rows: int
    """Rows measured on."""
    found: int
    """Rows that there are; fewer are measured where a limit says so."""
    trained_on: int = 0
    """Rows left out because the model was trained on equal ones."""
    answered: int = 0
    """Rows that were also answered in full."""
    per: str = "token"
    """What the loss is a mean over; character where model and baseline read the rows as different tokens."""
    measurements: list[Measurement] = []
    answers: list[Answered] = []
    confusion: Confusion | None = None
    """Of models that tell classes apart."""


class ModelSize(Part):
    """How large the measured model is."""

    total_parameters: int
    trainable_parameters: int
    """Those that its training changed: of the adapter, or all of a model without one."""
    model_size_mb: float
    """Memory of its weights as they were loaded, in MiB."""


class EvaluationResult(Part):
    """The result of an evaluation."""

    model: str
    baseline: str | None
    task: str
    verdict: Verdict | None
    """Of the loss of the first group; None without a baseline, and where no loss was measured."""
    verdict_by: str | None
    """The metric that the verdict follows."""
    why: str
    """The verdict in a sentence."""
    groups: list[Group]
    notes: list[str] = []
    """What limits the result, one sentence each."""
    size: ModelSize
    confidence: float
    bootstrap: int
    seed: int
    precision: str
    seconds: float

    def documented(self) -> dict[str, object]:
        """Return the metrics under the names of the organisations' door: answers as ``test_responses``."""
        perplexity = next(
            (each.model for group in self.groups for each in group.measurements if each.metric == "perplexity"), None
        )
        responses = [
            {
                "instruction": answer.prompt,
                "generated_response": answer.model,
                **({} if answer.expected is None else {"expected_response": answer.expected}),
            }
            for group in self.groups
            for answer in group.answers
            if group.name == "prompts"
        ]
        return {
            **({} if perplexity is None else {"perplexity": perplexity}),
            "test_responses": responses,
            **self.size.model_dump(),
        }
