"""Memory of a training step does not grow with the vocabulary: the full logits never exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).with_name("step_memory.py")
HIDDEN, LAYERS = 128, 2


@pytest.mark.slow
def test_a_step_with_a_large_vocabulary_takes_hardly_more_memory() -> None:
    small, large = step_memory([1_000, 150_000])
    # Half of 4,096 tokens times 150,000 words in 32 bits would be more than a gigabyte.
    assert large <= 1.2 * small, f"{small:,} and {large:,} bytes: {large / small:.2f} times as much"


def step_memory(vocabularies: list[int]) -> list[int]:
    """What a step takes besides weights and gradients, in bytes, for each vocabulary; each in a process of its own."""
    sizes = [str(HIDDEN), str(LAYERS)]
    commands = [[sys.executable, str(MEASURE), str(vocabulary), *sizes] for vocabulary in vocabularies]
    measuring = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[0] for process in measuring]
    assert [process.returncode for process in measuring] == [0] * len(vocabularies)
    return [int(text) for text in said]
