"""Settings of an answer say what they may not be."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.spec.errors import BadValue
from tunesmith.spec.sampling import Sampling


@pytest.mark.parametrize("typed", [{"temperature": -1}, {"top_p": 1.1}, {"max_tokens": 0}, {"top_k": "x"}])
def test_values_out_of_range_are_refused(typed: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match=next(iter(typed))):
        Sampling(**typed)
