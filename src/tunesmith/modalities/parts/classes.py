"""Telling classes apart, of texts, pictures and recordings alike: which there are, and what is learned of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.spec.errors import TooFewClasses
from tunesmith.spec.plan import Plan
from tunesmith.training.classification import Classification, Inputs


def trained_classes(train: TokenRows, labels: Sequence[str]) -> tuple[list[str], Indices]:
    """Return the classes of the training rows, and how many rows each has; ``labels`` names their numbers.

    Raises:
        TooFewClasses: there are fewer than two.
    """
    assert train.labels is not None
    counts = np.bincount(train.labels, minlength=len(labels))
    classes = [name for name, count in zip(labels, counts, strict=True) if count]
    if len(classes) < 2:
        raise TooFewClasses(classes)
    return classes, counts[counts > 0]


def classification(
    model: Any, plan: Plan, device: torch.device, inputs: Inputs, *, classes: Sequence[str], labels: Sequence[str],
    counts: Indices | None = None,
) -> Classification:  # fmt: skip
    """Make the objective; with ``counts`` all classes count the same."""
    given = plan.data.own_validation or any(each.validation or each.test for each in plan.spec.datasets)
    return Classification(
        model, device=device, inputs=inputs, classes=classes, labels=labels, given=given, counts=counts
    )
