"""When what is said: as transformers tells it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.modalities.parts.spoken_times import Clock, Segment, segments_of, told

FIRST, END = 20, 15
CLOCK = Clock(FIRST, END, FIRST - 2, latest=5)


def written(seed: int) -> list[int]:
    """Tokens and times as a model may write them."""
    random = np.random.default_rng(seed)
    tokens, time = [FIRST + int(random.integers(3))], 3
    for _ in range(int(random.integers(0, 4))):
        tokens += random.integers(0, END, int(random.integers(1, 4))).tolist()
        time += int(random.integers(1, 5))
        tokens += [FIRST + time] * int(random.integers(1, 3))
        if tokens[-2] < FIRST:
            break
    return tokens


@pytest.mark.parametrize("latest", [5, None])
def test_what_may_follow_is_what_transformers_lets_follow(latest: int | None) -> None:
    from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

    said: Any = SimpleNamespace(
        no_timestamps_token_id=FIRST - 1, eos_token_id=END, bos_token_id=END, max_initial_timestamp_index=latest
    )
    processor = WhisperTimeStampLogitsProcessor(said, begin_index=1)
    for seed in range(100):
        tokens = written(seed)
        for length in range(len(tokens) + 1):
            logits = torch.randn(60, generator=torch.Generator().manual_seed(seed * 100 + length)) * 4
            wanted = processor(torch.tensor([[1, *tokens[:length]]]), logits[None].clone())[0]
            Clock(FIRST, END, FIRST - 2, latest).rule(logits, tokens[:length])
            assert torch.equal(logits, wanted), (tokens, length)


def test_what_is_written_is_divided_where_transformers_divides_it() -> None:
    from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

    seen = set()
    for seed in range(200):
        tokens = written(seed)
        theirs, on = WhisperGenerationMixin._retrieve_segment(
            torch.tensor(tokens), [{}], torch.zeros(1, dtype=torch.float64), FIRST, torch.tensor([100]), 0.02, 0.01, 2,
            0, 0, False, torch.zeros(1, 1),
        )  # fmt: skip
        parts, ours = CLOCK.divided(tokens, 100)
        assert ours == int(on)
        ends = [round(float(each["end"]) * 100) for each in theirs]
        assert [end for _, end, _ in parts] == ends, tokens
        if len(parts) > 1:
            assert [begin for begin, _, _ in parts] == [round(float(each["start"]) * 100) for each in theirs]
        seen.add((len(parts) > 1, ours == 100))
    assert seen == {(False, True), (True, True), (True, False), (False, False)}


def test_words_without_a_pause_are_one_segment() -> None:
    words = [(0, 10, "please"), (12, 20, "hold"), (80, 90, "thanks")]
    assert segments_of(words, 0.02) == [Segment(0, 0.4, "please hold"), Segment(1.6, 1.8, "thanks")]


def test_times_of_a_window_count_from_the_begin_of_the_recording() -> None:
    found = told([(0.0, [Segment(0, 1.5, "please hold")]), (28.5, [Segment(0.25, 1, "thanks", (1, 2), -0.5, 0.1)])])
    assert found["text"] == "please hold thanks"
    assert [(each["id"], each["start"], each["end"]) for each in found["segments"]] == [(0, 0, 1.5), (1, 28.75, 29.5)]
    assert found["segments"][1]["seek"] == 2850
