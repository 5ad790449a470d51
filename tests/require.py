"""What a test needs of the machine: without it the test is skipped, visibly, or fails where everything is required."""

from __future__ import annotations

import os

import pytest


def need(condition: bool, reason: str) -> None:
    """Go on only if the condition holds; with ``TUNESMITH_REQUIRE=all`` a missing one is a failure."""
    if not condition:
        if os.environ.get("TUNESMITH_REQUIRE") == "all":
            pytest.fail(f"required: {reason}")
        pytest.skip(reason)
